// A piece of a correlation is moved into the step that spends it.
use sharelet_core::correlation::SessionToken;
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::session::gate;
use sharelet_core::session::linear;
use sharelet_core::session::phases::{Offline, Online};

pub fn rows(piece: linear::RowPiece<'_, ChaCha12>, tile: &mut [u32; 256], u: &mut [u32]) {
    let _ = linear::prepare(piece, tile, u);
    let _ = linear::prepare(piece, tile, u); //~ E0382
}

pub fn input_masks(piece: linear::InputMaskPiece<'_, ChaCha12>, h: &mut [u32]) {
    let _ = linear::mask(piece, h);
    let _ = linear::mask(piece, h); //~ E0382
}

pub fn gate_masks(piece: gate::MaskPiece<'_, ChaCha12>, y: &mut [u32]) {
    let _ = gate::mask(piece, y);
    let _ = gate::mask(piece, y); //~ E0382
}

pub fn tables(piece: gate::TablePiece<'_, ChaCha12>, peer: &[u8], own: &mut [u8], z: &mut [u32]) {
    let _ = gate::finish_p0(piece, peer, own, z);
    let _ = gate::finish_p0(piece, peer, own, z); //~ E0382
}

pub fn linear_correction(received: linear::Received<'_>, product: &mut [u32]) {
    let _ = linear::correct(received, product);
    let _ = linear::correct(received, product); //~ E0382
}

pub fn gate_correction(
    received: gate::Received<'_>,
    masked: &[u32],
    own: &mut [u8],
    y: &mut [u32],
) {
    let _ = gate::open_p1(received, masked, own, y).map(|_| ());
    let _ = gate::open_p1(received, masked, own, y).map(|_| ()); //~ E0382
}

pub fn opened(opened: gate::Opened<'_>, own: &[u8], peer: &[u8], z: &mut [u32]) {
    let _ = gate::finish_p1(opened, own, peer, z);
    let _ = gate::finish_p1(opened, own, peer, z); //~ E0382
}

pub fn pieces(masks: linear::InputMasks<'_, ChaCha12>) {
    masks.for_each(|_| ());
    masks.for_each(|_| ()); //~ E0382
}

pub fn token(keystream: &Keystream<ChaCha12>, token: SessionToken) {
    let _ = Offline::new(keystream, token);
    let _ = Offline::new(keystream, token); //~ E0382
}

pub fn offline(offline: Offline<'_, ChaCha12>) {
    let _: Online<'_, ChaCha12> = offline.finish();
    let _: Online<'_, ChaCha12> = offline.finish(); //~ E0382
}
