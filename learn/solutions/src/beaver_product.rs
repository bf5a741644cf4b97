//! `x y = (a + d)(b + e) = a b + d b + e a + d e`. All but the last term are sums of shares times
//! public words; were `d e` added by both parties, it would be there twice.

use sharelet_core::ring::Ring;
use sharelet_core::share::Party;
use sharelet_exercises::given::Triple;

/// A party's message.
#[must_use]
pub fn message<R: Ring>(x: R, y: R, triple: &Triple<R>) -> [R; 2] {
    [x.sub(triple.a), y.sub(triple.b)]
}

/// A party's share of `x y`.
#[must_use]
pub fn finish<R: Ring>(party: Party, triple: &Triple<R>, [d, e]: [R; 2]) -> R {
    let public = party.constant(d.mul(e));
    triple.c.add(d.mul(triple.b)).add(e.mul(triple.a)).add(public)
}
