//! Two that pin one another share a secret, and nobody else does.

use sharelet_channel::{LowOrder, Party, Pin, PublicKey, Role, StaticKey};

use crate::world::{device, host, rng};

/// The secret that a party derives.
fn secret(own: &StaticKey, party: Party, peer: Party, public: PublicKey) -> [u8; 32] {
    *Pin::paired(own, &party, &peer, public).unwrap().pairing.expose()
}

#[test]
fn both_sides_derive_the_same_and_other_parties_another() {
    let mut rng = rng(0x7061_6972);
    let [near, far, third] = [(); 3].map(|()| StaticKey::generate(&mut rng));
    let ours = secret(&near, device(), host(), far.public());
    assert_eq!(ours, secret(&far, host(), device(), near.public()));
    let named = |role, name| Party::new(role, name).unwrap();
    for (own, peer) in [
        (named(Role::DataParty, "pump-07"), host()),
        (named(Role::Device, "pump-08"), host()),
        (device(), named(Role::Dealer, "hall-2")),
        (device(), named(Role::Host, "hall-3")),
        // Names in each other's roles.
        (named(Role::Device, "hall-2"), named(Role::Host, "pump-07")),
    ] {
        let other = secret(&near, own, peer, far.public());
        assert_ne!(ours, other, "{own}, {peer}");
        assert_eq!(other, secret(&far, peer, own, near.public()), "{own}, {peer}");
    }
    assert_ne!(ours, secret(&near, device(), host(), third.public()));
    assert_ne!(ours, secret(&third, device(), host(), far.public()));
}

/// Computed with Python's `hmac`, `hashlib` and `cryptography`.
#[test]
fn the_secret_is_this_one() {
    let [near, far] = [0x11, 0x22].map(|byte| StaticKey::from_bytes([byte; 32]));
    let secret = secret(&near, device(), host(), far.public());
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(secret, "04b34e8ecc58d5da9dad75063a2518d008fa7317eda9be252394a4295d523954");
}

#[test]
fn points_of_low_order_are_refused() {
    // The points whose order divides 8, and those beyond the prime that are the same
    // (https://cr.yp.to/ecdh.html#validate), each with and without the bit that is ignored.
    let hex = |digits: &str| -> [u8; 32] {
        core::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
    };
    let low = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let own = StaticKey::generate(&mut rng(0x6c6f_7721));
    for mut point in low.map(hex) {
        for _ in 0..2 {
            let pin = Pin::paired(&own, &device(), &host(), PublicKey::from_bytes(point));
            assert_eq!(pin.err(), Some(LowOrder), "{point:02x?}");
            point[31] ^= 0x80;
        }
    }
}
