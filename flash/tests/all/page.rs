//! A page comes back whole or not at all.

use sharelet_channel::{Party, Ratchet, Role};
#[cfg(feature = "x25519")]
use sharelet_channel::{Pin, PublicKey, StaticKey};
use sharelet_core::Key;
use sharelet_core::session::wire::checksum::crc32;
use sharelet_flash::page::{Channels, KeyPage, MAX_PEERS, PAGE_BYTES, PageError, PeerError};

const CHECKED: usize = PAGE_BYTES - 36;

fn party(role: Role, name: &str) -> Party {
    Party::new(role, name).unwrap()
}

fn servers() -> [Party; 2] {
    [party(Role::Server0, "north"), party(Role::Server1, "south")]
}

/// A data party's, which its servers know by provisioned keys.
fn provisioned() -> KeyPage {
    let own = party(Role::DataParty, "meter-3");
    let mut page = KeyPage::provisioned(own, Key::from_bytes([0x70; 32]), 0x0807_0605);
    for (server, byte) in servers().into_iter().zip([0x80, 0x90]) {
        page.provision(server, Key::from_bytes([byte; 32])).unwrap();
    }
    page
}

#[cfg(feature = "x25519")]
fn host() -> Party {
    party(Role::Host, "hall-2")
}

/// A device's, which is paired with its host.
#[cfg(feature = "x25519")]
fn paired() -> KeyPage {
    let own = party(Role::Device, "pump-07");
    let [near, far] = [0x11, 0x22].map(|byte| StaticKey::from_bytes([byte; 32]));
    let mut page = KeyPage::new(own, Key::from_bytes([0x77; 32]), &near, 5);
    page.pair(host(), &Pin::paired(&near, &own, &host(), far.public()).unwrap()).unwrap();
    page
}

fn pages() -> Vec<KeyPage> {
    vec![
        provisioned(),
        #[cfg(feature = "x25519")]
        paired(),
    ]
}

/// A page whose check sum fits, whatever is in it.
fn summed(mut bytes: [u8; PAGE_BYTES]) -> [u8; PAGE_BYTES] {
    let sum = crc32(&bytes[..CHECKED]).to_le_bytes();
    bytes[CHECKED..CHECKED + 4].copy_from_slice(&sum);
    bytes
}

#[test]
fn pages_survive_their_bytes() {
    for mut page in pages() {
        let bytes = page.to_bytes();
        let read = KeyPage::parse(&bytes).unwrap();
        assert_eq!((read.party(), read.channels()), (page.party(), page.channels()));
        assert_eq!((read.key().expose(), read.key_id()), (page.key().expose(), page.key_id()));
        assert_eq!(read.counter_start(), page.counter_start());
        assert!(read.peers().eq(page.peers()) && !read.used());
        assert_eq!(*read.to_bytes(), *bytes);
        page.mark_used();
        let marked = page.to_bytes();
        assert_eq!(marked[..CHECKED + 4], bytes[..CHECKED + 4]);
        let read = KeyPage::parse(&marked).unwrap();
        assert!(read.used() && *read.to_bytes() == *marked);
    }
}

#[test]
fn a_provisioned_page_has_its_ratchets() {
    let page = KeyPage::parse(&provisioned().to_bytes()).unwrap();
    assert_eq!((page.channels(), page.counter_start()), (Channels::Provisioned, 0x0807_0605));
    for (server, byte) in servers().into_iter().zip([0x80, 0x90]) {
        assert_eq!(page.peer_of(server.role), Some(&server));
        let ratchet = page.ratchet(&server).unwrap().expose();
        assert_eq!(ratchet, Ratchet::new(Key::from_bytes([byte; 32])).expose());
        #[cfg(feature = "x25519")]
        assert!(page.pin(&server).is_none());
    }
    assert!(page.ratchet(&party(Role::Server0, "west")).is_none());
    assert!(page.peer_of(Role::Host).is_none());
    #[cfg(feature = "x25519")]
    assert!(page.static_key().is_none() && page.identity().is_none());
}

#[cfg(feature = "x25519")]
#[test]
fn a_paired_page_has_its_pins() {
    let page = KeyPage::parse(&paired().to_bytes()).unwrap();
    let [near, far] = [0x11, 0x22].map(|byte| StaticKey::from_bytes([byte; 32]));
    assert_eq!(page.static_key().unwrap().expose(), near.expose());
    assert_eq!(page.identity().unwrap().party(), page.party());
    let pin = page.pin(&host()).unwrap();
    assert_eq!(pin.public, far.public());
    // The host's own is the same.
    let other = Pin::paired(&far, &host(), page.party(), near.public()).unwrap();
    assert_eq!(pin.pairing.expose(), other.pairing.expose());
    assert!(page.ratchet(&host()).is_none());
    assert!(page.pin(&party(Role::Dealer, "hall-2")).is_none());
    let mut page = page;
    page.remove(&host());
    assert!(page.pin(&host()).is_none() && page.peers().next().is_none());
}

