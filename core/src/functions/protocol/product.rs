//! Element-wise products of shared vectors, and squares.
//!
//! * Computes: shares of `x * y`, element by element, or of `x * x`, in `Z_2^k`.
//! * Model: semi-honest parties and dealer; messages are one-time padded.
//! * Reference: Beaver, CRYPTO '91: a random triple `c = a b` and the openings of `x - a` and
//!   `y - b`.
//! * Consumes: one triple (a square: one pair `a, a^2`) per element.
//! * Costs: 1 message; 2 ring elements per element and party (a square: 1).
//! * Error bound: exact, modulo `2^k`.
//!
//! ```text
//! message:  d = x - a,  e = y - b           public afterwards
//! x y     = c + d [b] + e [a] + d e
//! x x     = c + 2 d [a] + d d               with c = a^2
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{Messages, Protocol, write};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::transfer::{Transfer, deal};
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// `x * y` in place of `x`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Multiply<R>(PhantomData<R>);

impl<R: Ring> Multiply<R> {
    /// The protocol; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Factors of a product: the first is replaced by the product.
pub struct Factors<'d, R> {
    /// `x`, then `x * y`.
    pub x: &'d mut [R],
    /// `y`, as long as `x`.
    pub y: &'d [R],
}

crate::correlation::redacted!([R] Factors<'_, R>);

impl<R: Ring> Protocol for Multiply<R> {
    type Data<'d> = Factors<'d, R>;

    fn elements(&self, data: &Factors<'_, R>) -> Result<usize, StepError> {
        expect_len(data.y.len(), data.x.len())?;
        Ok(data.x.len())
    }

    fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        layout.words::<R>(3);
        layout
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        2 * R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        deal::<R, _>(product::<R>(false), truth, rng);
    }

    fn transfers(&self, each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        each(product::<R>(false));
        Ok(())
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut Factors<'_, R>,
        messages: &mut Messages<'_>,
    ) {
        let size = word_bytes::<R>();
        let party = half.party();
        for (element, (x, &y)) in data.x.iter_mut().zip(data.y).enumerate() {
            let (a, b) = (half.word::<R>(element, 0), half.word::<R>(element, size));
            let at = 2 * R::BYTES * element;
            if round == 0 {
                write(messages.own, at, x.sub(a));
                write(messages.own, at + R::BYTES, y.sub(b));
                continue;
            }
            let (d, e): (R, R) = (messages.opened(at), messages.opened(at + R::BYTES));
            let c: R = half.word(element, 2 * size);
            *x = c.add(d.mul(b)).add(e.mul(a)).add(party.constant(d.mul(e)));
        }
    }

    fn twin_rounded(&self, data: &mut Factors<'_, R>, _up: &mut impl FnMut() -> bool) {
        for (x, &y) in data.x.iter_mut().zip(data.y) {
            *x = x.mul(y);
        }
    }
}

/// What a record consists of.
fn product<R: Ring>(square: bool) -> Transfer {
    Transfer::Product { square, place: 0, ring_bits: R::BITS }
}

/// `x * x` in place of `x`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Square<R>(PhantomData<R>);

impl<R: Ring> Square<R> {
    /// The protocol; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: Ring> Protocol for Square<R> {
    type Data<'d> = &'d mut [R];

    fn elements(&self, data: &&mut [R]) -> Result<usize, StepError> {
        Ok(data.len())
    }

    fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        layout.words::<R>(2);
        layout
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        deal::<R, _>(product::<R>(true), truth, rng);
    }

    fn transfers(&self, each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        each(product::<R>(true));
        Ok(())
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut &mut [R],
        messages: &mut Messages<'_>,
    ) {
        let party = half.party();
        for (element, x) in data.iter_mut().enumerate() {
            let at = R::BYTES * element;
            let a: R = half.word(element, 0);
            if round == 0 {
                write(messages.own, at, x.sub(a));
                continue;
            }
            let d: R = messages.opened(at);
            let c: R = half.word(element, word_bytes::<R>());
            *x = c.add(d.mul(a.add(a))).add(party.constant(d.mul(d)));
        }
    }

    fn twin_rounded(&self, data: &mut &mut [R], _up: &mut impl FnMut() -> bool) {
        for x in data.iter_mut() {
            *x = x.mul(*x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn products<R: Ring>() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let x = check::words::<R>(500, &mut rng);
        let mut y = check::words::<R>(500, &mut rng);
        y.reverse();
        let (mut x_0, mut x_1) = check::share(&x, &mut rng);
        let (y_0, y_1) = check::share(&y, &mut rng);
        check::run(
            &Multiply::new(),
            &mut rng,
            Factors { x: &mut x_0, y: &y_0 },
            Factors { x: &mut x_1, y: &y_1 },
        );
        let mut twin = x;
        Multiply::new().twin(&mut Factors { x: &mut twin, y: &y });
        assert_eq!(check::open(&x_0, &x_1), twin);
    }

    #[test]
    fn products_are_exact() {
        products::<u32>();
        products::<u64>();
        products::<crate::ring::Small<5>>();
    }

    fn squares<R: Ring>() {
        let x = check::words::<R>(500, &mut ChaCha20Rng::from_seed([2; 32]));
        check::in_place(&Square::new(), &x, 2);
        let mut twin = x.clone();
        Square::new().twin(&mut &mut twin[..]);
        assert!(x.iter().zip(twin).all(|(x, square)| x.mul(*x) == square));
    }

    #[test]
    fn squares_are_exact() {
        squares::<u32>();
        squares::<u64>();
        squares::<crate::ring::Small<5>>();
    }

    /// Every value of a small ring under every mask.
    #[test]
    fn no_mask_spoils_a_square() {
        let all = check::all::<6>().repeat(1 << 6);
        let (mut x_0, mut x_1) = check::share(&all, &mut ChaCha20Rng::from_seed([3; 32]));
        let mut draws = 0;
        let mut masks = check::Draws(|| {
            draws += 1;
            (draws - 1) >> 6
        });
        check::run(&Square::new(), &mut masks, &mut x_0, &mut x_1);
        assert!(all.iter().zip(check::open(&x_0, &x_1)).all(|(x, square)| x.mul(*x) == square));
    }
}
