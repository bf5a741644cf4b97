//! The runs of a program, with what they cost.

use std::cell::RefCell;
use std::rc::Rc;

use embassy_futures::join::join;
use rand_core::Rng;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::EngineError;
use sharelet_core::functions::engine::offline::{Count, Deal, Expand, Offline, Usage};
use sharelet_core::functions::engine::party::{Expanded, Received, Seeded};
use sharelet_core::functions::engine::twin::{Rounding, Twin};
use sharelet_core::keystream::{ChaCha8, Key, Keystream};
use sharelet_core::step::StepError;
use sharelet_prepare::Plan;

use super::Program;
use super::any::{Any, Origin};
use super::data::{Data, Word};
use super::function::Function;
use super::link::{End, Stopped, Wire};
use crate::pipe::run as wait;

/// Where `P0` has its half from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A key: computed where it is read.
    Seeded,
    /// Memory: expanded beforehand.
    Expanded,
}

/// A private run.
#[derive(Debug)]
pub struct Private<R: Word> {
    /// Shares, when the program is over.
    pub data: [Data<R>; 2],
    /// The messages of either party.
    pub sent: [Vec<Vec<u8>>; 2],
    /// What it cost, as counted beforehand.
    pub usage: Usage,
}

/// Counts.
///
/// # Errors
/// The caller's mistakes.
pub fn count<R: Word, P: Program<R>>(program: &P, data: &Data<R>) -> Result<Usage, StepError> {
    let mut engine = Any::Count(Offline::new(Count::default(), program.settings()));
    wait(program.run(&mut engine, &mut program.dealer(data))).map_err(step)?;
    Ok(engine.counted().expect("an engine that counts"))
}

/// The plaintext results.
///
/// # Errors
/// The caller's mistakes.
pub fn twin<R: Word, P: Program<R>>(program: &P, mut data: Data<R>) -> Result<Data<R>, StepError> {
    let mut twin = Any::Twin(Twin { settings: program.settings() });
    wait(program.run(&mut twin, &mut data)).map_err(step)?;
    Ok(data)
}

fn step<E: core::fmt::Debug>(error: EngineError<E>) -> StepError {
    match error {
        EngineError::Step(error) => error,
        error => panic!("not the caller's mistake: {error:?}"),
    }
}

/// Counts, deals, and runs two parties on shares; nothing may be left of the correlations, and what
/// passes must be what was counted. `seed` is for the key and the dealer.
pub fn private<R: Word, P: Program<R>>(
    program: &P,
    shares: [Data<R>; 2],
    dealer: &Data<R>,
    memory: Memory,
    seed: u64,
) -> Private<R> {
    let usage = count(program, dealer).expect("a valid call");
    let mut rng = crate::rng(seed);
    let mut key = [0; 32];
    rng.fill_bytes(&mut key);
    let keystream = Keystream::<ChaCha8>::new(&Key::from_bytes(key));
    let session = rng.next_u64();
    let dealt = deal(program, dealer, &keystream, session, &usage, seed);
    let received = Received::new(&dealt);
    let (data, sent) = match memory {
        Memory::Seeded => {
            let source = Seeded::new(&keystream, SessionToken::consumed(session));
            parties(program, (Origin::Seeded(source), received), shares, &usage)
        }
        Memory::Expanded => {
            let mut memory = vec![0; usize::try_from(usage.expanded_bytes).expect("fits")];
            let task = Expand::new(&keystream, SessionToken::consumed(session), &mut memory);
            let mut engine = Any::Expand(Offline::new(task, program.settings()));
            wait(program.run(&mut engine, &mut dealer.clone()))
                .expect("room for the expanded half");
            drop(engine);
            parties(program, (Origin::Expanded(Expanded::new(&memory)), received), shares, &usage)
        }
    };
    for sent in &sent {
        assert_eq!(sent.len() as u64, usage.messages, "messages");
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert_eq!(bytes as u64, usage.online_bytes, "bytes");
    }
    Private { data, sent, usage }
}

