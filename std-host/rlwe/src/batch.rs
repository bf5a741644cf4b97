//! Private weights times the masks of 4,096 sessions at once, modulo `2^32`: shares of `W r`, where
//! `P0` holds a vector `r` per session and `P1` holds `W`. It is for a store of correlations.
//!
//! An element of `r` is one ciphertext, whose coefficients are that element in all sessions. So
//! `P1` multiplies by plain integers and adds: there is no product of polynomials, but for the
//! re-randomisation of an output. `W` has `outputs x inputs` signed weights, row-major; `r` has
//! `inputs x SLOTS` words, an element's sessions one after the other; so have the shares, `outputs
//! x SLOTS`.
//!
//! `P1` holds a group of ciphertexts and the sums of up to 128 outputs, 34 MB, beside messages and
//! shares. Of more outputs the request is read once per 128.

use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::error::Error;
use super::fresh::{encrypt, read, write};
use super::keys::{Public, Secret};
use super::modulus::lower_half;
use super::noise::{check as check_noise, noise_bits};
use super::pair::Pair;
use super::poly::Poly;
use super::reply::{open, seal};
use super::ring::{Parameters as _, Ring, Words32};
use super::sample::{SEED_BYTES, Seed};
use super::scaled::{GROUP, add_scaled};

/// Sessions of a batch.
pub const SLOTS: usize = 4096;
/// Elements of a vector, at most: so many products with weights whose noise can be hidden fit in
/// signed words of 64 bits.
pub const MAX_INPUTS: usize = 1 << 15;
/// Outputs that are summed up at once.
const OUTPUTS: usize = 128;

/// Public sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    outputs: usize,
    inputs: usize,
}

impl Shape {
    /// Of `outputs x inputs` weights.
    ///
    /// # Errors
    /// [`Error::Sizes`] if one is 0, `inputs` is more than [`MAX_INPUTS`], or messages would be too
    /// long.
    pub fn new(outputs: usize, inputs: usize) -> Result<Self, Error> {
        let is_sized = (1..=MAX_INPUTS).contains(&inputs) && (1..=1 << 24).contains(&outputs);
        let reply = outputs.checked_mul(Words32::ring().reply_bytes(SLOTS));
        if is_sized && reply.is_some() { Ok(Self { outputs, inputs }) } else { Err(Error::Sizes) }
    }

    /// Bytes of a request: 55,296 per input, and 32.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        SEED_BYTES + self.inputs * Words32::ring().fresh_bytes()
    }

    /// Bytes of a reply: 39,936 per output.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.outputs * Words32::ring().reply_bytes(SLOTS)
    }

    /// Bits of the bound of the noise before flooding: the largest of a row.
    ///
    /// # Errors
    /// [`Error::Operand`] if there are more or fewer weights; [`Error::Noise`] if flooding does not
    /// hide it: then [`respond`] refuses them, too.
    pub fn noise_bits(&self, weights: &[i32]) -> Result<f64, Error> {
        Ok(noise_bits(Words32::ring(), self.squares(weights)?))
    }

    /// The largest sum of squares of a row, if its noise is hidden.
    fn squares(&self, weights: &[i32]) -> Result<f64, Error> {
        check("W", weights.len(), self.outputs * self.inputs)?;
        let squares = |row: &[i32]| row.iter().map(|&weight| f64::from(weight).powi(2)).sum();
        let largest = weights.chunks(self.inputs).map(squares).fold(0.0, f64::max);
        check_noise(Words32::ring(), largest)?;
        Ok(largest)
    }
}

fn check(operand: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Operand { operand, expected, found }) }
}

/// `P0`'s request, of `r`.
///
/// # Errors
/// [`Error::Operand`] if `r` has another length.
pub fn request(
    secret: &Secret<Words32>,
    shape: &Shape,
    r: &[u32],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    check("r", r.len(), shape.inputs * SLOTS)?;
    let ring = Words32::ring();
    let (public, private) = (Seed::new(rng), Seed::new(rng));
    let mut message = vec![0; shape.request_bytes()];
    if let Some((seed, rest)) = message.split_first_chunk_mut() {
        *seed = *public.bytes();
        let of_inputs =
            rest.par_chunks_exact_mut(ring.fresh_bytes()).zip(r.par_chunks_exact(SLOTS));
        of_inputs.enumerate().for_each(|(number, (to, words))| {
            let mut streams = [public.stream(number), private.stream(number)];
            let [public, private] = &mut streams;
            let words = words.iter().map(|&word| word.into());
            write(ring, &encrypt(ring, secret.values(), public, private, words), to);
        });
    }
    Ok(message)
}

