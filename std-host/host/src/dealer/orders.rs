//! Who may ask the dealer for what: a party of the right role, for what `P0` has ordered for it.
//!
//! On plaintext links nobody proves a name: any peer may ask, and orders are for no name.

use sharelet_core::binding::Binding;
use sharelet_core::keystream::{KeyId, Keystream};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::{Party, Role};

use super::wire::{Description, Kind, Ordered, Refusal, Window};
use crate::store::key::DeviceKey;

/// Whether a peer of this role asks for such.
///
/// # Errors
/// [`Refusal::WrongRole`].
pub(super) fn role(peer: Option<Party>, kind: Kind) -> Result<(), Refusal> {
    let roles: &[Role] = match kind {
        Kind::Status | Kind::Offer | Kind::Deal => &[Role::Host, Role::Server1],
        Kind::Train | Kind::Serve => &[Role::Server1],
        // No request.
        _ => return Ok(()),
    };
    let may = peer.is_none_or(|peer| roles.contains(&peer.role));
    if may { Ok(()) } else { Err(Refusal::WrongRole) }
}

fn name(peer: Option<Party>) -> Option<DeviceId> {
    peer.map(|peer| peer.name)
}

/// Whether the program's device has ordered a window for this peer, in which the sessions
/// `first..first + count` lie.
///
/// # Errors
/// [`Refusal::NoOrder`].
pub(super) fn window(
    binding: &Binding,
    peer: Option<Party>,
    ordered: &Window,
    (first, count): (u64, u32),
) -> Result<(), Refusal> {
    let order = binding.order(&DeviceId::proved(name(peer)), ordered.first, ordered.count);
    let given = order == ordered.order && ordered.holds(first, count);
    if given { Ok(()) } else { Err(Refusal::NoOrder) }
}

/// The keystream of what the holder of `key` has ordered for this peer, and the key's name. Nothing
/// of the description is looked at.
///
/// # Errors
/// [`Refusal::OtherKey`], [`Refusal::NoOrder`].
pub(super) fn program<D: Description>(
    key: &DeviceKey,
    peer: Option<Party>,
    ordered: &Ordered<D>,
) -> Result<(KeyId, Binding), Refusal> {
    let Ordered { key: asked, order, description } = ordered;
    let id = key.key_id();
    if id != *asked {
        return Err(Refusal::OtherKey);
    }
    let binding = description.bind(&Keystream::new(&key.key)).map_err(|_| Refusal::BadRun)?;
    if description.order(&binding, name(peer)) == *order {
        Ok((id, binding))
    } else {
        Err(Refusal::NoOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_core::binding::Order;

    #[test]
    fn sessions_lie_in_their_window_up_to_the_last_number_there_is() {
        let window = |first, count| Window { first, count, order: Order::from_bytes([0; 16]) };
        for (first, count, held) in [
            (10, 5, true),
            (10, 1, true),
            (14, 1, true),
            (14, 2, false),
            (15, 0, true),
            (9, 1, false),
            (9, 7, false),
            (u64::MAX, u32::MAX, false),
        ] {
            assert_eq!(window(10, 5).holds(first, count), held, "{first}, {count}");
        }
        let last = window(u64::MAX - 1, 1024);
        assert!(last.holds(u64::MAX, 1023) && !last.holds(u64::MAX, 1024) && !last.holds(0, 1));
        assert_eq!(last.end(), u64::MAX);
    }

    #[test]
    fn roles_ask_for_their_own() {
        let asks = |role_of, kind| role(Party::new(role_of, "x"), kind).is_ok();
        for kind in [Kind::Status, Kind::Offer, Kind::Deal, Kind::Train, Kind::Serve] {
            let programs = matches!(kind, Kind::Train | Kind::Serve);
            assert!(role(None, kind).is_ok());
            assert!(asks(Role::Server1, kind));
            assert_eq!(asks(Role::Host, kind), !programs);
            for other in [Role::Device, Role::DataParty, Role::Dealer, Role::Server0, Role::Owner] {
                assert!(!asks(other, kind), "{other}, {kind:?}");
            }
        }
    }
}
