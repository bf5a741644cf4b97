//! `E` of whole layers, kept where a board has room: in RAM, or in flash that is read as memory.
//!
//! It belongs to the model, not to a session: it is made from the model's seed once, at the
//! handshake, and checked there by its digests. Preparing a layer is then a product with words that
//! are there. Layers that are not kept, and those whose words do not match their digest, are made
//! from the seed as they are multiplied, as if there were no room.
//!
//! In a room lie the layers that were chosen, first to last: `E` of a layer, row-major, its parts
//! one after the other; then its digest, low word first.

use core::future::Future;
use core::ops::Range;

use embassy_futures::yield_now;

use crate::correlation::redacted;
use crate::keystream::{Keystream, Rounds};
use crate::session::linear::{DIGEST_WORDS, Digest, DigestKey, WeightMasks};
use crate::session::network::Network;
use crate::session::piece::PIECE_ELEMS;
use crate::shape::Shape;

/// Words that a room is written with at once: a multiple of what any flash writes at once.
pub const WRITE_WORDS: usize = 64;

/// Words of a room that a preparation checks: whole blocks of a digest.
const CHECKED_WORDS: usize = 2048;

/// The room could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotKept;

/// Memory in which `E` is kept, of a fixed length in words.
///
/// Who reads it learns the masked half of the weights, as who reads the device's RAM learns the
/// seed.
pub trait Room {
    /// What is in it.
    fn words(&self) -> &[u32];

    /// Makes it writable from its beginning; what was in it is gone.
    ///
    /// # Errors
    /// [`NotKept`]: what is in it is left to its digests.
    fn erase(&mut self) -> impl Future<Output = Result<(), NotKept>>;

    /// Writes words from `first` on; piece after piece, each once after [`Room::erase`].
    ///
    /// # Errors
    /// [`NotKept`]: what is in it is left to its digests.
    fn write(
        &mut self,
        first: usize,
        words: &[u32; WRITE_WORDS],
    ) -> impl Future<Output = Result<(), NotKept>>;
}

/// RAM.
impl Room for [u32] {
    fn words(&self) -> &[u32] {
        self
    }

    async fn erase(&mut self) -> Result<(), NotKept> {
        Ok(())
    }

    async fn write(&mut self, first: usize, words: &[u32; WRITE_WORDS]) -> Result<(), NotKept> {
        let end = first.saturating_add(WRITE_WORDS);
        let room = self.get_mut(first..end).ok_or(NotKept)?;
        room.iter_mut().zip(words).for_each(|(room, word)| *room = *word);
        Ok(())
    }
}

impl<Q: Room + ?Sized> Room for &mut Q {
    fn words(&self) -> &[u32] {
        (**self).words()
    }

    async fn erase(&mut self) -> Result<(), NotKept> {
        (**self).erase().await
    }

    async fn write(&mut self, first: usize, words: &[u32; WRITE_WORDS]) -> Result<(), NotKept> {
        (**self).write(first, words).await
    }
}

/// No room.
#[derive(Clone, Copy, Debug)]
pub struct NoRoom;

impl Room for NoRoom {
    fn words(&self) -> &[u32] {
        &[]
    }

    async fn erase(&mut self) -> Result<(), NotKept> {
        Err(NotKept)
    }

    async fn write(&mut self, _: usize, _: &[u32; WRITE_WORDS]) -> Result<(), NotKept> {
        Err(NotKept)
    }
}

/// What a room holds of a network. Small, since states that are moved have it.
pub(crate) struct Kept<'d> {
    words: &'d [u32],
    /// Layers that have a place in the room.
    planned: Layers,
    /// Those whose words match their digest.
    whole: Layers,
    /// The layer of which a part is checked, how many of its words were, and their digest.
    check: (usize, usize, Digest),
}

/// A set of the first 64 layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layers(u64);

impl Layers {
    fn has(self, index: usize) -> bool {
        index < 64 && self.0 >> index & 1 == 1
    }

    fn add(&mut self, index: usize) {
        self.0 |= if index < 64 { 1 << index } else { 0 };
    }

    fn remove(&mut self, index: usize) {
        self.0 &= if index < 64 { !(1 << index) } else { !0 };
    }

    fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |&index| self.has(index))
    }

    /// Where the words of layer `index` lie, if these layers have places in a room.
    fn place<const L: usize>(self, network: &Network<L>, index: usize) -> Range<usize> {
        let before = self.iter().take_while(|&layer| layer < index);
        let start = before.map(|layer| network.weight_elems(layer) + DIGEST_WORDS).sum();
        start..start + network.weight_elems(index)
    }
}

