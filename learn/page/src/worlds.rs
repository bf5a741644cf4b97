//! What `P1` knows about the secret: it tries every key that `P0` may have, and keeps those that
//! explain all that it has seen.
//!
//! `P1` does not know `P0`'s key. Each key gives a mask share `r_0`, so `P1`'s message from `P0`
//! would mean the secret `y = y_0 + y_1` with `y_0 = message - r_0`. The whole gate is run again
//! under that key with that secret, by the dealer and both parties, and the key is kept if `P1`
//! sees the same again: its share, its mask share, the message, `z`, the leaf bits and the bits
//! `rho` that it read, and the bits that either side opened. What the kept keys say about the
//! secret is all that `P1` can know.
//!
//! Left out of the comparison are the entries of tables that `P1` did not read, and the table's
//! words: each of them lies under keystream of its own.

use rand_core::Rng as _;
use serde::Serialize;
use sharelet_core::gate::GateKind;
use sharelet_core::keystream::{Key, Keystream};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::gate::digits::Digits;

use crate::fields::Fields;
use crate::gate::{Place, Walk, open, shares, walk};
use crate::refusal::Refusal;
use crate::seed::{Drawer, Given, Seed};
use crate::word::{Word, word};

/// The ring of this chapter: small enough that every secret can be seen.
type Toy = Small<8>;
/// Secrets of the ring.
const SECRETS: usize = 1 << Toy::BITS;
/// The most keys that are tried for one question.
const MOST_KEYS: u32 = 1 << 16;

/// How the gate is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// As the protocol says: a fresh mask.
    Fresh,
    /// The mask is 0.
    LeftOut,
}

/// The question: `keys` more keys, from number `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The secret.
    pub y: i64,
    /// Bits that the gate drops.
    pub shift: u32,
    /// How the gate is run.
    pub mask: Mask,
    /// Randomness.
    pub seed: Seed,
    /// Number of the first key.
    pub first: u64,
    /// How many keys.
    pub keys: u32,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let mask = match fields.text("mask")? {
            "fresh" => Mask::Fresh,
            "left-out" => Mask::LeftOut,
            _ => return Err(Refusal::new("A mask is `fresh` or `left-out`.")),
        };
        Ok(Self {
            y: fields.number("y")?,
            shift: fields.number("shift")?,
            mask,
            seed: Seed::read(fields)?,
            first: fields.number("first")?,
            keys: fields.number("keys")?,
        })
    }
}

/// What `P1` has seen, and which secrets explain it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What `P1` has seen.
    y_1: Word,
    r_1: Word,
    masked: Word,
    z: Word,
    /// Keys that were tried.
    tried: u32,
    /// The secrets of the keys that are kept, as signed numbers.
    secrets: Vec<i64>,
}

/// What `P1` sees of a gate, as far as it is compared.
fn view(walk: &Walk<Toy>) -> impl PartialEq + use<> {
    let [_, inside_1] = walk.inside;
    let ([_, y_1], [_, r_1]) = (walk.y_of, walk.r_of);
    ([y_1, r_1, walk.masked, walk.z], walk.own, inside_1.leaves, inside_1.rho)
}

/// The gate as it is run for `P1` to see.
fn seen(ask: &Ask, digits: Digits) -> Result<Walk<Toy>, Refusal> {
    let y = word("The secret", ask.y)?;
    let keystream = ask.seed.keystream();
    let place = Place { keystream: &keystream, session: 0 };
    let mut rest = ask.seed.of(Drawer::Dealer, 0);
    let mask = match ask.mask {
        Mask::Fresh => rest.next_u64(),
        // The mask's shares add up to 0.
        Mask::LeftOut => place.mask(Toy::ZERO)?.neg().to_u64(),
    };
    walk(place, digits, shares(place, y), &mut Given { mask, rho: None, rest })
}

/// Tries keys.
///
/// # Errors
/// A secret, a shift or a number of keys that is out of range.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    if ask.keys == 0 || ask.keys > MOST_KEYS {
        return Err(Refusal::new(format!("Between 1 and {MOST_KEYS} keys are tried at once.")));
    }
    let digits = Digits::plan(Toy::BITS, ask.shift, GateKind::Relu)?;
    let seen = seen(ask, digits)?;
    let wanted = view(&seen);
    let [_, inside_1] = seen.inside;
    let ([_, y_1], [_, r_1]) = (seen.y_of, seen.r_of);
    let mut secrets = Vec::new();
    let mut rng = ask.seed.of(Drawer::Others, ask.first);
    for _ in 0..ask.keys {
        let keystream = Keystream::new(&Key::generate(&mut rng));
        let place = Place { keystream: &keystream, session: 0 };
        let r_0: Toy = place.mask(Toy::ZERO)?;
        // Who deals no masks is known for it.
        if ask.mask == Mask::LeftOut && open([r_0, r_1]) != Toy::ZERO {
            continue;
        }
        let y_0 = seen.masked.sub(r_0);
        let rest = ask.seed.of(Drawer::Dealer, 1);
        let mut dealer = Given { mask: r_1.to_u64(), rho: Some(inside_1.rho), rest };
        let world = walk(place, digits, [y_0, y_1], &mut dealer)?;
        if view(&world) == wanted {
            secrets.push(open(world.y_of).to_i64());
        }
    }
    Ok(Answer {
        y_1: y_1.into(),
        r_1: r_1.into(),
        masked: seen.masked.into(),
        z: seen.z.into(),
        tried: ask.keys,
        secrets,
    })
}

