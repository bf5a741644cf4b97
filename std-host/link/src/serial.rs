//! Serial lines, as further places that connections come from.
//!
//! At the other end of a line is one device, on a UART or on USB. How its connections are told
//! apart is in [`sharelet_channel::serial`]. A line that goes away, as USB does, is opened again
//! when it is back.

use core::fmt;
use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serial2_tokio::{CharSize, FlowControl, Parity, SerialPort, Settings, StopBits};
use sharelet_channel::serial::{Decoded, Decoder, Mark, encode};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, WriteHalf,
};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::error::LinkError;

/// Bytes that lie between the line and whoever serves its connection, in each direction.
const BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that are taken from the line, or put on it, at a time.
const PIECE_BYTES: usize = 1024;
/// Pause before a line that has gone is opened again.
const REOPEN: Duration = Duration::from_secs(1);

/// A serial line, and how it is set.
#[derive(Clone, Debug)]
pub struct SerialLine {
    /// Its device file or port.
    pub path: PathBuf,
    /// Bits per second; USB does not ask.
    pub baud: u32,
    /// Whether either end holds the other back by RTS and CTS.
    pub flow_control: bool,
}

impl fmt::Display for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl SerialLine {
    /// Opens it, and forgets what was on it before: nobody has been here to hear it.
    fn open(&self) -> io::Result<SerialPort> {
        let port = SerialPort::open(&self.path, |mut settings: Settings| {
            settings.set_raw();
            settings.set_baud_rate(self.baud)?;
            settings.set_char_size(CharSize::Bits8);
            settings.set_stop_bits(StopBits::One);
            settings.set_parity(Parity::None);
            settings.set_flow_control(match self.flow_control {
                true => FlowControl::RtsCts,
                false => FlowControl::None,
            });
            Ok(settings)
        })?;
        port.discard_buffers()?;
        Ok(port)
    }
}

/// Lines that are served. They are let go when this is dropped.
#[derive(Debug)]
pub(super) struct Lines {
    arrivals: mpsc::Receiver<Arrival>,
    sender: mpsc::Sender<Arrival>,
    tasks: JoinSet<()>,
}

/// A connection that has begun on a line.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Which of the lines, from 1 on.
    pub(super) line: u16,
    /// Its bytes.
    pub(super) stream: DuplexStream,
}

impl Lines {
    pub(super) fn new() -> Self {
        let (sender, arrivals) = mpsc::channel(1);
        Self { arrivals, sender, tasks: JoinSet::new() }
    }

    /// Serves a line, too.
    ///
    /// # Errors
    /// [`LinkError::Serial`] if it cannot be opened.
    pub(super) fn add(&mut self, line: SerialLine) -> Result<(), LinkError> {
        let number = u16::try_from(self.tasks.len() + 1).unwrap_or(u16::MAX);
        let port =
            line.open().map_err(|source| LinkError::Serial { path: line.path.clone(), source })?;
        let arrivals = Arrivals { line: number, sender: self.sender.clone() };
        self.tasks.spawn(async move {
            tracing::info!("devices are served on the serial line {line}");
            let mut port = Some(port);
            loop {
                match port.take().map_or_else(|| line.open(), Ok) {
                    Ok(port) => {
                        let (reader, writer) = tokio::io::split(port);
                        let error = attend(reader, writer, &arrivals).await;
                        tracing::warn!(
                            "the serial line {line} is gone, and is waited for: {error}"
                        );
                    }
                    Err(error) => tracing::debug!("the serial line {line}: {error}"),
                }
                tokio::time::sleep(REOPEN).await;
            }
        });
        Ok(())
    }

    /// The next connection. Dropped before it is ready, it loses none.
    pub(super) async fn next(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // `sender` is there, so this does not happen.
            None => core::future::pending().await,
        }
    }
}

/// Where connections of a line go.
struct Arrivals {
    line: u16,
    sender: mpsc::Sender<Arrival>,
}

