//! The data party as a program on a PC: the same queries as the firmware's.
//!
//! A reading is one packet to each server, then the answers; connections last as long as that. What
//! fails is reported, and tried again with the next number, a bounded number of times.

use core::time::Duration;
use std::time::Instant;

use sharelet_core::fixed::{Columns, encode_or_zero};
use sharelet_core::ring::Ring;
use sharelet_core::session::data_party::Query;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::wire::query::Recipient;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionCounter, SessionError};
use tokio_util::sync::CancellationToken;

use super::{DeviceError, Events, Inference, Progress, Sensor, check};
use sharelet_link::pauses::Pauses;
use sharelet_link::{Connection, Counting, Counts, Route};
use sharelet_link::{Role, tcp};

/// An answer as its recipient sees it: fraction bits and values.
///
/// Servers that share a model leave the fraction bits of a product; dropping what inputs have not
/// is done in the clear, without a message.
#[must_use]
pub fn opened<R: Ring>(task: &Task, answer: &[R]) -> (u8, Vec<u64>) {
    let dropped = if task.ring_bits == 64 {
        task.output_frac_bits.saturating_sub(task.input_frac_bits)
    } else {
        0
    };
    let values = answer.iter().map(|word| word.sar(dropped.into()).to_i64().cast_unsigned());
    (task.output_frac_bits - dropped, values.collect())
}

/// Where the servers are, and how long to wait for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server 0 and server 1, `HOST:PORT`.
    pub servers: [String; 2],
    /// How the connections are made.
    pub route: Route,
    /// Who gets the answers.
    pub recipient: Recipient,
    /// The first reading to infer, counted from 0.
    pub from: usize,
    /// Readings to infer; `None` for all that follow.
    pub count: Option<usize>,
    /// Failures in a row before giving up.
    pub retries: u32,
    /// A server must accept within this time.
    pub connect: Duration,
    /// The longest silence within a message; the servers compute meanwhile.
    pub stall: Duration,
    /// A reading must be answered within this time.
    pub phase: Duration,
    /// Between attempts.
    pub pauses: Pauses,
}

impl Settings {
    /// The answers to the data party, all readings, 5 retries, some seconds for everything.
    #[must_use]
    pub fn new(servers: [String; 2], route: Route) -> Self {
        Self {
            servers,
            route,
            recipient: Recipient::DataParty,
            from: 0,
            count: None,
            retries: 5,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            phase: Duration::from_secs(60),
            pauses: Pauses::default(),
        }
    }
}

/// A data party and what it is made of.
pub struct DataParty<S, C, E> {
    /// Addresses and times.
    pub settings: Settings,
    /// Name and key; nobody else needs the key.
    pub identity: Identity,
    /// Numbers of queries.
    pub counter: C,
    /// What is asked.
    pub task: Task,
    /// What each input has in fraction bits beyond the task's; nothing where all have these.
    pub exponents: Vec<i8>,
    /// Readings.
    pub sensor: S,
    /// Where answers go.
    pub events: E,
}

impl<S, C, E> core::fmt::Debug for DataParty<S, C, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DataParty")
            .field("settings", &self.settings)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

