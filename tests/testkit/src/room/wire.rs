//! A wire of TCP that bytes need a while for, that is tapped, and that can be cut in the middle of
//! a message.

use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep_until};

pub struct Wire {
    pub address: String,
    /// Bytes that pass from now on, both ways together; then every connection ends.
    pub left: Arc<AtomicI64>,
    /// What who connected has sent, one list of bytes per connection.
    pub tape: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    /// A wire to `to` that passes everything, either way `delay` later.
    pub async fn new(to: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("has an address").to_string();
        let (left, tape) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::<Mutex<Vec<_>>>::default());
        let (to, passing, tapes) = (to.to_owned(), left.clone(), tape.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (to, left, tapes) = (to.clone(), passing.clone(), tapes.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(&to).await else { return };
                    for end in [&near, &far] {
                        end.set_nodelay(true).expect("a socket");
                    }
                    let connection = {
                        let mut tapes = tapes.lock().expect("not poisoned");
                        tapes.push(Vec::new());
                        tapes.len() - 1
                    };
                    let keep = |bytes: &[u8]| {
                        tapes.lock().expect("not poisoned")[connection].extend_from_slice(bytes);
                    };
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    // Whichever way is cut first ends both.
                    tokio::select! {
                        () = pass((near_in, far_out), delay, &left, keep) => {}
                        () = pass((far_in, near_out), delay, &left, |_| ()) => {}
                    }
                });
            }
        });
        Self { address, left, tape }
    }
}

async fn pass(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    delay: Duration,
    left: &AtomicI64,
    keep: impl Fn(&[u8]),
) {
    let (sender, mut under_way) = unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        keep(&buffer[..read]);
        let before = left.fetch_sub(read as i64, Ordering::SeqCst);
        let passes = usize::try_from(before).unwrap_or(0).min(read);
        let sent = sender.send((Instant::now() + delay, buffer[..passes].to_vec()));
        if sent.is_err() || passes < read {
            return;
        }
    }
}