/// The question: two secrets, under masks of two sessions or twice of the same.
#[derive(Clone, Copy, Debug)]
pub struct AskTwice {
    /// The first secret.
    pub a: i64,
    /// The second one.
    pub b: i64,
    /// Bits that the gate drops.
    pub shift: u32,
    /// Whether the second takes the first one's mask.
    pub same: bool,
    /// Randomness.
    pub seed: Seed,
    /// Keys that `P1` tries.
    pub keys: u32,
}

impl AskTwice {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            a: fields.number("a")?,
            b: fields.number("b")?,
            shift: fields.number("shift")?,
            same: fields.text("same")? == "yes",
            seed: Seed::read(fields)?,
            keys: fields.number("keys")?,
        })
    }
}

/// What `P1` has seen of both, and what it makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Twice {
    z: [Word; 2],
    out: [Word; 2],
    /// `z_b - z_a`, which `P1` computes.
    difference: Word,
    /// `b - a`, which nobody ought to.
    truth: Word,
    /// For every key that explains both messages, the two secrets.
    pairs: Vec<[i64; 2]>,
    /// How often each difference of secrets occurs among them, from the ring's lowest number on.
    differences: Vec<u32>,
}

/// Runs the gate on two secrets.
///
/// # Errors
/// A secret, a shift or a number of keys that is out of range.
pub fn twice(ask: &AskTwice) -> Result<Twice, Refusal> {
    if ask.keys == 0 || ask.keys > MOST_KEYS {
        return Err(Refusal::new(format!("Between 1 and {MOST_KEYS} keys are tried at once.")));
    }
    let digits = Digits::plan(Toy::BITS, ask.shift, GateKind::Relu)?;
    let (a, b) = (word("The first secret", ask.a)?, word("The second secret", ask.b)?);
    let keystream = ask.seed.keystream();
    // Data is shared afresh either way: it is the gate's mask that is used twice.
    let fresh = [0, 1].map(|session| Place { keystream: &keystream, session });
    let second = u64::from(!ask.same);
    let places = [0, second].map(|session| Place { keystream: &keystream, session });
    let mut walks = Vec::new();
    for ((place, from), y) in places.into_iter().zip(fresh).zip([a, b]) {
        let mut dealer = ask.seed.of(Drawer::Dealer, place.session);
        walks.push(walk::<Toy>(place, digits, shares(from, y), &mut dealer)?);
    }
    let [first, other] = walks.as_slice() else {
        return Err(Refusal::new("Two gates were asked for."));
    };
    let mut pairs = Vec::new();
    let mut differences = vec![0; SECRETS];
    let mut rng = ask.seed.of(Drawer::Others, 0);
    for _ in 0..ask.keys {
        let keystream = Keystream::new(&Key::generate(&mut rng));
        let secrets = [(first, 0), (other, second)].map(|(seen, session)| {
            let [_, y_1] = seen.y_of;
            let r_0 = Place { keystream: &keystream, session }.mask(Toy::ZERO);
            r_0.map(|r_0| open([seen.masked.sub(r_0), y_1]))
        });
        let [a, b] = secrets;
        let (a, b) = (a?, b?);
        pairs.push([a.to_i64(), b.to_i64()]);
        let difference = b.sub(a).sub(Toy::pow2(Toy::BITS - 1)).to_u64();
        if let Some(count) = usize::try_from(difference).ok().and_then(|at| differences.get_mut(at))
        {
            *count += 1;
        }
    }
    Ok(Twice {
        z: [first.z.into(), other.z.into()],
        out: [open(first.out_of).into(), open(other.out_of).into()],
        difference: other.z.sub(first.z).into(),
        truth: b.sub(a).into(),
        pairs,
        differences,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mask: Mask, keys: u32) -> Ask {
        Ask { y: -42, shift: 2, mask, seed: Seed::test(0x3e), first: 0, keys }
    }

    /// Under a fresh mask every secret explains what `P1` sees equally well: a chi-square test with
    /// 15 degrees of freedom, at one in a million.
    #[test]
    fn a_view_fits_every_secret_alike() {
        let secrets = answer(&ask(Mask::Fresh, 1 << 15)).expect("runs").secrets;
        assert!(secrets.len() > 300, "{} of 32,768 keys explain the view", secrets.len());
        let mut bins = [0_u32; 16];
        for secret in &secrets {
            bins[usize::try_from((secret + 128) / 16).expect("in the ring")] += 1;
        }
        let expected = secrets.len() as f64 / 16.0;
        let distance = |count: u32| (f64::from(count) - expected).powi(2) / expected;
        let chi_square: f64 = bins.into_iter().map(distance).sum();
        assert!(chi_square < 60.0, "{chi_square}: {bins:?}");
    }

    #[test]
    fn without_a_mask_the_secret_shows() {
        let answer = answer(&ask(Mask::LeftOut, 1 << 15)).expect("runs");
        assert_eq!(answer.z, Toy::from_u64((-42_i64).cast_unsigned()).into());
        assert!(!answer.secrets.is_empty() && answer.secrets.iter().all(|&y| y == -42));
    }

    #[test]
    fn a_mask_that_is_used_twice_shows_the_difference() {
        let Ask { seed, .. } = ask(Mask::Fresh, 1);
        let run = |same| {
            let ask = AskTwice { a: 10, b: -7, shift: 0, same, seed, keys: 2000 };
            twice(&ask).expect("runs")
        };
        let reused = run(true);
        assert_eq!(reused.difference, reused.truth);
        assert!(reused.pairs.iter().all(|[a, b]| (b - a + 17) % 256 == 0));
        assert_eq!(reused.differences.iter().filter(|&&count| count > 0).count(), 1);
        let fresh = run(false);
        assert!(fresh.differences.iter().all(|&count| count < 40), "{:?}", fresh.differences);
    }
}
