//! The four messages in which two parties prepare a program.
//!
//! A type for each state: what a party does next is the only thing that it can do. Both do the same
//! at the same time, so their messages cross.

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sharelet_core::share::Party;
use sharelet_ot::extension::{
    CHALLENGE_BYTES, FieldBits, PROOF_BYTES, PendingReceived, PendingSent, Receiver, Sender,
    message_bytes,
};
use sharelet_ot::ots::{Received, Sent};
use zeroize::Zeroizing;

use crate::cursor::{Receiving, Sending};
use crate::error::{PrepareError, expect};
use crate::fill::{self, Maker};
use crate::kept::Kept;
use crate::plan::{DIGEST_BYTES, Plan};
use crate::silent::{Silence, Silent};
use crate::strings::HeldStrings;

/// Transfers of one call of the extension: 16 MB of memory.
const CALL: usize = 1 << 20;

/// One party of a pair, in one session: prepares one program after the other.
#[derive(Debug)]
pub struct Pair {
    party: Party,
    field: FieldBits,
    sender: Sender,
    receiver: Receiver,
    /// Whether the peer has not sent its trees yet: they come with its first transfers.
    awaits_trees: bool,
    silence: Silence,
}

/// The correlations that were asked for are on the way.
#[derive(Debug)]
pub struct Asked<'p> {
    pair: &'p mut Pair,
    plan: &'p Plan,
    first: bool,
    receiving: Vec<PendingReceived>,
}

/// The peer's transfers are accepted, but not checked.
#[derive(Debug)]
pub struct Accepted<'p> {
    party: Party,
    plan: &'p Plan,
    receiving: Vec<PendingReceived>,
    sending: Vec<PendingSent>,
}

/// One's own transfers are proved to the peer.
#[derive(Debug)]
pub struct Answered<'p> {
    party: Party,
    plan: &'p Plan,
    received: Vec<Received>,
    sending: Vec<PendingSent>,
}

/// The transfers of a program, checked.
pub struct Transfers {
    party: Party,
    sending: Sending,
    receiving: Receiving,
}

impl core::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transfers").field("party", &self.party).finish_non_exhaustive()
    }
}

/// Records are made, but for the peer's corrections.
#[derive(Debug)]
pub struct Verified<'p> {
    party: Party,
    plan: &'p Plan,
    records: Made,
}

/// A party's half of a program's correlations.
pub struct Made {
    party: Party,
    bytes: Zeroizing<Vec<u8>>,
    strings: HeldStrings,
}

impl core::fmt::Debug for Made {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Made").field("party", &self.party).finish_non_exhaustive()
    }
}

impl Made {
    /// Whose half it is, and the records as a dealer would write them: for one run of the program,
    /// whose source is `engine::party::Received::made`.
    #[must_use]
    pub fn into_records(mut self) -> (Party, Vec<u8>) {
        (self.party, core::mem::take(&mut *self.bytes))
    }

    /// The records, and the strings.
    #[must_use]
    pub fn into_parts(mut self) -> (Vec<u8>, HeldStrings) {
        (core::mem::take(&mut *self.bytes), self.strings)
    }
}

/// Calls of the extension for so many transfers.
fn calls(transfers: usize) -> impl Iterator<Item = usize> {
    let whole = transfers / CALL;
    core::iter::repeat_n(CALL, whole).chain([transfers % CALL].into_iter().filter(|&rest| rest > 0))
}

/// Bytes of the messages that ask for so many transfers.
fn asking_bytes(field: FieldBits, transfers: usize, first: bool) -> impl Iterator<Item = usize> {
    calls(transfers)
        .zip(core::iter::once(first).chain(core::iter::repeat(false)))
        .map(move |(count, first)| message_bytes(field, count, first))
}

/// The name of a session in the direction that `sender` sends in.
fn named(session: [u8; 32], sender: Party) -> [u8; 32] {
    let direction = match sender {
        Party::P0 => "sharelet prepare, P0 sends",
        Party::P1 => "sharelet prepare, P1 sends",
    };
    Sha256::new().chain_update(direction).chain_update(session).finalize().into()
}

const fn peer(party: Party) -> Party {
    match party {
        Party::P0 => Party::P1,
        Party::P1 => Party::P0,
    }
}

impl Pair {
    /// A party's side of a session. Both sides give the same `session`, which never repeats for
    /// what they keep, and the same `field`. Under a name that repeats masks would repeat:
    /// [`crate::link::begin`] makes one of both parties' fresh randomness.
    #[must_use]
    pub fn new(party: Party, kept: &Kept, session: [u8; 32], field: FieldBits) -> Self {
        Self {
            party,
            field,
            sender: Sender::new(&kept.chosen, named(session, party), field),
            receiver: Receiver::new(&kept.pairs, named(session, peer(party)), field),
            awaits_trees: true,
            silence: Silence::Never,
        }
    }