/// `P1`'s reply, of `W`, and its share: `outputs x SLOTS` words.
///
/// # Errors
/// As [`Shape::noise_bits`]; [`Error::Length`] or [`Error::Residue`] if the request is not one of
/// this shape.
pub fn respond(
    public: &Public<Words32>,
    shape: &Shape,
    weights: &[i32],
    request: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Vec<u32>), Error> {
    let _ = shape.squares(weights)?;
    let ring = Words32::ring();
    let length = Error::Length { expected: shape.request_bytes(), found: request.len() };
    let (seed, fresh) = request.split_first_chunk::<SEED_BYTES>().ok_or(length)?;
    if request.len() != shape.request_bytes() {
        return Err(length);
    }
    let (public_seed, private) = (Seed::from_bytes(*seed), Seed::new(rng));
    let mut reply = vec![0; shape.reply_bytes()];
    let mut shares = vec![0; shape.outputs * SLOTS];
    let some_bytes = OUTPUTS * ring.reply_bytes(SLOTS);
    let turns = reply.chunks_mut(some_bytes).zip(shares.chunks_mut(OUTPUTS * SLOTS));
    let turns = turns.zip(weights.chunks(OUTPUTS * shape.inputs));
    for (turn, ((reply, shares), weights)) in turns.enumerate() {
        let sums = sums(ring, shape.inputs, weights, &public_seed, fresh)?;
        let results = reply.par_chunks_exact_mut(ring.reply_bytes(SLOTS));
        let results = results.zip(shares.par_chunks_exact_mut(SLOTS));
        let results = results.zip(sums.par_chunks_exact(2 * ring.residues())).enumerate();
        results.for_each(|(place, ((reply, shares), sums))| {
            let mut private = private.stream(turn * OUTPUTS + place);
            let (b, a) = sums.split_at(ring.residues());
            let pair = Pair { b: Poly::reduced(ring, b), a: Poly::reduced(ring, a) };
            let words = seal(ring, public.zero(), &mut private, pair, 0..SLOTS, reply);
            shares.iter_mut().zip(words.iter()).for_each(|(to, &word)| *to = lower_half(word));
        });
    }
    Ok((reply, shares))
}

/// Weights times ciphertexts, for each row of weights: `b`, then `a`, not reduced.
fn sums(
    ring: &Ring,
    inputs: usize,
    weights: &[i32],
    public: &Seed,
    fresh: &[u8],
) -> Result<Zeroizing<Vec<i64>>, Error> {
    let mut sums = Zeroizing::new(vec![0; weights.len() / inputs * 2 * ring.residues()]);
    for first in (0..inputs).step_by(GROUP) {
        let group = fresh.par_chunks_exact(ring.fresh_bytes()).enumerate().skip(first).take(GROUP);
        let group = group.map(|(number, bytes)| {
            let Pair { b, a } = read(ring, &mut public.stream(number), bytes)?;
            // Below 2^27.
            let words = b.residues().iter().chain(a.residues());
            Ok(words.map(|&word| lower_half(word).cast_signed()).collect())
        });
        let group: Vec<Vec<i32>> = group.collect::<Result<_, Error>>()?;
        let of_outputs = sums.par_chunks_exact_mut(2 * ring.residues());
        of_outputs.zip(weights.par_chunks_exact(inputs)).for_each(|(sums, weights)| {
            add_scaled(weights.get(first..).unwrap_or_default(), &group, sums);
        });
    }
    Ok(sums)
}

/// `P0`'s share: `outputs x SLOTS` words.
///
/// # Errors
/// [`Error::Length`] or [`Error::Filling`] if the reply is not one of this shape.
pub fn finish(secret: &Secret<Words32>, shape: &Shape, reply: &[u8]) -> Result<Vec<u32>, Error> {
    let (expected, found) = (shape.reply_bytes(), reply.len());
    if found != expected {
        return Err(Error::Length { expected, found });
    }
    let ring = Words32::ring();
    let mut shares = vec![0; shape.outputs * SLOTS];
    let of_outputs = shares.par_chunks_exact_mut(SLOTS);
    let of_outputs = of_outputs.zip(reply.par_chunks_exact(ring.reply_bytes(SLOTS)));
    let results = of_outputs.map(|(to, bytes)| {
        let words = open(ring, secret.values(), 0..SLOTS, bytes)?;
        to.iter_mut().zip(words.iter()).for_each(|(to, &word)| *to = lower_half(word));
        Ok(())
    });
    results.collect::<Result<(), Error>>()?;
    Ok(shares)
}
