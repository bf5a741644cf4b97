//! The device as a program, with a host who prepares with it: no dealer.
//!
//! As with a dealer, a reading is inferred until its answer is there, an inference is prepared
//! before its reading is taken, and a reading that the model is not made for is inferred as zeros.

use std::time::Instant;

use sharelet_core::fixed::encode_or_zero;
use sharelet_core::session::SessionError;
use tokio_util::sync::CancellationToken;

use super::{DeviceError, Events, Inference, Progress, Sensor, Settings, check, widened};
use crate::alone::client::{Client, Filled, Settings as Pairing};

/// A device and what it is made of.
pub struct Device<S, E> {
    /// Addresses, readings and times.
    pub settings: Settings,
    /// Name, and what it keeps.
    pub pairing: Pairing,
    /// With a store: how many inferences it is filled up to, part by part between readings, when
    /// half of them are spent. 0: it is not filled.
    pub fill: u64,
    /// Readings.
    pub sensor: S,
    /// Where answers go.
    pub events: E,
}

impl<S, E> core::fmt::Debug for Device<S, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Device").field("pairing", &self.pairing).finish_non_exhaustive()
    }
}

impl<S: Sensor, E: Events> Device<S, E> {
    /// Infers all readings, or until `stop`. Returns how many were inferred.
    ///
    /// # Errors
    /// The failure that no further attempt can help, or the last of too many;
    /// [`DeviceError::ReadingsRefused`] after the last reading, if there were some that the model
    /// is not made for.
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
        loop {
            let before = progress.next;
            match self.serve(progress).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if progress.next != before {
                        attempts.worked();
                    }
                    let Some(wait) = attempts.failed().filter(|_| error.is_passing()) else {
                        return Err(error);
                    };
                    self.events.failed(&error, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One connection.
    async fn serve(&mut self, progress: &mut Progress) -> Result<(), DeviceError> {
        let Settings { answer, phase, count, .. } = self.settings;
        let mut client = within(phase, Box::pin(Client::connect(&self.pairing))).await?;
        let network = client.task().network.clone();
        let readings = self.sensor.readings(network.inputs())?;
        let end = check(readings, network.inputs(), progress.from, count)?;
        self.events.connected(end - progress.from);
        let mut input = vec![0; network.inputs()];
        let mut session = 0;
        for reading in readings.rows().take(end).skip(progress.next) {
            let index = progress.next;
            if self.pairing.stores && self.fill > 0 {
                fill(&mut client, self.fill).await?;
            }
            // What a refused reading has left serves the next one.
            if !self.pairing.stores && client.ready() == 0 {
                let start = Instant::now();
                let traffic = within(phase, client.prepare(1)).await?;
                self.events.prepared(session, traffic, start.elapsed());
                session += 1;
            }
            let (scale, limit) = (network.input_scale(), network.input_limit());
            let encoded = encode_or_zero(reading, scale, limit, &mut input);
            let encoded = encoded.map_err(|source| DeviceError::Reading { index, source });
            if let Err(error) = &encoded
                && answer.to_host()
            {
                self.events.refused(error)?;
                progress.next += 1;
                progress.refused += 1;
                continue;
            }
            let start = Instant::now();
            let (values, traffic) = within(phase, client.infer(&input)).await?;
            let took = start.elapsed();
            let frac_bits = network.output_frac_bits();
            match encoded {
                Ok(()) => {
                    let values = &widened(&values);
                    self.events.answer(&Inference { index, values, frac_bits, traffic, took })?;
                }
                Err(error) => {
                    self.events.refused(&error)?;
                    progress.refused += 1;
                }
            }
            progress.next += 1;
        }
        // What is begun is made, or it was in vain.
        while client.is_filling() {
            fill_some(&mut client, self.fill).await?;
        }
        Ok(())
    }
}

/// Fills the store: a part of a batch, or all of it where nothing is left to infer with.
async fn fill(client: &mut Client, up_to: u64) -> Result<(), DeviceError> {
    if client.is_filling() || client.ready() <= up_to / 2 {
        fill_some(client, up_to).await?;
    }
    while client.ready() == 0 {
        match fill_some(client, up_to).await? {
            Filled::Later => tokio::time::sleep(LATER).await,
            // The inference says what is missing.
            Filled::Enough => break,
            Filled::Made(_) | Filled::Stored(_) => {}
        }
    }
    Ok(())
}

async fn fill_some(client: &mut Client, up_to: u64) -> Result<Filled, DeviceError> {
    let filled = client.fill_up_to(up_to).await?;
    if let Filled::Stored(sessions) = filled {
        let ready = client.ready();
        tracing::info!("{sessions} inferences prepared, {ready} ready");
    }
    Ok(filled)
}

/// Until a host is asked again that makes batches for others.
const LATER: core::time::Duration = core::time::Duration::from_secs(1);

async fn within<T>(
    limit: core::time::Duration,
    step: impl Future<Output = Result<T, crate::alone::AloneError>>,
) -> Result<T, DeviceError> {
    let timed_out = SessionError::Transport(embedded_io_async::ErrorKind::TimedOut);
    let done = tokio::time::timeout(limit, step).await;
    done.map_or(Err(DeviceError::Session(timed_out)), |done| Ok(done?))
}
