//! Keys of both sets, made once: they serve any number of requests.

use std::sync::LazyLock;

use sharelet_rlwe::{Parameters, Public, Secret, Words32, Words64};
use sharelet_testkit::rng;

pub struct Keys<P> {
    pub secret: Secret<P>,
    pub public: Public<P>,
}

fn keys<P: Parameters>() -> Keys<P> {
    let mut rng = rng(17);
    let secret = Secret::new(&mut rng);
    let public = Public::read(&secret.public(&mut rng)).unwrap();
    Keys { secret, public }
}

pub static KEYS32: LazyLock<Keys<Words32>> = LazyLock::new(keys);
pub static KEYS64: LazyLock<Keys<Words64>> = LazyLock::new(keys);

#[test]
fn a_public_key_has_its_length_and_keys_show_nothing() {
    let mut rng = rng(3);
    let secret = Secret::<Words32>::new(&mut rng);
    let message = secret.public(&mut rng);
    assert_eq!(message.len(), 55_328);
    assert_eq!(Public::<Words32>::bytes(), 55_328);
    assert_eq!(Public::<Words64>::bytes(), 190_496);
    assert_eq!(format!("{secret:?} {:#?}", KEYS64.public), "Secret(<redacted>) Public(..)");
    // Another message of the same secret is another encryption.
    assert_ne!(message, secret.public(&mut rng));
}
