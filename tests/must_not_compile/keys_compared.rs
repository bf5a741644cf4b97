// Keys are never compared, hashed, defaulted or written by `serde`: a comparison that ends early
// leaks, a default key is no key.
use sharelet_core::keystream::{Block, ChaCha12, Key, Keystream, Run};

pub fn comparable<T: PartialEq>() {}
pub fn hashable<T: core::hash::Hash>() {}
pub fn defaultable<T: Default>() {}

pub fn all(key: &Key) -> [u8; 32] {
    comparable::<u8>();
    comparable::<Key>(); //~ E0277
    comparable::<Keystream<ChaCha12>>(); //~ E0277
    comparable::<Block>(); //~ E0277
    comparable::<Run<ChaCha12>>(); //~ E0277
    hashable::<Key>(); //~ E0277
    defaultable::<Key>(); //~ E0277
    *key.expose()
}