/// Deals: to the very byte.
fn deal<R: Word, P: Program<R>>(
    program: &P,
    dealer: &Data<R>,
    keystream: &Keystream<ChaCha8>,
    session: u64,
    usage: &Usage,
    seed: u64,
) -> Vec<u8> {
    const CANARY: [u8; 9] = [0xc5; 9];
    let dealt_bytes = usize::try_from(usage.dealt_bytes).expect("fits");
    let mut dealt = vec![CANARY[0]; dealt_bytes + CANARY.len()];
    let task = Deal::new(keystream, session, crate::rng(!seed), &mut dealt);
    let mut engine = Any::Deal(Offline::new(task, program.settings()));
    wait(program.run(&mut engine, &mut dealer.clone())).expect("room for the corrections");
    drop(engine);
    assert_eq!(dealt.split_off(dealt_bytes), CANARY, "the dealer wrote more than it counted");
    dealt
}

/// Two parties with sources of their choice; `P1` must have spent all.
fn parties<R: Word, P: Program<R>>(
    program: &P,
    (source_0, source_1): (Origin<'_>, Received<'_>),
    [mut data_0, mut data_1]: [Data<R>; 2],
    usage: &Usage,
) -> ([Data<R>; 2], [Vec<Vec<u8>>; 2]) {
    let wire = Rc::new(RefCell::new(Wire::default()));
    let end = |side| End::Party(side, Rc::clone(&wire));
    let (mut work_0, mut work_1) = (vec![0x3c; usage.work_bytes], vec![0xc3; usage.work_bytes]);
    let mut p0 = Any::party(source_0, end(0), &mut work_0, program.settings());
    let mut p1 = Any::party(Origin::Received(source_1), end(1), &mut work_1, program.settings());
    let (done_0, done_1) = wait(join(
        async {
            let done = program.run(&mut p0, &mut data_0).await;
            wire.borrow_mut().stop(0);
            done
        },
        async {
            let done = program.run(&mut p1, &mut data_1).await;
            wire.borrow_mut().stop(1);
            done
        },
    ));
    assert_eq!((done_0, done_1), (Ok(()), Ok(())));
    let (_, left_bytes) = p1.received().expect("a party that received");
    assert_eq!(left_bytes, 0, "corrections are left");
    let sent = core::mem::take(&mut wire.borrow_mut().sent);
    ([data_0, data_1], sent)
}

/// The runs of [`Function`]s, compiled once.
pub trait Runs: Word {
    /// [`private`], with `memory` and shares that follow from `seed`.
    fn private(function: &Function, data: &Data<Self>, seed: u64) -> Private<Self> {
        let mut rng = crate::rng(seed ^ 0x5eed);
        let memory = if seed.is_multiple_of(2) { Memory::Seeded } else { Memory::Expanded };
        Self::private_on(function, data.share(&mut rng), &function.dealer(data), memory, seed)
    }
    /// [`private`] on these shares.
    fn private_on(
        function: &Function,
        shares: [Data<Self>; 2],
        dealer: &Data<Self>,
        memory: Memory,
        seed: u64,
    ) -> Private<Self>;
    /// Two parties whose corrections, and `P0`'s half, are zeros: nothing is masked.
    fn unmasked(function: &Function, shares: [Data<Self>; 2]) -> [Vec<Vec<u8>>; 2];
    /// Two parties with sources of their choice.
    fn between(
        function: &Function,
        sources: (Origin<'_>, Received<'_>),
        shares: [Data<Self>; 2],
        usage: &Usage,
    ) -> ([Data<Self>; 2], [Vec<Vec<u8>>; 2]);
    /// What two parties have to make who have no dealer, for calls that follow each other; the
    /// first has the settings.
    ///
    /// # Errors
    /// Where they cannot.
    fn plan(calls: &[(&Function, &Data<Self>)]) -> Result<Plan, EngineError<Stopped>>;
    /// [`twin`].
    ///
    /// # Errors
    /// The caller's mistakes.
    fn twin(function: &Function, data: Data<Self>) -> Result<Data<Self>, StepError>;
    /// The plaintext results where what is left to chance follows from `seed`.
    fn rounded(function: &Function, data: Data<Self>, seed: u64) -> Data<Self>;
    /// [`count`].
    ///
    /// # Errors
    /// The caller's mistakes.
    fn count(function: &Function, data: &Data<Self>) -> Result<Usage, StepError>;
    /// `P1` alone, with `dealt` bytes of corrections, at the end of a link. What came of it, what
    /// was sent, what is left.
    fn alone(
        function: &Function,
        data: &mut Data<Self>,
        end: End,
        dealt: &[u8],
        work_bytes: usize,
    ) -> (Result<(), EngineError<Stopped>>, End, usize);
}

