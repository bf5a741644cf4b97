// The only ways to a correlation are the views; their contents, and the bytes of a key, are
// private.
use sharelet_core::correlation::SessionToken;
use sharelet_core::keystream::{ChaCha12, Key};
use sharelet_core::session::linear;

pub fn key(key: &Key) -> &[u8; 32] {
    let _ = &key.0; //~ E0616
    key.expose()
}

pub fn token(token: &SessionToken) -> u64 {
    let _ = token.0; //~ E0616
    token.number()
}

pub fn piece(piece: &linear::InputMaskPiece<'_, ChaCha12>, out: &mut [u32]) -> usize {
    piece.masks(out); //~ E0624
    let _ = piece.first; //~ E0616
    piece.len()
}