/// What was kept at a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Keeping {
    /// Layers of which `E` is kept.
    pub layers: usize,
    /// Their words.
    pub words: usize,
    /// Whether the room was written: not if everything was there.
    pub written: bool,
    /// Layers that do not match their digest, although they were written. They are made from the
    /// seed.
    pub damaged: usize,
}

impl<'d> Kept<'d> {
    /// Nothing.
    pub(crate) const fn none() -> Self {
        let none = Layers(0);
        Self { words: &[], planned: none, whole: none, check: (0, 0, Digest::EMPTY) }
    }

    /// The layers that `room` takes, as it holds them; written, if it does not hold them all.
    pub(crate) async fn new<C: Rounds, Q: Room + ?Sized, const L: usize>(
        room: &'d mut Q,
        model: &Keystream<C>,
        network: &Network<L>,
    ) -> (Self, Keeping) {
        let capacity = room.words().len() / WRITE_WORDS * WRITE_WORDS;
        let planned = plan(network, capacity);
        let mut whole = find_whole(room.words(), model, network, planned).await;
        let written = whole != planned;
        if written {
            // Whatever it comes to, the digests tell.
            let _ = write_all(room, model, network, planned).await;
            whole = find_whole(room.words(), model, network, planned).await;
        }
        let keeping = Keeping {
            layers: whole.count(),
            words: whole.iter().map(|index| network.weight_elems(index)).sum(),
            written,
            damaged: planned.count() - whole.count(),
        };
        (Self { words: Q::words(room), planned, whole, ..Self::none() }, keeping)
    }

    /// `E` of a layer; nothing if it is not kept.
    pub(crate) fn layer<const L: usize>(&self, network: &Network<L>, index: usize) -> &'d [u32] {
        if self.whole.has(index) {
            self.words.get(self.planned.place(network, index)).unwrap_or(&[])
        } else {
            &[]
        }
    }

    /// Layers that are kept.
    pub(crate) fn layers(&self) -> usize {
        self.whole.count()
    }

    /// Checks a few more of the words that are kept, so that all are checked as sessions go by. A
    /// layer that does not match its digest is kept no longer.
    pub(crate) fn check_some<C: Rounds, const L: usize>(
        &mut self,
        model: &Keystream<C>,
        network: &Network<L>,
    ) {
        let (index, done, mut digest) = self.check;
        if !self.whole.has(index) {
            let next = self.whole.iter().find(|&next| next > index);
            let Some(next) = next.or_else(|| self.whole.iter().next()) else { return };
            self.check = (next, 0, Digest::EMPTY);
            return;
        }
        let Range { start, end } = self.planned.place(network, index);
        let piece = start + done..end.min(start + done + CHECKED_WORDS);
        let key = DigestKey::new(model, layer_number(index));
        digest.add(&key, self.words.get(piece.clone()).unwrap_or(&[]));
        if piece.end < end {
            self.check = (index, piece.end - start, digest);
            return;
        }
        if self.words.get(end..end + DIGEST_WORDS) != Some(&digest.finish()) {
            self.whole.remove(index);
        }
        let next = self.whole.iter().find(|&next| next > index);
        self.check = (next.unwrap_or(0), 0, Digest::EMPTY);
    }
}

/// The layers that `capacity` words take: those that are most work first.
fn plan<const L: usize>(network: &Network<L>, capacity: usize) -> Layers {
    let (mut chosen, mut seen) = (Layers::default(), Layers::default());
    let mut left = capacity;
    loop {
        let layers = (0..network.layers().len().min(64)).rev().filter(|&index| !seen.has(index));
        let Some(index) = layers.max_by_key(|&index| work(network, index)) else { break };
        seen.add(index);
        let elems = network.weight_elems(index);
        if let (1.., Some(less)) = (elems, left.checked_sub(elems.saturating_add(DIGEST_WORDS))) {
            chosen.add(index);
            left = less;
        }
    }
    chosen
}

/// Words of `E` that a session makes of a layer: those of a convolution as often as a piece of its
/// outputs is computed.
fn work<const L: usize>(network: &Network<L>, index: usize) -> u64 {
    let of = |shape: Shape| {
        let (rows, row) = shape.weights();
        let strips = match shape {
            Shape::Convolution(_) => usize::from(shape.outputs()).div_ceil(PIECE_ELEMS),
            _ => rows,
        };
        strips.max(rows) as u64 * row as u64
    };
    network.parts(index).iter().map(|part| of(part.shape)).sum()
}

