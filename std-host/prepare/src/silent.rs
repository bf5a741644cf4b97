//! Silent transfers for a pair: calls of 1.5 million in either direction, and what is left of them.
//!
//! They begin with some of the extension. A call is made where the next program needs more than is
//! left, in three messages; programs then take a digest and their corrections, nothing else.

use core::mem::take;

use sharelet_core::functions::engine::Link;
use sharelet_ot::ots::{Received, Sent};
use sharelet_ot::silent::{CHALLENGE_BYTES, MESSAGE_BYTES, OTS, PROOF_BYTES, Receiver, SEED_OTS};
use sharelet_ot::silent::{PendingReceived, PendingSent, Sender};

use crate::cursor::{Call, Receiving, Sending};
use crate::error::{Failed, PrepareError};
use crate::exchange::exchange;
use crate::plan::{Plan, Strings};

/// Whether a pair has silent transfers.
#[derive(Debug, Default)]
pub(crate) enum Silence {
    /// It has not.
    #[default]
    Never,
    /// None so far.
    Fresh,
    /// What is left of those that were made.
    Ready(Box<Silent>),
    /// A program was not prepared to its end: the peer may have more of them, or fewer.
    Lost,
}

/// What a pair has of silent transfers.
#[derive(Debug)]
pub(crate) struct Silent {
    sending: Way<Sender, Sent>,
    receiving: Way<Receiver, Received>,
}

/// One direction: who makes calls, and what is left of them.
#[derive(Debug)]
struct Way<M, C> {
    maker: Option<M>,
    calls: Vec<C>,
    first: usize,
    left: usize,
}

impl<M, C: Call> Way<M, C> {
    const fn new(maker: M) -> Self {
        Self { maker: Some(maker), calls: Vec::new(), first: 0, left: 0 }
    }

    /// The maker, if more is needed than is left.
    fn short(&mut self, needed: usize) -> Option<M> {
        if needed > self.left { self.maker.take() } else { None }
    }

    /// What a program has not taken; as many as it was to leave.
    fn keep(&mut self, (calls, first): (Vec<C>, usize)) -> Result<(), PrepareError> {
        let found = calls.iter().map(Call::count).sum::<usize>().checked_sub(first);
        if found != Some(self.left) {
            return Err(PrepareError::Lost);
        }
        (self.calls, self.first) = (calls, first);
        // Of a call that is spent nothing is kept.
        if self.left == 0 {
            (self.calls, self.first) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn add(&mut self, maker: M, call: C) {
        self.maker = Some(maker);
        self.calls.push(call);
        self.left += OTS;
    }
}

/// Bytes of a message that is there, or not.
const fn bytes(there: bool, bytes: usize) -> usize {
    if there { bytes } else { 0 }
}

impl Silent {
    /// The transfers of the extension that silent ones begin with, as a plan.
    pub(crate) fn seeds() -> Plan {
        let mut plan = Plan::default();
        plan.strings(Strings { words: SEED_OTS, labels: SEED_OTS });
        plan.bind(b"silent transfers");
        plan
    }

    /// Of what [`Silent::seeds`] gave: a call in either direction.
    pub(crate) fn new(sending: Sending, receiving: Receiving) -> Result<Self, PrepareError> {
        let missing = || PrepareError::TooMany { transfers: SEED_OTS as u64 };
        let ((sent, _), (received, _)) = (sending.into_rest(), receiving.into_rest());
        let sent = sent.into_iter().next().ok_or_else(missing)?;
        let received = received.into_iter().next().ok_or_else(missing)?;
        Ok(Self {
            sending: Way::new(Sender::new(sent)?),
            receiving: Way::new(Receiver::new(received)?),
        })
    }

    /// Makes calls until there are as many as are needed, to send and to receive. The peer does
    /// the same.
    pub(crate) async fn fill<L: Link>(
        &mut self,
        [to_send, to_receive]: [usize; 2],
        link: &mut L,
    ) -> Result<(), Failed<L::Error>> {
        loop {
            let sender = self.sending.short(to_send);
            let receiver = self.receiving.short(to_receive);
            let (sends, receives) = (sender.is_some(), receiver.is_some());
            if !sends && !receives {
                return Ok(());
            }
            let (own, sending): (_, Option<PendingSent>) = sender.map(Sender::extend).unzip();
            let own = own.unwrap_or_default();
            let message = exchange(link, &own, bytes(receives, MESSAGE_BYTES)).await?;
            let accepted = receiver.map(|receiver| receiver.accept(&message)).transpose();
            let (own, receiving): (_, Option<PendingReceived>) =
                accepted.map_err(PrepareError::from)?.unzip();
            let own = own.unwrap_or_default();
            let challenge = exchange(link, &own, bytes(sends, CHALLENGE_BYTES)).await?;
            let answered = sending.map(|sending| sending.answer(&challenge)).transpose();
            let answered = answered.map_err(PrepareError::from)?;
            let (own, sent) = answered.map(|(own, sender, sent)| (own, (sender, sent))).unzip();
            let own = own.unwrap_or_default();
            let proof = exchange(link, &own, bytes(receives, PROOF_BYTES)).await?;
            let received = receiving.map(|receiving| receiving.verify(&proof)).transpose();
            if let Some((receiver, received)) = received.map_err(PrepareError::from)? {
                self.receiving.add(receiver, received);
            }
            if let Some((sender, sent)) = sent {
                self.sending.add(sender, sent);
            }
        }
    }

    /// What is there, to take so many of either.
    pub(crate) fn lend(&mut self, [to_send, to_receive]: [usize; 2]) -> (Sending, Receiving) {
        let Self { sending, receiving } = self;
        sending.left -= to_send.min(sending.left);
        receiving.left -= to_receive.min(receiving.left);
        let sent = Sending::new(take(&mut sending.calls), take(&mut sending.first));
        (sent, Receiving::new(take(&mut receiving.calls), take(&mut receiving.first)))
    }

    /// What was not taken.
    pub(crate) fn give_back(
        &mut self,
        sending: Sending,
        receiving: Receiving,
    ) -> Result<(), PrepareError> {
        self.sending.keep(sending.into_rest())?;
        self.receiving.keep(receiving.into_rest())
    }

    /// What is left, to send and to receive.
    pub(crate) const fn left(&self) -> [usize; 2] {
        [self.sending.left, self.receiving.left]
    }
}