macro_rules! runs {
    ($($ring:ty),*) => {$(
        impl Runs for $ring {
            fn private_on(
                function: &Function,
                shares: [Data<Self>; 2],
                dealer: &Data<Self>,
                memory: Memory,
                seed: u64,
            ) -> Private<Self> {
                private(function, shares, dealer, memory, seed)
            }
            fn unmasked(function: &Function, shares: [Data<Self>; 2]) -> [Vec<Vec<u8>>; 2] {
                let usage = count(function, &shares[0]).expect("a valid call");
                let bytes = |bytes: u64| vec![0; usize::try_from(bytes).expect("fits")];
                let (memory, dealt) = (bytes(usage.expanded_bytes), bytes(usage.dealt_bytes));
                let sources = (Origin::Expanded(Expanded::new(&memory)), Received::new(&dealt));
                parties(function, sources, shares, &usage).1
            }
            fn between(
                function: &Function,
                (source_0, source_1): (Origin<'_>, Received<'_>),
                shares: [Data<Self>; 2],
                usage: &Usage,
            ) -> ([Data<Self>; 2], [Vec<Vec<u8>>; 2]) {
                parties(function, (source_0, source_1), shares, usage)
            }
            fn plan(calls: &[(&Function, &Data<Self>)]) -> Result<Plan, EngineError<Stopped>> {
                let settings = calls.first().map(|(first, _)| Program::<Self>::settings(*first));
                let settings = settings.unwrap_or_default();
                let mut engine = Any::Plan(Offline::new(Plan::default(), settings));
                for (function, data) in calls {
                    wait(function.run(&mut engine, &mut function.dealer(data)))?;
                }
                Ok(engine.planned().expect("an engine that plans"))
            }
            fn twin(function: &Function, data: Data<Self>) -> Result<Data<Self>, StepError> {
                twin(function, data)
            }
            fn rounded(function: &Function, data: Data<Self>, seed: u64) -> Data<Self> {
                let (mut rng, mut data) = (crate::rng(seed), data);
                let up: Box<dyn FnMut() -> bool> = Box::new(move || rng.next_u64() % 2 == 1);
                let rounding = Rounding::new(up, Program::<Self>::settings(function));
                let mut engine = Any::Rounding(rounding);
                wait(function.run(&mut engine, &mut data)).expect("a valid call");
                data
            }
            fn count(function: &Function, data: &Data<Self>) -> Result<Usage, StepError> {
                count(function, data)
            }
            fn alone(
                function: &Function,
                data: &mut Data<Self>,
                end: End,
                dealt: &[u8],
                work_bytes: usize,
            ) -> (Result<(), EngineError<Stopped>>, End, usize) {
                let (mut work, received) = (vec![0x3c; work_bytes], Received::new(dealt));
                let settings = Program::<Self>::settings(function);
                let mut party = Any::party(Origin::Received(received), end, &mut work, settings);
                let done = wait(function.run(&mut party, data));
                let (end, left_bytes) = party.received().expect("a party that received");
                (done, end, left_bytes)
            }
        }
    )*};
}
runs!(u32, u64);
