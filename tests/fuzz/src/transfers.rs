//! Readers of what two parties send each other while they prepare alone. Messages have one length
//! each, so bytes are filled up or cut to it.

use std::sync::LazyLock;

use embassy_futures::block_on;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sharelet_core::functions::engine::Comparison;
use sharelet_core::functions::engine::offline::Offline;
use sharelet_core::functions::program::choice;
use sharelet_core::share::Party;
use sharelet_prepare::{FieldBits, Kept, Pair, Plan};

use crate::seeds::{tagged, untagged};

/// One party, and all that the other sends it.
struct Parties {
    kept: Kept,
    plan: Plan,
    /// What is kept, the message of base transfers, and the four messages of a program.
    messages: [Vec<u8>; 6],
}

static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let (message, beginning) = Kept::begin(&mut rng(1));
    let (base, other) = Kept::begin(&mut rng(2));
    let [kept, theirs] = [beginning.finish(&base).unwrap(), other.finish(&message).unwrap()];
    let mut engine = Offline::new(Plan::default(), Comparison::Ot);
    block_on(choice::relu_shift(&mut engine, 12, &mut [0_u32; 3])).unwrap();
    let plan = engine.into_task();
    let messages = {
        let (mut pair, mut peer) = (pair(Party::P0, &kept), pair(Party::P1, &theirs));
        let ((ask, asked), (theirs_ask, theirs_asked)) =
            (pair.ask(&plan).unwrap(), peer.ask(&plan).unwrap());
        let (accept, accepted) = asked.accept(&theirs_ask).unwrap();
        let (theirs_accept, theirs_accepted) = theirs_asked.accept(&ask).unwrap();
        let (answer, _) = accepted.answer(&theirs_accept).unwrap();
        let (theirs_answer, theirs_answered) = theirs_accepted.answer(&accept).unwrap();
        let (theirs_verify, _) = theirs_answered.verify(&answer, &mut rng(4)).unwrap();
        let bytes = kept.to_bytes().unwrap().to_vec();
        [bytes, base, theirs_ask, theirs_accept, theirs_answer, theirs_verify]
    };
    Parties { kept, plan, messages }
});

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn pair(party: Party, kept: &Kept) -> Pair {
    Pair::new(party, kept, [7; 32], FieldBits::Two)
}

/// What is kept, or a message in its turn.
pub fn messages(bytes: &[u8]) {
    let Parties { kept, plan, messages } = &*PARTIES;
    let Some((kind, bytes)) = untagged(bytes, messages.len()) else { return };
    if kind == 0 {
        return drop(Kept::from_bytes(bytes));
    }
    let mut changed = bytes.to_vec();
    changed.resize(messages[kind].len(), 0);
    if kind == 1 {
        return drop(Kept::begin(&mut rng(1)).1.finish(&changed));
    }
    // A wrong proof would end what is kept for good.
    let kept = Kept::from_bytes(&kept.to_bytes().unwrap()).unwrap();
    let message = |number: usize| if number == kind { &changed } else { &messages[number] };
    let mut pair = pair(Party::P0, &kept);
    let (_, asked) = pair.ask(plan).unwrap();
    let Ok((_, accepted)) = asked.accept(message(2)) else { return };
    let Ok((_, answered)) = accepted.answer(message(3)) else { return };
    let Ok((_, verified)) = answered.verify(message(4), &mut rng(3)) else { return };
    drop(verified.finish(message(5)));
}

pub fn seeds() -> Vec<Vec<u8>> {
    (0..).zip(&PARTIES.messages).map(|(kind, message)| tagged(kind, message)).collect()
}
