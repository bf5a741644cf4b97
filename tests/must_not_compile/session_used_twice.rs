// A state of a session is moved into the call that ends it: after an error nothing is left to go on
// with.
use embedded_io_async::{Read, Write};
use sharelet_core::keystream::ChaCha12;
use sharelet_core::session::SessionCounter;
use sharelet_core::session::network::PlainModel;
use sharelet_core::session::p0;
use sharelet_core::session::p1::{self, P1, Scratch};

pub async fn prepared<T: Read + Write>(
    prepared: p0::Prepared<'_, '_, T, ChaCha12, 4>,
    input: &[u32],
) {
    let _ = prepared.infer(input).await;
    let _ = prepared.infer(input).await; //~ E0382
}

pub async fn connected<T: Read + Write>(
    connected: p0::Connected<'_, T, ChaCha12, 4>,
    counter: &mut impl SessionCounter,
) {
    let (mut a, mut b) = ([0; 4], [0; 4]);
    let _ = connected.prepare(counter, &mut a).await;
    let _ = connected.prepare(counter, &mut b).await; //~ E0382
}

pub async fn host<T: Read + Write>(
    session: P1<'_, PlainModel<'_>, 4>,
    io: &mut T,
    [a, b]: [Scratch<'_>; 2],
) {
    let _ = session.prepare(io, a).await.map(|_| ());
    let _ = session.prepare(io, b).await.map(|_| ()); //~ E0382
}

pub async fn host_prepared<T: Read + Write>(
    prepared: p1::Prepared<'_, '_, PlainModel<'_>, 4>,
    io: &mut T,
) {
    let _ = prepared.input(io).await.map(|_| ());
    let _ = prepared.input(io).await.map(|_| ()); //~ E0382
}

pub async fn host_ready<T: Read + Write>(
    ready: p1::Ready<'_, '_, PlainModel<'_>, 4>,
    [r, w]: [&mut T; 2],
) {
    let _ = ready.infer(r, w, &[]).await.map(|_| ());
    let _ = ready.infer(r, w, &[]).await.map(|_| ()); //~ E0382
}
