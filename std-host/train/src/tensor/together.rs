//! Two servers in one process that prepare alone, each on a thread of its own, over loopback: for
//! tests and benchmarks. With a dealer: [`super::local`].

use core::time::Duration;
use std::net::TcpStream;
use std::time::Instant;

use embedded_io_adapters::tokio_1::FromTokio;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use sharelet_core::functions::engine::Truncation;
use sharelet_core::share::Party as Side;
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::tcp;
use sharelet_prepare::{FieldBits, Kept};

use super::Program;
use super::alone::Alone;

/// Why a program did not run.
type Failed = Box<dyn core::error::Error + Send + Sync>;

/// Two servers that keep what they once made of each other.
#[derive(Debug)]
pub struct Together<G> {
    kept: [Kept; 2],
    rng: G,
    truncation: Truncation,
    field: FieldBits,
}

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// The slower server's time until its correlations were there.
    pub preparing: Duration,
    /// The slower server's time from there to the result.
    pub online: Duration,
    /// What both servers sent while they prepared; messages of either.
    pub prepared: Sent,
    /// What both sent afterwards, likewise.
    pub sent: Sent,
}

impl<G: CryptoRng> Together<G> {
    /// Servers that have met. Randomness comes from `rng`.
    ///
    /// # Errors
    /// None that could occur: they send each other points of the group.
    pub fn new(mut rng: G, truncation: Truncation, field: FieldBits) -> Result<Self, Failed> {
        let (message_0, beginning_0) = Kept::begin(&mut rng);
        let (message_1, beginning_1) = Kept::begin(&mut rng);
        let kept = [beginning_0.finish(&message_1)?, beginning_1.finish(&message_0)?];
        Ok(Self { kept, rng, truncation, field })
    }

    /// Prepares and runs a program. `ahead` are the parties' programs without data.
    ///
    /// # Errors
    /// Of the program, the preparation, or the system.
    pub fn run<P: Program<Output: Send> + Send>(
        &mut self,
        [mut party_0, mut party_1]: [P; 2],
        [mut ahead_0, mut ahead_1]: [P; 2],
    ) -> Result<([P::Output; 2], Took), Failed> {
        let mut seed = || {
            let mut seed = [0; 32];
            self.rng.fill_bytes(&mut seed);
            ChaCha20Rng::from_seed(seed)
        };
        let (rng_0, rng_1) = (seed(), seed());
        let [end_0, end_1] = tcp::loopback()?;
        let [kept_0, kept_1] = &self.kept;
        let server = |side, kept, rng, end, ahead: &mut P, program: &mut P| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
            let (truncation, field) = (self.truncation, self.field);
            pool.install(|| run(side, (kept, field), truncation, rng, end, ahead, program))
        };
        let (found_0, found_1) = std::thread::scope(|scope| {
            let other =
                scope.spawn(|| server(Side::P1, kept_1, rng_1, end_1, &mut ahead_1, &mut party_1));
            (
                server(Side::P0, kept_0, rng_0, end_0, &mut ahead_0, &mut party_0),
                other.join().unwrap_or_else(|_| Err("a server stopped".into())),
            )
        });
        let ((output_0, took_0), (output_1, took_1)) = (found_0?, found_1?);
        let both = |a: Sent, b: Sent| Sent {
            messages: a.messages.max(b.messages),
            bytes: a.bytes + b.bytes,
        };
        let took = Took {
            preparing: took_0.preparing.max(took_1.preparing),
            online: took_0.online.max(took_1.online),
            prepared: both(took_0.prepared, took_1.prepared),
            sent: both(took_0.sent, took_1.sent),
        };
        Ok(([output_0, output_1], took))
    }
}

/// One server.
fn run<P: Program>(
    side: Side,
    kept: (&Kept, FieldBits),
    truncation: Truncation,
    mut rng: ChaCha20Rng,
    end: TcpStream,
    ahead: &mut P,
    program: &mut P,
) -> Result<(P::Output, Took), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (reader, writer) = tokio::net::TcpStream::from_std(end)?.into_split();
        let mut link = Exchange::new(FromTokio::new(reader), FromTokio::new(writer));
        let begin = Instant::now();
        let mut alone = Alone::begin(side, kept, &mut rng, &mut link).await?;
        let prepared = alone.prepare(ahead, truncation, &mut rng, &mut link).await?;
        let (preparing, sent) = (begin.elapsed(), link.take());
        let begin = Instant::now();
        let (output, mut link) = prepared.run(program, link).await?;
        let online = begin.elapsed();
        Ok((output, Took { preparing, online, prepared: sent, sent: link.take() }))
    })
}