/// Those of the layers that match their digest.
async fn find_whole<C: Rounds, const L: usize>(
    words: &[u32],
    model: &Keystream<C>,
    network: &Network<L>,
    planned: Layers,
) -> Layers {
    let mut whole = planned;
    for index in planned.iter() {
        let place = planned.place(network, index);
        let found = words.get(place.end..place.end + DIGEST_WORDS);
        let mut digest = Digest::EMPTY;
        let key = DigestKey::new(model, layer_number(index));
        for piece in words.get(place).unwrap_or(&[]).chunks(CHECKED_WORDS) {
            digest.add(&key, piece);
            yield_now().await;
        }
        if found != Some(&digest.finish()) {
            whole.remove(index);
        }
    }
    whole
}

fn layer_number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// Makes the words of the layers and their digests, and writes them.
async fn write_all<C: Rounds, Q: Room + ?Sized, const L: usize>(
    room: &mut Q,
    model: &Keystream<C>,
    network: &Network<L>,
    planned: Layers,
) -> Result<(), NotKept> {
    room.erase().await?;
    let mut pieces = Pieces { room, words: [0; WRITE_WORDS], count: 0, first: 0 };
    for index in planned.iter() {
        let (mut digest, key) = (Digest::EMPTY, DigestKey::new(model, layer_number(index)));
        let (mut held, mut count) = ([0; WRITE_WORDS], 0);
        for (number, part) in network.parts(index).iter().enumerate() {
            let (rows, row_elems) = part.shape.weights();
            let masks = WeightMasks::new(model, layer_number(index), number, part);
            for row in 0..rows {
                let (mut words, mut left) = (masks.row::<u32>(row), row_elems);
                while left > 0 {
                    let end = WRITE_WORDS.min(count + left);
                    words.read(held.get_mut(count..end).unwrap_or(&mut []));
                    left -= end - count;
                    count = end % WRITE_WORDS;
                    if count == 0 {
                        digest.add(&key, &held);
                        pieces.push(&held).await?;
                    }
                }
            }
        }
        let rest = held.get(..count).unwrap_or(&[]);
        digest.add(&key, rest);
        pieces.push(rest).await?;
        pieces.push(&digest.finish()).await?;
    }
    pieces.finish().await
}

/// Words on their way to a room.
struct Pieces<'r, Q: ?Sized> {
    room: &'r mut Q,
    words: [u32; WRITE_WORDS],
    count: usize,
    first: usize,
}

