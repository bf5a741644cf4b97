// A session's number makes one source of correlations, a source serves one party, and a half is
// spent where it is handed out.
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::party::{Expanded, Party, Received, Seeded, Source};
use sharelet_core::functions::engine::{Comparison, Link};
use sharelet_core::functions::record::Layout;
use sharelet_core::keystream::{ChaCha8, Keystream};

pub fn one_token(
    keystream: &Keystream<ChaCha8>,
    token: SessionToken,
) -> Seeded<'_, ChaCha8> {
    let first = Seeded::new(keystream, token);
    Seeded::new(keystream, token); //~ E0382
    first
}

pub fn one_party<'w, L: Link>(
    source: Received<'w>,
    links: [L; 2],
    work: [&'w mut [u8]; 2],
) -> Party<'w, Received<'w>, L> {
    let ([link, other], [buffers, others]) = (links, work);
    let party = Party::new(source, link, buffers, Comparison::Tables);
    Party::new(source, other, others, Comparison::Tables); //~ E0382
    party
}

pub fn one_use<S: Source>(source: &mut S, layout: Layout, spend: impl Fn(S::Half)) {
    if let Ok(Some(half)) = source.next(layout, 1) {
        spend(half);
        spend(half); //~ E0382
    }
}

pub fn source_of_p0(expanded: Expanded<'_>, spend: impl Fn(Expanded<'_>)) {
    spend(expanded);
    spend(expanded); //~ E0382
}