    /// With silent transfers where programs are prepared by [`crate::link::prepare`]; both sides
    /// or none. A program of less than a million transfers, or two, is not worth them: they begin
    /// with 600,000 of the extension.
    #[must_use]
    pub fn silently(self) -> Self {
        Self { silence: Silence::Fresh, ..self }
    }

    pub(crate) const fn party(&self) -> Party {
        self.party
    }

    /// What there is of silent transfers. It counts as lost until it is kept again.
    pub(crate) fn take_silence(&mut self) -> Silence {
        match self.silence {
            Silence::Never => Silence::Never,
            _ => core::mem::replace(&mut self.silence, Silence::Lost),
        }
    }

    pub(crate) fn keep_silent(&mut self, silent: Box<Silent>) {
        self.silence = Silence::Ready(silent);
    }

    /// Forgets what is left of silent transfers, which takes much memory; the next program makes
    /// new ones. Both sides, or none.
    pub fn rest(&mut self) {
        if matches!(self.silence, Silence::Ready(_)) {
            self.silence = Silence::Fresh;
        }
    }

    /// Transfers of a program: to send, and to receive.
    pub(crate) fn needs(&self, plan: &Plan) -> Result<[usize; 2], PrepareError> {
        let [[to_send, _], [to_receive, _]] =
            [plan.sizes(self.party)?, plan.sizes(peer(self.party))?];
        Ok([to_send, to_receive])
    }

    /// Asks for the transfers of a program: the first message.
    ///
    /// # Errors
    /// A program that is too large.
    pub fn ask<'p>(&'p mut self, plan: &'p Plan) -> Result<(Vec<u8>, Asked<'p>), PrepareError> {
        let [transfers, _] = plan.sizes(peer(self.party))?;
        let [to_send, _] = plan.sizes(self.party)?;
        let first = self.awaits_trees;
        self.awaits_trees &= to_send == 0;
        let (mut message, mut receiving) = (plan.digest().to_vec(), Vec::new());
        for count in calls(transfers) {
            let (part, pending) = self.receiver.extend(count)?;
            message.extend(part);
            receiving.push(pending);
        }
        Ok((message, Asked { pair: self, plan, first, receiving }))
    }
}

impl<'p> Asked<'p> {
    /// Bytes of the peer's first message.
    ///
    /// # Errors
    /// A program that is too large.
    pub fn expected_bytes(&self) -> Result<usize, PrepareError> {
        let [transfers, _] = self.plan.sizes(self.pair.party)?;
        Ok(DIGEST_BYTES + asking_bytes(self.pair.field, transfers, self.first).sum::<usize>())
    }

    /// Takes the peer's first message: the second.
    ///
    /// # Errors
    /// [`PrepareError::OtherProgram`]; a message of another length, or damaged.
    pub fn accept(self, message: &[u8]) -> Result<(Vec<u8>, Accepted<'p>), PrepareError> {
        let (digest, rest) =
            message.split_at_checked(DIGEST_BYTES).unwrap_or((message, Default::default()));
        if digest != self.plan.digest() {
            return Err(PrepareError::OtherProgram);
        }
        expect("a message of transfers", message, self.expected_bytes()?)?;
        let Self { pair, plan, first, receiving } = self;
        let [transfers, _] = plan.sizes(pair.party)?;
        let (mut rest, mut challenges, mut sending) = (rest, Vec::new(), Vec::new());
        for (count, bytes) in calls(transfers).zip(asking_bytes(pair.field, transfers, first)) {
            let (part, more) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
            rest = more;
            let (challenge, pending) = pair.sender.accept(count, part)?;
            challenges.extend(challenge);
            sending.push(pending);
        }
        Ok((challenges, Accepted { party: pair.party, plan, receiving, sending }))
    }
}

impl<'p> Accepted<'p> {
    /// Bytes of the peer's second message.
    #[must_use]
    pub fn expected_bytes(&self) -> usize {
        self.receiving.len() * CHALLENGE_BYTES
    }