impl<Q: Room + ?Sized> Pieces<'_, Q> {
    async fn push(&mut self, words: &[u32]) -> Result<(), NotKept> {
        for word in words {
            if let Some(place) = self.words.get_mut(self.count) {
                *place = *word;
            }
            self.count += 1;
            if self.count == WRITE_WORDS {
                self.room.write(self.first, &self.words).await?;
                self.first += WRITE_WORDS;
                self.count = 0;
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Writes the rest, and zeros behind it.
    async fn finish(mut self) -> Result<(), NotKept> {
        if self.count > 0 {
            self.words.iter_mut().skip(self.count).for_each(|word| *word = 0);
            self.room.write(self.first, &self.words).await?;
        }
        Ok(())
    }
}

redacted!(Kept<'_>);

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use embassy_futures::block_on;

    use super::*;
    use crate::correlation::SessionToken;
    use crate::keystream::{ChaCha12, Key};
    use crate::session::linear;
    use crate::session::network::{Activation, Layer};
    use crate::session::phases::{Follows, Offline};
    use crate::shape::{TILE_ELEMS, Window};

    const LAYERS: usize = 5;

    /// A convolution of two strips per filter, matrices of odd row lengths, and a small one.
    fn network() -> Network<LAYERS> {
        let window = Window {
            channels: 2,
            height: 10,
            width: 12,
            filters: 3,
            groups: 1,
            kernel: (3, 3),
            stride: (1, 1),
            before: (1, 1),
            after: (1, 1),
        };
        let dense = |inputs, outputs| Layer::dense(inputs, outputs, 4, 4, Activation::Relu);
        let layers = [
            Layer { shape: Shape::Convolution(window), ..dense(1, 1) },
            dense(360, 70),
            dense(70, 65),
            Layer::dense(65, 3, 4, 0, Activation::Identity),
        ];
        Network::new(8, 1 << 12, &layers).expect("valid")
    }

    fn model(byte: u8) -> Keystream<ChaCha12> {
        Keystream::new(&Key::from_bytes([byte; 32]))
    }

    /// `E r + a_0` of all layers, and how many of them are kept.
    fn prepared(
        network: &Network<LAYERS>,
        model: &Keystream<ChaCha12>,
        kept: &Kept<'_>,
    ) -> Vec<u32> {
        let key = Keystream::new(&Key::from_bytes([7; 32]));
        let mut offline = Offline::new(&key, SessionToken::consumed(5));
        let mut all = Vec::new();
        for index in 0..network.layers().len() {
            let rows = offline.layer(model, network.parts(index), Follows::Answer).0;
            for piece in rows.with_kept(kept.layer(network, index)) {
                let mut words = vec![0; piece.len()];
                linear::prepare(piece, &mut [0; TILE_ELEMS], &mut words).expect("sized");
                all.extend(words);
            }
        }
        all
    }

    /// A room that counts how often it is written, and can be made to take nothing.
    struct Counted {
        words: Vec<u32>,
        erased: usize,
        broken: bool,
    }

    impl Room for Counted {
        fn words(&self) -> &[u32] {
            &self.words
        }
        async fn erase(&mut self) -> Result<(), NotKept> {
            if self.broken {
                return Err(NotKept);
            }
            self.erased += 1;
            self.words.fill(u32::MAX);
            Ok(())
        }
        async fn write(&mut self, first: usize, words: &[u32; WRITE_WORDS]) -> Result<(), NotKept> {
            assert!(self.words[first..][..WRITE_WORDS].iter().all(|word| *word == u32::MAX));
            self.words[..].write(first, words).await
        }
    }

    fn room(words: usize) -> Counted {
        Counted { words: vec![0xa5a5_a5a5; words], erased: 0, broken: false }
    }

    fn keep<'d>(room: &'d mut Counted, model: &Keystream<ChaCha12>) -> (Kept<'d>, Keeping) {
        block_on(Kept::new(room, model, &network()))
    }

    #[test]
    fn products_with_kept_words_are_those_with_the_keystream() {
        let (network, model) = (network(), model(1));
        let streamed = prepared(&network, &model, &Kept::none());
        let all = (0..LAYERS).map(|index| network.weight_elems(index)).sum::<usize>();
        for capacity in [0, 63, 64, 300, 5000, all, all + 64, all + 1000] {
            let mut room = room(capacity);
            let (kept, keeping) = keep(&mut room, &model);
            assert_eq!(prepared(&network, &model, &kept), streamed, "{capacity}");
            assert_eq!(keeping.layers, kept.layers());
            assert!(keeping.words <= capacity && keeping.damaged == 0);
            assert_eq!(keeping.words == all, capacity > all);
        }
    }

    #[test]
    fn the_busiest_layer_is_kept_first() {
        let network = network();
        let kept = |capacity| [0, 1, 2, 3, 4].map(|index| plan(&network, capacity).has(index));
        assert_eq!(kept(360 * 70 + 2), [false, true, false, false, false]);
        // What does not fit is passed over.
        assert_eq!(kept(360 * 70 + 60), [true, true, false, false, false]);
        assert_eq!(kept(360 * 70 + 1), [true, false, true, true, false]);
    }

    #[test]
    fn a_room_is_written_once_per_model() {
        let mut room = room(40_000);
        assert!(keep(&mut room, &model(1)).1.written);
        assert!(!keep(&mut room, &model(1)).1.written);
        assert!(keep(&mut room, &model(2)).1.written);
        assert_eq!(room.erased, 2);
    }

    #[test]
    fn damaged_words_are_written_anew_or_made_from_the_seed() {
        let (network, model) = (network(), model(1));
        let streamed = prepared(&network, &model, &Kept::none());
        let mut room = room(40_000);
        let whole = keep(&mut room, &model).1;
        assert_eq!((whole.layers, whole.damaged), (4, 0));
        for word in [0, 53, 54, 55, 56, 25_000, 25_255, 25_256] {
            room.words[word] ^= 1 << 31;
            let (_, keeping) = keep(&mut room, &model);
            assert_eq!(keeping, whole, "word {word} is put right");
            room.words[word] ^= 1;
            room.broken = true;
            let (kept, keeping) = keep(&mut room, &model);
            assert_eq!((keeping.layers, keeping.damaged), (3, 1), "word {word}");
            assert_eq!(prepared(&network, &model, &kept), streamed);
            room.broken = false;
        }
    }

    /// Words that are damaged while a connection lasts are found as sessions go by.
    #[test]
    fn all_words_are_checked_in_turn() {
        let (network, model) = (network(), model(1));
        let streamed = prepared(&network, &model, &Kept::none());
        let mut room = room(40_000);
        let planned = keep(&mut room, &model).0.planned;
        let mut damaged = room.words.clone();
        damaged[56 + 20_000] ^= 4;
        let mut kept = Kept { words: &damaged, planned, whole: planned, ..Kept::none() };
        for session in 0..40 {
            kept.check_some(&model, &network);
            // One session for the convolution, then thirteen.
            assert_eq!(kept.layers(), if session < 13 { 4 } else { 3 }, "session {session}");
        }
        assert_eq!(prepared(&network, &model, &kept), streamed);
    }
}
