//! Products of two parties' matrices, by encryption: both parties.

use core::convert::Infallible;
use core::hint::black_box;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use sharelet_rlwe::{Public, Secret, Words32, Words64, batch, matrix, weights};

use crate::secret::{Secrets, public, secret};

/// A generator of seeds, of which every other one travels in a message.
struct Seeds {
    secrets: Secrets,
    open: ChaCha12Rng,
    is_open: bool,
}

impl Seeds {
    /// The first seed is open if it `is_open`.
    fn new(is_open: bool) -> Self {
        Self { secrets: Secrets::new(31), open: ChaCha12Rng::seed_from_u64(32), is_open }
    }
}

impl TryRng for Seeds {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.secrets.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.secrets.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if self.is_open {
            self.open.fill_bytes(bytes);
        } else {
            self.secrets.fill_bytes(bytes);
        }
        self.is_open = !self.is_open;
        Ok(())
    }
}

impl TryCryptoRng for Seeds {}

/// A triple, with a public key. Messages are public.
pub fn products() {
    let key = Secret::<Words64>::new(&mut Seeds::new(false));
    let message = public(key.public(&mut Seeds::new(true)));
    let zero = Public::read(&message).unwrap();
    let shape = matrix::Shape::new(3, 5, 2).unwrap();
    let mut secrets = Secrets::new(33);
    let mut words = |count: usize| -> Vec<u64> { (0..count).map(|_| secrets.next_u64()).collect() };
    let [a0, a1] = [0; 2].map(|_| words(15));
    let [b0, b1] = [0; 2].map(|_| words(10));
    let request = matrix::request(&key, &shape, &a0, &b0, &mut Seeds::new(true)).unwrap();
    let request = public(request);
    let mut seeds = Seeds::new(false);
    let (reply, share1) = matrix::respond(&zero, &shape, &a1, &b1, &request, &mut seeds).unwrap();
    let share0 = matrix::finish(&key, &shape, &public(reply)).unwrap();
    black_box([share0, share1]);
}

/// A layer with secret weights, of one session and of many.
pub fn layers() {
    let key = Secret::<Words32>::new(&mut Seeds::new(false));
    let zero = Public::read(&public(key.public(&mut Seeds::new(true)))).unwrap();
    let weights: Vec<i32> = secret(vec![77, -5, 32_767, -32_768, 0, 1]);
    let mut secrets = Secrets::new(34);

    let shape = weights::Shape::new(2, 3, 1).unwrap();
    let r = secrets.words(3);
    let request = public(weights::request(&key, &shape, &r, &mut Seeds::new(true)).unwrap());
    let (reply, share1) =
        weights::respond(&zero, &shape, &weights, &request, &mut Seeds::new(false)).unwrap();
    black_box([weights::finish(&key, &shape, &public(reply)).unwrap(), share1]);

    let shape = batch::Shape::new(2, 3).unwrap();
    let r = secrets.words(3 * batch::SLOTS);
    let request = public(batch::request(&key, &shape, &r, &mut Seeds::new(true)).unwrap());
    let (reply, share1) =
        batch::respond(&zero, &shape, &weights, &request, &mut Seeds::new(false)).unwrap();
    black_box([batch::finish(&key, &shape, &public(reply)).unwrap(), share1]);
}
