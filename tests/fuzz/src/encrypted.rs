//! Readers of messages of encrypted products. They have one length each, so bytes are filled up or
//! cut to it.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sharelet_rlwe::weights::{self, Shape};
use sharelet_rlwe::{Public, Secret, Words32};

use crate::seeds::{tagged, untagged};

const WEIGHTS: [i32; 3] = [1, -32_768, 32_767];

/// Two parties, and the messages between them.
struct Parties {
    secret: Secret<Words32>,
    public: Public<Words32>,
    shape: Shape,
    messages: [Vec<u8>; 3],
}

static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let mut rng = rng();
    let secret = Secret::new(&mut rng);
    let key = secret.public(&mut rng);
    let public = Public::read(&key).unwrap();
    let shape = Shape::new(1, WEIGHTS.len(), 1).unwrap();
    let request = weights::request(&secret, &shape, &[1, 2, 3], &mut rng).unwrap();
    let (reply, _) = weights::respond(&public, &shape, &WEIGHTS, &request, &mut rng).unwrap();
    Parties { secret, public, shape, messages: [key, request, reply] }
});

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

/// A public key, a request or a reply.
pub fn messages(bytes: &[u8]) {
    let Parties { secret, public, shape, messages } = &*PARTIES;
    let Some((kind, bytes)) = untagged(bytes, messages.len()) else { return };
    let mut message = bytes.to_vec();
    message.resize(messages[kind].len(), 0);
    match kind {
        0 => drop(Public::<Words32>::read(&message)),
        1 => drop(weights::respond(public, shape, &WEIGHTS, &message, &mut rng())),
        _ => drop(weights::finish(secret, shape, &message)),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    (0..).zip(&PARTIES.messages).map(|(kind, message)| tagged(kind, message)).collect()
}
