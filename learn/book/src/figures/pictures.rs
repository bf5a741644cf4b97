//! Chapter 8: two pictures under one keystream.

use plotters::style::RGBColor;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;
use sharelet_core::share::split;

use super::canvas::{Canvas, PUBLIC};
use crate::pair::Failed;

const SIZE: u32 = 16;

/// Grey values of a picture.
fn picture(dark: impl Fn(u32, u32) -> bool) -> Vec<u32> {
    let cells = (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (x, y)));
    cells.map(|(x, y)| if dark(x, y) { 40 } else { 230 }).collect()
}

/// What is sent for two pictures in one session, and the difference of both messages.
pub fn reuse() -> Result<String, Failed> {
    let far = |x: u32, y: u32| x.abs_diff(8).pow(2) + y.abs_diff(8).pow(2);
    let ring = picture(|x, y| (20..50).contains(&far(x, y)));
    let cross = picture(|x, y| x.abs_diff(y) < 2 || (x + y).abs_diff(15) < 2);
    let key = Keystream::<ChaCha12>::new(&Key::from_bytes([8; 32]));
    let sent = |picture: &[u32]| {
        let mut sent = picture.to_vec();
        split(&key, 9, &mut sent);
        sent
    };
    let (first, second) = (sent(&ring), sent(&cross));
    let difference: Vec<u32> = first.iter().zip(&second).map(|(a, b)| b.sub(*a)).collect();
    let mut canvas = Canvas::new(720, 190);
    let grey = |word: u32| {
        let [.., grey] = word.to_le_bytes();
        RGBColor(grey, grey, grey)
    };
    // Grey values are small; of what is sent the topmost bits are shown; differences are -190, 0
    // and 190, and shown as dark, grey and light.
    let of_picture = |word: u32| word << 24;
    let of_difference = |word: u32| (word.add(200).mul(161) >> 8) << 24;
    let all = |words: &[u32], place: &dyn Fn(u32) -> u32| {
        words.iter().map(|&word| place(word)).collect::<Vec<u32>>()
    };
    let shown = [
        ("a reading", all(&ring, &of_picture)),
        ("what is sent", first.clone()),
        ("another reading", all(&cross, &of_picture)),
        ("what is sent", second.clone()),
        ("the difference", all(&difference, &of_difference)),
    ];
    for (column, (name, words)) in (0_u32..).zip(shown) {
        let left = 12.0 + 142.0 * f64::from(column);
        canvas.centred(left + 64.0, 20.0, PUBLIC, name);
        for (index, word) in (0_u32..).zip(words) {
            let (x, y) = (f64::from(index % SIZE), f64::from(index / SIZE));
            canvas.rect([left + 8.0 * x, 30.0 + 8.0 * y, 8.2, 8.2], grey(word));
        }
    }
    canvas.finish()
}
