//! A dealer and two servers in one process, each server on a thread of its own, over loopback: for
//! tests, benchmarks and lessons.

use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Instant;

use embedded_io_adapters::tokio_1::FromTokio;
use rand_core::CryptoRng;
use sharelet_core::binding::Binding;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::Truncation;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use tokio::io::AsyncWrite;

use super::Program;
use super::offline::{Plan, deal};
use super::party::Prepared;
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::tcp;
use sharelet_link::wan::{Deliveries, Wan};

/// Why a program did not run.
type Failed = Box<dyn core::error::Error + Send + Sync>;

/// Three parties that run one program after the other.
#[derive(Debug)]
pub struct Local<G> {
    binding: Binding<ChaCha12>,
    rng: G,
    truncation: Truncation,
    session: u64,
    line: Option<Wan>,
    /// A thread per server, kept from program to program, with the memory that it has, as servers
    /// do.
    cores: Option<[Core; 2]>,
}

/// A server's thread.
type Core = rayon::ThreadPool;

/// What a program took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it takes by count.
    pub plan: Plan,
    /// The dealer's time.
    pub dealing: Duration,
    /// The servers' time until their halves were ready.
    pub preparing: Duration,
    /// The slower server's time from the first message to the result.
    pub online: Duration,
    /// The time that a processor spent on the slower server meanwhile, where the system tells it.
    pub busy: Option<Duration>,
    /// What one server sent.
    pub sent: Sent,
}

/// One program as each takes part in it: all with the same sizes, data only at the parties.
#[derive(Debug)]
pub struct Parts<P> {
    /// Is counted.
    pub sizes: P,
    /// Is dealt for.
    pub dealer: P,
    /// Are run.
    pub parties: [P; 2],
}

/// What is left of a program.
#[derive(Debug)]
pub struct Outputs<O> {
    /// The parties' results.
    pub parties: [O; 2],
    /// The dealer's: masks of what was opened.
    pub dealer: O,
}

impl<G: CryptoRng> Local<G> {
    /// Parties whose randomness comes from `rng`.
    pub fn new(mut rng: G, truncation: Truncation) -> Self {
        let binding = Binding::new(&Keystream::new(&Key::generate(&mut rng)), &[b"local"]);
        Self { binding, rng, truncation, session: 0, line: None, cores: None }
    }

    /// The same with an emulated line between the servers, or without.
    #[must_use]
    pub fn over(self, line: Option<Wan>) -> Self {
        Self { line, ..self }
    }

    /// Counts, deals, prepares and runs a program.
    ///
    /// # Errors
    /// Of the program, its correlations, or the system.
    pub fn run<P: Program<Output: Send> + Send>(
        &mut self,
        parts: Parts<P>,
    ) -> Result<(Outputs<P::Output>, Taken), Failed> {
        self.run_foreseen(parts, None)
    }

    /// As [`Local::run`], with the parties' programs without data, by which they multiply ahead:
    /// [`Prepared::foresee`].
    ///
    /// # Errors
    /// As [`Local::run`].
    pub fn run_foreseen<P: Program<Output: Send> + Send>(
        &mut self,
        parts: Parts<P>,
        ahead: Option<[P; 2]>,
    ) -> Result<(Outputs<P::Output>, Taken), Failed> {
        let Parts { mut sizes, mut dealer, parties: [mut program_0, mut program_1] } = parts;
        let (truncation, session) = (self.truncation, self.session);
        self.session += 1;
        let plan = Plan::of(&mut sizes, truncation)?;
        let start = Instant::now();
        let (dealt, dealer) =
            deal(&plan, &mut dealer, truncation, &self.binding, session, &mut self.rng)?;
        let dealing = start.elapsed();
        let start = Instant::now();
        let mut prepared_0 =
            Prepared::derive(&plan, truncation, &self.binding, &SessionToken::consumed(session))?;
        let mut prepared_1 = Prepared::receive(&plan, truncation, dealt)?;
        if let Some([mut ahead_0, mut ahead_1]) = ahead {
            prepared_0.foresee(&mut ahead_0)?;
            prepared_1.foresee(&mut ahead_1)?;
        }
        let preparing = start.elapsed();
        let ([end_0, end_1], barrier, line) = (tcp::loopback()?, Barrier::new(2), self.line);
        let cores = match self.cores.take() {
            Some(cores) => cores,
            None => [core()?, core()?],
        };
        let [core_0, core_1] = self.cores.insert(cores);
        let (found_0, found_1) = std::thread::scope(|scope| {
            let other =
                scope.spawn(|| server(core_1, (end_1, line), prepared_1, &mut program_1, &barrier));
            (
                server(core_0, (end_0, line), prepared_0, &mut program_0, &barrier),
                other.join().unwrap_or_else(|_| Err("a server stopped".into())),
            )
        });
        let ((output_0, sent, online_0, busy_0), (output_1, _, online_1, busy_1)) =
            (found_0?, found_1?);
        let taken = Taken {
            plan,
            dealing,
            preparing,
            online: online_0.max(online_1),
            busy: busy_0.max(busy_1),
            sent,
        };
        Ok((Outputs { parties: [output_0, output_1], dealer }, taken))
    }
}

fn core() -> io::Result<Core> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(io::Error::other)
}

/// A server on one core. Both wait for each other before they start, whatever went wrong.
fn server<P: Program<Output: Send> + Send>(
    core: &Core,
    (end, line): (TcpStream, Option<Wan>),
    prepared: Prepared,
    program: &mut P,
    barrier: &Barrier,
) -> Result<(P::Output, Sent, Duration, Option<Duration>), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    barrier.wait();
    let runtime = runtime?;
    core.install(move || {
        runtime.block_on(async move {
            let (reader, writer) = tokio::net::TcpStream::from_std(end)?.into_split();
            let deliveries = Deliveries::default();
            let writer: Box<dyn AsyncWrite + Send + Unpin> = match line {
                Some(line) => Box::new(line.wrap(writer, &deliveries)),
                None => Box::new(writer),
            };
            let (start, begin) = (Instant::now(), processor_time());
            let (output, mut link) = prepared
                .run(program, Exchange::new(FromTokio::new(reader), FromTokio::new(writer)))
                .await?;
            let busy = processor_time().zip(begin).map(|(end, begin)| end.saturating_sub(begin));
            let ran = (output, link.take(), start.elapsed(), busy);
            drop(link);
            if let Some(line) = line {
                deliveries.done(line).await;
            }
            Ok(ran)
        })
    })
}

/// The time that a processor has spent on this thread.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