#[test]
fn peers_have_their_places() {
    let mut page = provisioned();
    let more: Vec<Party> = ["a", "b"].into_iter().map(|name| party(Role::Console, name)).collect();
    page.provision(more[0], Key::from_bytes([1; 32])).unwrap();
    assert_eq!(page.peers().count(), MAX_PEERS);
    assert_eq!(page.provision(more[1], Key::from_bytes([2; 32])), Err(PeerError::Full));
    // In place of its own, and of one that was removed.
    page.provision(more[0], Key::from_bytes([3; 32])).unwrap();
    assert_eq!(page.ratchet(&more[0]).unwrap().expose()[8..40], [3; 32]);
    page.remove(&servers()[0]);
    page.provision(more[1], Key::from_bytes([2; 32])).unwrap();
    let read = KeyPage::parse(&page.to_bytes()).unwrap();
    assert!(read.ratchet(&servers()[0]).is_none() && read.ratchet(&more[1]).is_some());
    #[cfg(feature = "x25519")]
    {
        let pin = || paired().pin(&host()).unwrap();
        assert_eq!(page.pair(host(), &pin()), Err(PeerError::Channels));
        let refused = paired().provision(host(), Key::from_bytes([1; 32]));
        assert_eq!(refused, Err(PeerError::Channels));
    }
}

/// The mark alone has no check sum: a bit of it makes the page a used one, which is refused where
/// it matters.
#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    for bytes in pages().into_iter().map(|page| page.to_bytes()) {
        for bit in 0..8 * PAGE_BYTES {
            let mut flipped = *bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            match KeyPage::parse(&flipped) {
                Err(PageError::Missing) => assert!(bit < 32, "bit {bit}"),
                Err(PageError::Version { found }) => {
                    assert_eq!((bit / 8, found), (4, flipped[4]), "bit {bit}");
                }
                Err(PageError::Damaged) => assert!(bit < 8 * (CHECKED + 4), "bit {bit}"),
                Err(error) => panic!("bit {bit}: {error:?}"),
                Ok(page) => assert!(bit >= 8 * (CHECKED + 4) && page.used(), "bit {bit}"),
            }
        }
    }
}

/// What no tool of ours writes, with the right check sum.
#[test]
fn fields_that_make_no_sense_are_refused() {
    for bytes in pages().into_iter().map(|page| page.to_bytes()) {
        let provisioned = bytes[6] == 2;
        let mut cases: Vec<(&str, usize, &[u8])> = vec![
            ("role 0", 5, &[0]),
            ("role 9", 5, &[9]),
            ("channels 0", 6, &[0]),
            ("channels 3", 6, &[3]),
            ("a byte that is zero", 7, &[1]),
            ("no name", 8, &[0; 16]),
            ("a name with a slash", 8, b"/"),
            ("a name with a gap", 9, &[0]),
            ("a peer's role 0", 96, &[0]),
            ("a peer's role 9", 96, &[9]),
            ("a peer's zeros", 97, &[1]),
            ("a peer's name", 104, &[0; 16]),
            ("spare bytes", 379, &[1]),
        ];
        cases.extend(if provisioned {
            [("a static key", 56, &[1][..]), ("no key of hellos", 152, &[0; 32])]
        } else {
            [("no static key", 56, &[0; 32][..]), ("no pairing", 152, &[0; 32])]
        });
        if provisioned {
            cases.push(("a peer twice", 184, &bytes[96..184]));
        }
        for (what, at, field) in cases {
            let mut changed = *bytes;
            changed[at..at + field.len()].copy_from_slice(field);
            let error = KeyPage::parse(&summed(changed)).err();
            assert_eq!(error, Some(PageError::Malformed), "{what}");
        }
    }
}

#[test]
fn erased_and_older_pages_say_so() {
    for byte in [0, 0xFF] {
        assert_eq!(KeyPage::parse(&[byte; PAGE_BYTES]).err(), Some(PageError::Missing));
    }
    let mut old = [0xFF; PAGE_BYTES];
    for found in [1, 2] {
        old[..8].copy_from_slice(&[b'S', b'L', b'T', b'K', found, 0, 0, 0]);
        assert_eq!(KeyPage::parse(&old).err(), Some(PageError::Version { found }));
    }
}

#[test]
fn pages_print_redacted() {
    for page in pages() {
        let mut shown = format!("{page:?}");
        for known in ["pump-07", "meter-3", "Server0", "Server1", "hall-2"] {
            shown = shown.replace(known, "");
        }
        shown = shown.replace(&format!("counter_start: {}", page.counter_start()), "");
        assert!(!shown.contains(|c: char| c.is_ascii_digit()), "{shown}");
        assert!(shown.contains("redacted"), "{shown}");
    }
}

/// The bytes of a page, as another program would lay them out.
#[cfg(feature = "x25519")]
#[test]
fn the_layout_is_that_of_the_table() {
    let page = paired();
    let bytes = page.to_bytes();
    let pin = page.pin(&host()).unwrap();
    let mut expected = [
        &b"SLTK\x03\x01\x01\0pump-07\0\0\0\0\0\0\0\0\0"[..],
        &[0x77; 32],
        &[0x11; 32],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        b"\x03\0\0\0\0\0\0\0hall-2\0\0\0\0\0\0\0\0\0\0",
        pin.public.as_bytes(),
        pin.pairing.expose(),
    ]
    .concat();
    assert_ne!(pin.public, PublicKey::from_bytes([0; 32]));
    expected.resize(PAGE_BYTES, 0);
    assert_eq!(*bytes, summed(expected.try_into().unwrap()));
}