/// The connection that is under way: where its bytes go, and the task that brings its answers.
struct Current {
    to_service: WriteHalf<DuplexStream>,
    answers: AbortOnDropHandle<()>,
}

/// Attends to a line until it fails.
async fn attend(
    mut reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    arrivals: &Arrivals,
) -> io::Error {
    let writer = Arc::new(Mutex::new(writer));
    // A device that is in the middle of something learns that nobody knows of it.
    if let Err(error) = say(&writer, Mark::End).await {
        return error;
    }
    let (mut decoder, mut current) = (Decoder::new(), None::<Current>);
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let read = match reader.read(&mut bytes).await {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(read) => read,
            Err(error) => return error,
        };
        let mut line = bytes.get_mut(..read).unwrap_or(&mut []);
        while !line.is_empty() {
            let Decoded { taken, len, mark } = decoder.decode(line);
            if let (Some(Current { to_service, .. }), Some(decoded)) =
                (&mut current, line.get(..len).filter(|decoded| !decoded.is_empty()))
            {
                // If nobody serves it any more, its end is on the way to the device.
                let _ = to_service.write_all(decoded).await;
            }
            if mark.is_some() {
                // Whoever serves it notices, since both halves of the stream are dropped. What it
                // answered must not come after what begins now.
                if let Some(Current { answers, .. }) = current.take() {
                    answers.abort();
                    let _ = answers.await;
                }
            }
            if let Some(Mark::Begin(number)) = mark {
                let (stream, ours) = tokio::io::duplex(BUFFER_BYTES);
                let (answers, to_service) = tokio::io::split(ours);
                let answers = tokio::spawn(answer(answers, writer.clone(), number));
                let answers = AbortOnDropHandle::new(answers);
                current = Some(Current { to_service, answers });
                let arrival = Arrival { line: arrivals.line, stream };
                if arrivals.sender.send(arrival).await.is_err() {
                    return io::ErrorKind::BrokenPipe.into();
                }
            }
            line = line.get_mut(taken..).unwrap_or(&mut []);
        }
    }
}

/// Puts what is answered on the line, and the end of it.
async fn answer<W: AsyncWrite + Unpin>(
    mut answers: impl AsyncRead + Unpin,
    writer: Arc<Mutex<W>>,
    number: u8,
) {
    let (mut bytes, mut stuffed) = (vec![0; PIECE_BYTES], vec![0; 2 * PIECE_BYTES]);
    let answered = async {
        say(&writer, Mark::Begin(number)).await?;
        loop {
            let read = answers.read(&mut bytes).await?;
            if read == 0 {
                return say(&writer, Mark::End).await;
            }
            let (_, len) = encode(bytes.get(..read).unwrap_or(&[]), &mut stuffed);
            put(&writer, stuffed.get(..len).unwrap_or(&[])).await?;
        }
    };
    // A line that fails is noticed by who reads it.
    let _: io::Result<()> = answered.await;
}

async fn say<W: AsyncWrite + Unpin>(writer: &Mutex<W>, mark: Mark) -> io::Result<()> {
    put(writer, &mark.bytes()).await
}

