//! Readings that become words and shares; and two leaks, to see that they are reported.

use core::hint::black_box;

use sharelet_core::encode_or_zero;
use sharelet_core::fixed::{Columns, FracBits, Real};
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::{Key, share};

use crate::secret::{Secrets, public, secret};

/// Readings that fit, and others that do not.
pub fn readings() {
    let kinds = [
        [0.5, -0.0, 3.25, -7.0],
        [99.0, 1e-40, -1e30, 2.0],
        [f32::NAN, 1.0, f32::INFINITY, f32::MIN_POSITIVE],
    ];
    for reading in kinds {
        encode(reading);
        encode(reading.map(f64::from));
    }
}

fn encode<T: Real + core::fmt::Debug>(reading: [T; 4]) {
    encode_at(reading, 8);
    encode_at(reading, Columns { frac_bits: 8, exponents: &[-60, 0, 3, 60] });
}

fn encode_at<T: Real + core::fmt::Debug>(reading: [T; 4], scale: impl FracBits) {
    let (mut words, mut wide) = ([0_u32; 4], [0_u64; 4]);
    let reading = secret(reading);
    let fits = encode_or_zero(&reading, scale, 1_u32 << 12, &mut words);
    assert_eq!(fits, encode_or_zero(&reading, scale, 1_u32 << 12, &mut wide));
    // The words themselves are compared: nobody else gets to see them.
    assert_eq!(
        public(words).map(|word| i64::from(word.cast_signed())),
        public(wide).map(u64::cast_signed)
    );
}

/// A data party's halves of a reading.
pub fn query() {
    let mut secrets = Secrets::new(8);
    let keystream = Keystream::<ChaCha12>::new(&Key::from_bytes(secrets.key()));
    let mut words = secrets.words(40);
    share::split(&keystream, 0, &mut words);
    let mut own = vec![0; 40];
    share::expand(&keystream, 0, &mut own);
    share::open(&mut words, &own);
    black_box(words);
}

pub fn secret_branch() {
    let word = Secrets::new(9).words(1)[0];
    if word.is_multiple_of(3) {
        println!("the secret is a multiple of three");
    }
}

pub fn secret_index() {
    let table: [u8; 256] = black_box(core::array::from_fn(|at| (at * 7).to_le_bytes()[0]));
    let at = Secrets::new(9).words(1)[0].to_le_bytes()[0];
    black_box(table[usize::from(at)]);
}