    /// Takes the peer's second message: the third.
    ///
    /// # Errors
    /// A message of another length.
    pub fn answer(self, message: &[u8]) -> Result<(Vec<u8>, Answered<'p>), PrepareError> {
        expect("a message of challenges", message, self.expected_bytes())?;
        let Self { party, plan, receiving, sending } = self;
        let (mut proofs, mut received) = (Vec::new(), Vec::new());
        for (pending, challenge) in receiving.into_iter().zip(message.chunks(CHALLENGE_BYTES)) {
            let (proof, call) = pending.answer(challenge)?;
            proofs.extend(proof);
            received.push(call);
        }
        Ok((proofs, Answered { party, plan, received, sending }))
    }
}

impl<'p> Answered<'p> {
    /// Bytes of the peer's third message.
    #[must_use]
    pub fn expected_bytes(&self) -> usize {
        self.sending.len() * PROOF_BYTES
    }

    /// Takes the peer's third message: the transfers.
    ///
    /// # Errors
    /// A message of another length; `Transfer(Check)` of a peer that has cheated: what is kept of
    /// the pair is of no use any more.
    pub fn check(self, message: &[u8]) -> Result<Transfers, PrepareError> {
        expect("a message of proofs", message, self.expected_bytes())?;
        let Self { party, received, sending, .. } = self;
        let sent: Result<Vec<Sent>, _> = sending
            .into_iter()
            .zip(message.chunks(PROOF_BYTES))
            .map(|(pending, proof)| pending.verify(proof))
            .collect();
        Ok(Transfers::new(party, Sending::new(sent?, 0), Receiving::new(received, 0)))
    }

    /// Takes the peer's third message: the fourth.
    ///
    /// # Errors
    /// As [`Answered::check`].
    pub fn verify(
        self,
        message: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Verified<'p>), PrepareError> {
        let plan = self.plan;
        self.check(message)?.make(plan, rng)
    }
}

impl Transfers {
    pub(crate) const fn new(party: Party, sending: Sending, receiving: Receiving) -> Self {
        Self { party, sending, receiving }
    }

    /// Makes one's half of a program of them: corrections for the peer, and what awaits its own.
    ///
    /// # Errors
    /// Fewer than the program takes.
    pub fn make<'p>(
        &mut self,
        plan: &'p Plan,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Verified<'p>), PrepareError> {
        let party = self.party;
        let [_, correction_bytes] = plan.sizes(party)?;
        let bytes = usize::try_from(plan.record_bytes())
            .map_err(|_| PrepareError::TooMany { transfers: plan.transfers(party) })?;
        let mut bytes = Zeroizing::new(vec![0; bytes]);
        let Self { sending, receiving, .. } = self;
        let corrections = Vec::with_capacity(correction_bytes);
        let mut maker = Maker { party, sending, receiving, rng, corrections };
        each_record(plan, &mut bytes, |transfer, record| maker.make(transfer, record))?;
        let Maker { corrections, .. } = maker;
        let strings = HeldStrings::take(party, plan.wanted_strings(), sending, receiving)?;
        Ok((corrections, Verified { party, plan, records: Made { party, bytes, strings } }))
    }

    pub(crate) fn into_cursors(self) -> (Sending, Receiving) {
        (self.sending, self.receiving)
    }
}

impl Verified<'_> {
    /// Bytes of the peer's fourth message.
    ///
    /// # Errors
    /// A program that is too large.
    pub fn expected_bytes(&self) -> Result<usize, PrepareError> {
        self.plan.sizes(peer(self.party)).map(|[_, bytes]| bytes)
    }

    /// Takes the peer's fourth message: the correlations.
    ///
    /// # Errors
    /// A message of another length.
    pub fn finish(self, message: &[u8]) -> Result<Made, PrepareError> {
        expect("a message of corrections", message, self.expected_bytes()?)?;
        let Self { party, plan, mut records } = self;
        let mut rest = message;
        each_record(plan, &mut records.bytes, |transfer, record| {
            fill::correct(party, transfer, record, &mut rest);
            Ok(())
        })?;
        Ok(records)
    }
}

/// Calls `each` with every entry of every record.
fn each_record(
    plan: &Plan,
    records: &mut [u8],
    mut each: impl FnMut(
        sharelet_core::functions::transfer::Transfer,
        &mut [u8],
    ) -> Result<(), sharelet_ot::OtError>,
) -> Result<(), PrepareError> {
    let mut rest = records;
    for operation in plan.operations() {
        let bytes = operation.elements * operation.record_bytes;
        let (part, more) =
            core::mem::take(&mut rest).split_at_mut_checked(bytes).unwrap_or_default();
        rest = more;
        if operation.record_bytes > 0 {
            for record in part.chunks_exact_mut(operation.record_bytes) {
                for &transfer in &operation.transfers {
                    each(transfer, record)?;
                }
            }
        }
    }
    Ok(())
}
