//! A computing server: a prepared session, and the program with its peer.

use core::convert::Infallible;
use core::{fmt, mem};
use std::collections::VecDeque;

use sharelet_core::binding::Binding;
use sharelet_core::correlation::{LengthError, Position, SessionToken};
use sharelet_core::functions::engine::offline::{Count, Offline};
use sharelet_core::functions::engine::party::{Expanded, Party, Received, Source};
use sharelet_core::functions::engine::{Comparison, EngineError, Link, Settings, Truncation};
use sharelet_core::functions::record;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::share::Party as Side;

use super::memory::Memory;
use super::offline::{self, Dealt, Plan};
use super::words::Words;
use super::{Bilinear, Machine, Masked, Program, Tensors, add};

/// A party's half of a session's correlations, ready to be spent.
pub struct Prepared {
    side: Side,
    settings: Settings,
    work_bytes: usize,
    records: Memory,
    /// Where in the memory the records begin.
    first: usize,
    shares: Shares,
}

/// A party's tensors.
struct Shares {
    masks: Words,
    /// `P0`'s shares of products are words of the same seed; `P1`'s were sent.
    products: Option<Words>,
    /// All of them as the program takes them, where it was foreseen.
    foreseen: Option<VecDeque<Vec<u64>>>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Prepared {
    /// `P0`'s half: all of it is keystream, bound to the program as the dealer deals it.
    ///
    /// # Errors
    /// More operations than a session has positions for.
    pub fn derive(
        plan: &Plan,
        truncation: Truncation,
        binding: &Binding<ChaCha12>,
        token: &SessionToken,
    ) -> Result<Self, EngineError<Infallible>> {
        let session = token.number();
        let keystream = &binding.session(session);
        let expanded_bytes = usize::try_from(plan.usage.expanded_bytes).unwrap_or(usize::MAX);
        let mut records = Memory::of(expanded_bytes);
        let mut rest = &mut *records;
        for (operation, &(layout, elements)) in plan.operations.iter().enumerate() {
            let layer = u16::try_from(operation).map_err(|_| EngineError::TooLong)?;
            let (out, next) = mem::take(&mut rest)
                .split_at_mut_checked(layout.expanded_bytes(elements))
                .unwrap_or_default();
            record::expand(keystream, Position { session, layer }, layout, elements, out)?;
            rest = next;
        }
        if !rest.is_empty() {
            let found_bytes = expanded_bytes - rest.len();
            return Err(LengthError { expected_bytes: expanded_bytes, found_bytes }.into());
        }
        let masks = Words::expand(keystream, session, plan.mask_elems + plan.product_elems);
        let work_bytes = plan.usage.work_bytes;
        Ok(Self {
            side: Side::P0,
            settings: truncation.into(),
            work_bytes,
            records,
            first: 0,
            shares: Shares { masks, products: None, foreseen: None },
        })
    }

    /// `P1`'s half, as the dealer made it.
    ///
    /// # Errors
    /// [`LengthError`] if it is not that of the program.
    pub fn receive(plan: &Plan, truncation: Truncation, dealt: Dealt) -> Result<Self, LengthError> {
        let found = [dealt.records().len(), 8 * dealt.products.len()];
        let Dealt { seed, records, first, products } = dealt;
        let expected = [plan.usage.dealt_bytes, 8 * plan.product_elems as u64];
        for (found, expected) in found.into_iter().zip(expected) {
            if found as u64 != expected {
                return Err(LengthError {
                    expected_bytes: usize::try_from(expected).unwrap_or(usize::MAX),
                    found_bytes: found,
                });
            }
        }
        let masks =
            Words::expand(&Keystream::<ChaCha12>::new(&Key::from_bytes(seed)), 0, plan.mask_elems);
        let work_bytes = plan.usage.work_bytes;
        Ok(Self {
            side: Side::P1,
            settings: truncation.into(),
            work_bytes,
            records,
            first,
            shares: Shares { masks, products: Some(Words::new(products)), foreseen: None },
        })
    }

    /// A party's half of what both have made, without a dealer: records as a dealer would write
    /// them, masks, and shares of the products of masks.
    pub(super) fn made(
        side: Side,
        settings: Settings,
        work_bytes: usize,
        records: Vec<u8>,
        [masks, products]: [Vec<u64>; 2],
    ) -> Self {
        let (masks, products) = (Words::new(masks), Some(Words::new(products)));
        let shares = Shares { masks, products, foreseen: None };
        Self { side, settings, work_bytes, records: records.into(), first: 0, shares }
    }

    /// Multiplies ahead of the program what both factors are known of: masks with tensors that were
    /// [opened before](Masked::known). `program` is the one to come, without its data.
    ///
    /// # Errors
    /// Correlations that are not those of the program.
    pub fn foresee<P: Program>(&mut self, program: &mut P) -> Result<(), EngineError<Infallible>> {
        let nothing = Shares { masks: Words::new(Vec::new()), products: None, foreseen: None };
        let ahead =
            Ahead { shares: mem::replace(&mut self.shares, nothing), found: VecDeque::new() };
        let engine = Offline::new(Count::default(), self.settings);
        let (_, _, ahead) = offline::run(program, Machine::new(engine, ahead))?;
        self.shares.foreseen = Some(ahead.found);
        Ok(())
    }

    /// Runs the program with the peer; what is left of the correlations is dropped.
    ///
    /// # Errors
    /// The link's; correlations that are not those of the program.
    pub async fn run<P: Program, L: Link>(
        self,
        program: &mut P,
        link: L,
    ) -> Result<(P::Output, L), EngineError<L::Error>> {
        let Self { side, settings, work_bytes, records, first, shares } = self;
        let mut work = vec![0; work_bytes];
        let of_records = records.get(first..).unwrap_or_default();
        // What is dealt to `P0` is a seed.
        let expanded = side == Side::P0 && settings.comparison != Comparison::Ot;
        let (output, link, shares) = match expanded {
            true => {
                let party = Party::new(Expanded::new(of_records), link, &mut work, settings);
                spend(party, shares, program).await?
            }
            false => {
                let source = Received::made(side, of_records);
                let party = Party::new(source, link, &mut work, settings);
                spend(party, shares, program).await?
            }
        };
        give_back((records, work, shares));
        Ok((output, link))
    }
}

async fn spend<S: Source, P: Program, L: Link>(
    party: Party<'_, S, L>,
    shares: Shares,
    program: &mut P,
) -> Result<(P::Output, L, Shares), EngineError<L::Error>> {
    let mut machine = Machine::new(party, shares);
    let output = program.run(&mut machine).await?;
    let (party, shares) = machine.into_parts();
    Ok((output, party.into_parts().1, shares))
}

/// Drops what is spent beside what comes next: hundreds of megabytes take the system a while.
fn give_back(spent: impl Send + 'static) {
    rayon::spawn(move || drop(spent));
}

/// A party's tensors before there is data.
struct Ahead {
    shares: Shares,
    found: VecDeque<Vec<u64>>,
}

impl Tensors for Ahead {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        let mask = self.shares.mask(elems)?;
        self.found.push_back(mask.clone());
        Ok(mask)
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        let mut out = self.shares.of_product(map)?;
        if y.known {
            add(map, &x.mask, &y.opened, &mut out)?;
        }
        let nothing = vec![0; out.len()];
        self.found.push_back(out);
        Ok(nothing)
    }
}

impl Shares {
    /// The share of the map of the masks.
    fn of_product(&mut self, map: &Bilinear) -> Result<Vec<u64>, LengthError> {
        self.products.as_mut().unwrap_or(&mut self.masks).take(map.out_elems())
    }

    /// What was foreseen next, of so many words.
    fn next(foreseen: &mut VecDeque<Vec<u64>>, elems: usize) -> Result<Vec<u64>, LengthError> {
        let next = foreseen.pop_front().unwrap_or_default();
        let wrong = LengthError { expected_bytes: 8 * elems, found_bytes: 8 * next.len() };
        if next.len() == elems { Ok(next) } else { Err(wrong) }
    }
}

impl Tensors for Shares {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        match &mut self.foreseen {
            Some(foreseen) => Self::next(foreseen, elems),
            None => self.masks.take(elems),
        }
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        let (mut out, foreseen) = match &mut self.foreseen {
            Some(foreseen) => (Self::next(foreseen, map.out_elems())?, y.known),
            None => (self.of_product(map)?, false),
        };
        add(map, &x.opened, &y.share, &mut out)?;
        if !foreseen {
            add(map, &x.mask, &y.opened, &mut out)?;
        }
        Ok(out)
    }
}