impl<S: Sensor, C: SessionCounter, E: Events> DataParty<S, C, E> {
    /// Infers all readings, or until `stop`. Returns how many were inferred.
    ///
    /// # Errors
    /// As [`super::Device::run`].
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<usize, DeviceError> {
        let mut progress = Progress::new(self.settings.from);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = self.persist(&mut progress) => Some(ended),
        };
        progress.end(ended)
    }

    async fn persist(&mut self, progress: &mut Progress) -> Result<(), DeviceError> {
        let mut attempts = self.settings.pauses.attempts(Some(self.settings.retries));
        let inputs = usize::from(self.task.inputs);
        // A reading at another scale than the model's would be answered, and wrongly.
        if !self.exponents.is_empty() && self.exponents.len() != inputs {
            return Err(DeviceError::Exponents { inputs, found: self.exponents.len() });
        }
        let readings = self.sensor.readings(inputs)?;
        let end = check(readings, inputs, progress.from, self.settings.count)?;
        self.events.connected(end - progress.from);
        while progress.next < end {
            let asked = match self.task.ring_bits {
                64 => self.reading::<u64>(progress).await,
                _ => self.reading::<u32>(progress).await,
            };
            match asked {
                Ok(()) => attempts.worked(),
                Err(error) => {
                    let Some(wait) = attempts.failed().filter(|_| error.is_passing()) else {
                        return Err(error);
                    };
                    self.events.failed(&error, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
        Ok(())
    }

    /// One reading, to its answer or its refusal, in words of the task's ring.
    async fn reading<R: Ring>(&mut self, progress: &mut Progress) -> Result<(), DeviceError> {
        let (index, task) = (progress.next, self.task);
        let mut input = vec![R::ZERO; usize::from(task.inputs)];
        let readings = self.sensor.readings(input.len())?;
        let reading = readings.rows().nth(index).unwrap_or_default();
        let scale = Columns { frac_bits: task.input_frac_bits, exponents: &self.exponents };
        let encoded = encode_or_zero(reading, scale, task.input_units(), &mut input);
        let encoded = encoded.map_err(|source| DeviceError::Reading { index, source });
        let to_console = self.settings.recipient == Recipient::Console;
        let mut answer = vec![R::ZERO; usize::from(task.outputs)];
        // The console would take the answer for one.
        if encoded.is_ok() || !to_console {
            let start = Instant::now();
            let traffic = self.ask(&mut input, &mut answer).await?;
            if encoded.is_ok() {
                let took = start.elapsed();
                let (frac_bits, values) = opened(&task, &answer);
                let values = if to_console { &[][..] } else { &values };
                self.events.answer(&Inference { index, values, frac_bits, traffic, took })?;
            }
        }
        if let Err(error) = encoded {
            self.events.refused(&error)?;
            progress.refused += 1;
        }
        progress.next += 1;
        Ok(())
    }

    /// One query. `answer` is zeros before.
    async fn ask<R: Ring>(
        &mut self,
        input: &mut [R],
        answer: &mut [R],
    ) -> Result<Counts, DeviceError> {
        let phase = self.settings.phase;
        let (first, second) = tokio::try_join!(self.connect(0), self.connect(1))?;
        let mut servers = [Counting::new(first), Counting::new(second)];
        let query =
            Query::begin(&self.identity, &mut self.counter, self.task, self.settings.recipient)
                .await?;
        let address =
            |party: u8| self.settings.servers.get(usize::from(party)).cloned().unwrap_or_default();
        let of = |party: u8| move |source: SessionError| (party, source);
        let [server_0, server_1] = &mut servers;
        let asked = async {
            query.send_seed(server_0).await.map_err(of(0))?;
            query.send_masked(server_1, input).await.map_err(of(1))?;
            query.receive_both(server_0, server_1, answer).await
        };
        let timed_out = SessionError::Transport(embedded_io_async::ErrorKind::TimedOut);
        let asked = tokio::time::timeout(phase, asked).await.unwrap_or(Err((0, timed_out)));
        asked.map_err(|(party, source)| DeviceError::Server {
            party,
            address: address(party),
            source,
        })?;
        let [first, second] = servers.map(|mut server| server.take());
        Ok(Counts {
            sent_bytes: first.sent_bytes + second.sent_bytes,
            received_bytes: first.received_bytes + second.received_bytes,
            // Both are under way at the same time.
            round_trips: first.round_trips.max(second.round_trips),
        })
    }

    async fn connect(&self, party: usize) -> Result<Connection, DeviceError> {
        let Settings { servers, route, connect, stall, .. } = &self.settings;
        let address = servers.get(party).map_or("", String::as_str);
        let role = if party == 0 { Role::Server0 } else { Role::Server1 };
        Ok(tcp::connect(address, role, route, *connect, *stall).await?)
    }
}