async fn put<W: AsyncWrite + Unpin>(writer: &Mutex<W>, bytes: &[u8]) -> io::Result<()> {
    let mut writer = writer.lock().await;
    writer.write_all(bytes).await?;
    writer.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives at a device until the line says `mark`.
    async fn heard(
        device: &mut (impl AsyncRead + Unpin),
        decoder: &mut Decoder,
        mark: Mark,
    ) -> Vec<u8> {
        let mut heard = Vec::new();
        loop {
            let mut byte = [0];
            device.read_exact(&mut byte).await.unwrap();
            let decoded = decoder.decode(&mut byte);
            heard.extend_from_slice(&byte[..decoded.len]);
            if decoded.mark == Some(mark) {
                return heard;
            }
            assert_eq!(decoded.mark, None);
        }
    }

    #[tokio::test]
    async fn a_device_that_begins_anew_gets_a_connection_of_its_own() {
        let mut lines = Lines::new();
        let arrivals = Arrivals { line: 1, sender: lines.sender.clone() };
        let (mut device, host) = tokio::io::duplex(64);
        let (reader, writer) = tokio::io::split(host);
        tokio::spawn(async move { attend(reader, writer, &arrivals).await });
        let mut decoder = Decoder::new();
        assert_eq!(heard(&mut device, &mut decoder, Mark::End).await, b"");

        device.write_all(&[&b"noise"[..], &Mark::Begin(5).bytes(), b"one"].concat()).await.unwrap();
        let mut first = lines.next().await.stream;
        let mut bytes = [0; 3];
        first.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"one");
        assert_eq!(heard(&mut device, &mut decoder, Mark::Begin(5)).await, b"");

        device.write_all(&[&Mark::Begin(6).bytes()[..], b"two"].concat()).await.unwrap();
        let mut second = lines.next().await.stream;
        assert_eq!(first.read(&mut bytes).await.unwrap(), 0, "the first one is over");
        second.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"two");
        let answer = [0xC0, 0xDB, 1];
        second.write_all(&answer).await.unwrap();
        drop(second);
        assert_eq!(heard(&mut device, &mut decoder, Mark::Begin(6)).await, b"");
        assert_eq!(heard(&mut device, &mut decoder, Mark::End).await, answer);

        // The device's word ends it, too.
        device.write_all(&Mark::Begin(7).bytes()).await.unwrap();
        let mut third = lines.next().await.stream;
        device.write_all(&Mark::End.bytes()).await.unwrap();
        assert_eq!(third.read(&mut bytes).await.unwrap(), 0);
    }

    /// Over a pseudo-terminal, as a device on USB is one.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_terminal_leaves_every_byte_as_it_is_and_none_is_named() {
        use std::fs::File;
        use std::io::{Read as _, Write as _};

        use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

        /// What arrives until the line says `mark`.
        fn heard(device: &mut File, decoder: &mut Decoder, mark: Mark) -> Vec<u8> {
            let mut heard = Vec::new();
            loop {
                let mut byte = [0];
                device.read_exact(&mut byte).unwrap();
                let decoded = decoder.decode(&mut byte);
                heard.extend_from_slice(&byte[..decoded.len]);
                if decoded.mark == Some(mark) {
                    return heard;
                }
            }
        }

        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap().into();
        let mut lines = Lines::new();
        lines.add(SerialLine { path, baud: 115_200, flow_control: false }).unwrap();
        let every: Vec<u8> = (0..=u8::MAX).collect();
        let said = every.clone();
        let device = tokio::task::spawn_blocking(move || {
            let (mut device, mut decoder) = (File::from(terminal), Decoder::new());
            assert_eq!(heard(&mut device, &mut decoder, Mark::End), b"");
            let mut stuffed = vec![0; 2 * said.len()];
            let (_, len) = encode(&said, &mut stuffed);
            device.write_all(&Mark::Begin(1).bytes()).unwrap();
            device.write_all(&stuffed[..len]).unwrap();
            assert_eq!(heard(&mut device, &mut decoder, Mark::Begin(1)), b"");
            heard(&mut device, &mut decoder, Mark::End)
        });
        let mut served = lines.next().await.stream;
        let mut bytes = vec![0; every.len()];
        served.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, every);
        served.write_all(&every).await.unwrap();
        drop(served);
        assert_eq!(device.await.unwrap(), every);

        let nowhere = PathBuf::from("/dev/there-is-no-such-line");
        let line = SerialLine { path: nowhere, baud: 115_200, flow_control: true };
        assert!(matches!(lines.add(line), Err(LinkError::Serial { .. })));
    }
}
