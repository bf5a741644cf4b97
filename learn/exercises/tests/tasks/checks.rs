//! One test for each task. `work` is the crate that is tested: the exercises, or their solutions.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use sharelet_book::draws::always;
use sharelet_book::pair;
use sharelet_core::functions::protocol::product::{Factors, Multiply};
use sharelet_core::functions::protocol::{Messages, Protocol};
use sharelet_core::functions::record::Half;
use sharelet_core::functions::spline::Spline;
use sharelet_core::functions::tables;
use sharelet_core::gate::{GateBits, GateKind, twin};
use sharelet_core::keystream::Key;
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::gate::correction_bytes;
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::share::Party;
use sharelet_exercises::given::{self, Dense, Relu, Then, Toy, Triple, View};

use super::work;

/// Random words; the same in every run.
fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([5; 32])
}

fn words(count: usize, rng: &mut impl CryptoRng) -> Vec<u32> {
    (0..count).map(|_| rng.next_u32()).collect()
}

#[test]
fn share_and_open() {
    use work::share_and_open::{open, share};

    for secret in (0..16).map(Toy::from_u64) {
        let mut seen = [[0; 16]; 2];
        for draw in 0..16 {
            let shares = share(secret, &mut always(draw));
            assert_eq!(open(shares), secret, "shares open to the secret");
            for (seen, share) in seen.iter_mut().zip(shares) {
                seen[usize::try_from(share.to_u64()).unwrap()] += 1;
            }
        }
        assert_eq!(seen, [[1; 16]; 2], "how often the shares of {secret:?} take each value");
    }
    let mut rng = rng();
    for secret in words(100, &mut rng) {
        assert_eq!(open(share(secret, &mut rng)), secret);
    }
}

/// A half that holds one triple, for the core's protocol to read.
struct Held<'t, R>(Party, &'t Triple<R>);

impl<R: Ring> Half for Held<'_, R> {
    const TOGETHER: usize = 1;

    fn party(&self) -> Party {
        self.0
    }

    fn word<W: Ring>(&mut self, _element: usize, offset: u32) -> W {
        let word = [self.1.a, self.1.b, self.1.c][offset as usize / 4];
        W::from_u64(word.to_u64())
    }

    fn bits(&mut self, _element: usize, _first: u32, _count: u32) -> u32 {
        unreachable!("a triple has no bits")
    }
}

#[test]
fn beaver_product() {
    use work::beaver_product::{finish, message};
    const PARTIES: [Party; 2] = [Party::P0, Party::P1];

    // As the core does it.
    let mut rng = rng();
    for _ in 0..200 {
        let [a, b, x, y]: [u32; 4] = core::array::from_fn(|_| rng.next_u32());
        let product = a.wrapping_mul(b);
        let [a, b, c] = [a, b, product].map(|word| pair::share(&[word], &mut rng));
        let [x, y] = [x, y].map(|word| (word, pair::share(&[word], &mut rng)));
        let triples = [0, 1].map(|p| Triple { a: a[p][0], b: b[p][0], c: c[p][0] });
        let mut opened = [0_u32; 2];
        for p in [0, 1] {
            let own = message(x.1[p][0], y.1[p][0], &triples[p]);
            opened = [opened[0].wrapping_add(own[0]), opened[1].wrapping_add(own[1])];
        }
        let mut sum = 0_u32;
        for p in [0, 1] {
            let own = message(x.1[p][0], y.1[p][0], &triples[p]);
            let (mut sent, mut room) = ([0; 8], [0; 8]);
            let mut share = [x.1[p][0]];
            let mut half = Held(PARTIES[p], &triples[p]);
            let mut step = |round, own: &mut [u8], peer: &mut [u8]| {
                let mut data = Factors { x: &mut share, y: &y.1[p] };
                let mut messages = Messages { own, peer, opened: &mut room };
                Multiply::new().step(round, &mut half, &mut data, &mut messages);
            };
            step(0, &mut sent, &mut [0; 8]);
            assert_eq!(sent[..4], own[0].to_le_bytes(), "P{p}'s share of d");
            assert_eq!(sent[4..], own[1].to_le_bytes(), "P{p}'s share of e");
            let mut peer = [0; 8];
            for (at, word) in [0, 1].map(|i| (4 * i, opened[i].wrapping_sub(own[i]))) {
                peer[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            step(1, &mut sent, &mut peer);
            let found = finish(PARTIES[p], &triples[p], opened);
            assert_eq!(found, share[0], "P{p}'s share of the product");
            sum = sum.wrapping_add(found);
        }
        assert_eq!(sum, x.0.wrapping_mul(y.0));
    }

    // Every product of a ring of four values, under every triple and every sharing of x and y.
    let all = || (0..4).map(Small::<2>::from_u64);
    for [x, y] in all().flat_map(|x| all().map(move |y| [x, y])) {
        for [a, b] in all().flat_map(|a| all().map(move |b| [a, b])) {
            for [x_0, y_0] in all().flat_map(|x| all().map(move |y| [x, y])) {
                let (one, two) = (Small::<2>::from_u64(1), Small::from_u64(2));
                let first = Triple { a: one, b: two, c: one };
                let other = Triple { a: a.sub(one), b: b.sub(two), c: a.mul(b).sub(one) };
                let sent = [message(x_0, y_0, &first), message(x.sub(x_0), y.sub(y_0), &other)];
                let opened = [0, 1].map(|i| sent[0][i].add(sent[1][i]));
                let shares = [finish(Party::P0, &first, opened), finish(Party::P1, &other, opened)];
                assert_eq!(shares[0].add(shares[1]), x.mul(y), "{x:?} * {y:?}");
            }
        }
    }
}

#[test]
fn find_the_leak() {
    use work::find_the_leak::leak;

    let counts = |view: View, secret| {
        let mut views: Vec<_> = (0..=u8::MAX).map(|random| view(secret, random)).collect();
        views.sort_unstable();
        views
    };
    let sound: [(&str, View); 3] = [
        ("masked", given::masked),
        ("masked_with_masked_carry", given::masked_with_masked_carry),
        ("masked_twice_afresh", given::masked_twice_afresh),
    ];
    for (name, view) in sound {
        assert_eq!(leak(view), None, "{name} does not leak");
    }
    let broken: [(&str, View); 3] = [
        ("masked_evenly", given::masked_evenly),
        ("masked_with_carry", given::masked_with_carry),
        ("masked_twice", given::masked_twice),
    ];
    for (name, view) in broken {
        let [first, second] = leak(view).unwrap_or_else(|| panic!("{name} leaks"));
        let differ = counts(view, first) != counts(view, second);
        assert!(differ, "the views of {name} do not tell {first:?} from {second:?}");
    }
}

#[test]
fn toy_compare() {
    use work::toy_compare::{exhaustive, relu, sign};

    fn ring<const K: u32>() {
        let all = || (0..1 << K).map(Small::<K>::from_u64);
        for (y, r) in all().flat_map(|y| all().map(move |r| (y, r))) {
            assert_eq!(sign(y.add(r), r), y.msb(), "the sign of {y:?} under {r:?}");
            for shift in 0..K - 1 {
                let right = twin(GateKind::Relu, GateBits::whole::<Small<K>>(shift), y);
                assert_eq!(relu(y.add(r), r, shift), right, "{y:?} >> {shift} under {r:?}");
            }
        }
        for shift in 0..K - 1 {
            let found = exhaustive::<K>(shift, |z, r| relu(z, r, shift));
            assert_eq!(found, None, "a gate that is right");
        }
    }
    ring::<2>();
    ring::<3>();
    ring::<5>();
    ring::<8>();

    // One that forgets what the dropped bits borrow.
    let forgetful = |z: Small<6>, r: Small<6>| match z.sub(r).msb() {
        1 => Small::ZERO,
        _ => {
            z.shr(2).sub(r.shr(2)).add(if z.msb() < r.msb() { Small::pow2(4) } else { Small::ZERO })
        }
    };
    let all = || (0..64).map(Small::<6>::from_u64);
    let wrong = |y: Small<6>, r| forgetful(y.add(r), r) != Small::from_u64(y.to_u64() >> 2);
    let mut pairs = all().filter(|y| y.msb() == 0).flat_map(|y| all().map(move |r| (y, r)));
    let first = pairs.find(|&(y, r)| wrong(y, r));
    assert!(first.is_some());
    assert_eq!(exhaustive(2, forgetful), first, "a gate that forgets the carry");
}

#[test]
fn cut_into_digits() {
    use work::cut_into_digits::{dealt_bytes, less, tables};

    let cuts: [&[u32]; 6] = [&[6], &[3, 3], &[1, 5], &[5, 1], &[2, 2, 2], &[1, 1, 1, 1, 1, 1]];
    for widths in cuts {
        for mask in 0..64 {
            let tables = tables(mask, widths);
            let sizes: Vec<usize> = tables.iter().map(Vec::len).collect();
            let right: Vec<usize> = widths.iter().map(|width| 1 << width).collect();
            assert_eq!(sizes, right, "entries of the tables of {widths:?}");
            for word in 0..64 {
                assert_eq!(less(word, &tables), word < mask, "{word} < {mask}, cut {widths:?}");
            }
        }
    }
    for width_bits in 2..=32 {
        for shift in 0..width_bits - 1 {
            let digits = Digits::plan(width_bits, shift, GateKind::Relu).unwrap();
            let widths: Vec<u32> = digits.widths().iter().map(|&width| width.into()).collect();
            assert_eq!(dealt_bytes(&widths), correction_bytes::<u32>(&digits), "{widths:?}");
        }
    }
}

#[test]
fn price_a_network() {
    use work::price_a_network::{Price, price};

    for (widths, shift) in [
        ([27_u16, 32, 16, 4].as_slice(), 8),
        (&[784, 128, 128, 10], 10),
        (&[5, 3], 4),
        (&[1, 1, 1], 0),
        (&[640, 128, 7, 3, 2, 9], 13),
    ] {
        let layers: Vec<Layer> = widths
            .windows(2)
            .enumerate()
            .map(|(index, width)| {
                let last = index + 2 == widths.len();
                let activation = if last { Activation::Identity } else { Activation::Relu };
                let dropped = if last { 0 } else { shift };
                Layer::dense(width[0], width[1], shift, dropped, activation)
            })
            .collect();
        let network = Network::<8>::new(8, 1 << 12, &layers).unwrap();
        let cost: sharelet_core::cost::Cost =
            (0..layers.len()).map(|index| network.layer_cost(index)).sum();
        let right = Price {
            prepared: cost.prepare.bytes,
            up: cost.up.bytes,
            down: cost.down.bytes,
            dealt: cost.dealer_bytes,
        };
        let wide: Vec<u64> = widths.iter().map(|&width| width.into()).collect();
        assert_eq!(price(&wide, shift.into()), Ok(right), "{widths:?}, dropping {shift} bits");
    }
    assert!(price(&[2, 2, 2], 31).is_err(), "there is no gate that drops 31 bits of 32");
}

#[test]
fn counter_reuse() {
    use work::counter_reuse::{difference, second_reading};

    let mut rng = rng();
    let key = Key::generate(&mut rng);
    let (first_reading, reading) = (words(27, &mut rng), words(27, &mut rng));
    let first = given::sent_in_session(&key, 9, &first_reading);
    let second = given::sent_in_session(&key, 9, &reading);
    let right: Vec<u32> = reading
        .iter()
        .zip(&first_reading)
        .map(|(second, first)| second.wrapping_sub(*first))
        .collect();
    assert_eq!(difference(&first, &second), right);
    assert_eq!(second_reading(&first, &second, &first_reading), reading);
    // In a session of its own it finds nothing.
    let apart = given::sent_in_session(&key, 10, &reading);
    assert_ne!(second_reading(&first, &apart, &first_reading), reading);
}

/// Small numbers of either sign, as words.
fn numbers(count: usize, rng: &mut impl CryptoRng) -> Vec<u32> {
    (0..count).map(|_| (rng.next_u32().cast_signed() >> 8).cast_unsigned()).collect()
}

#[test]
fn max_program() {
    use work::max_program::Max;

    let mut rng = rng();
    for count in [1, 2, 65] {
        let (x, y) = (numbers(count, &mut rng), numbers(count, &mut rng));
        let larger = |(x, y): (&u32, &u32)| x.cast_signed().max(y.cast_signed()).cast_unsigned();
        let right: Vec<u32> = x.iter().zip(&y).map(larger).collect();
        let both = [x, y].concat();
        assert_eq!(pair::twin(&Max, &both).unwrap(), right, "the twin");
        let ran = pair::run(&Max, &both, &mut rng).unwrap();
        assert_eq!(ran.open(), right, "two parties");
        assert_eq!(ran.usage.messages, 2, "one comparison for all words");
        let relu = pair::count(&Relu { shift: 0 }, count).unwrap();
        assert_eq!(ran.usage.dealt_bytes, relu.dealt_bytes, "a ReLU for each pair, no more");
    }
    assert!(pair::twin(&Max, &[1, 2, 3]).is_err(), "three words are no pairs");
}

#[test]
fn prove_a_bound() {
    use work::prove_a_bound::{claims, largest_error};

    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for frac_bits in [8, 12, 16] {
        let table = tables::sigmoid(frac_bits).unwrap();
        assert!(claims(table, sigmoid), "the sigmoid of {frac_bits} bits keeps its bound");
        let largest = largest_error(table, sigmoid);
        assert!(largest > 0.9 * f64::from(table.bound), "{largest}: its bound is no better");
        assert!(claims(tables::tanh(frac_bits).unwrap(), f64::tanh));
        assert!(!claims(table, f64::tanh), "a sigmoid is no tanh");
    }
    let honest = tables::sigmoid(12).unwrap();
    let liar = Spline { bound: honest.bound / 2.0, ..*honest };
    assert!(!claims(&liar, sigmoid), "a table that says half of its bound lies");
}

#[test]
fn layer_kind() {
    use work::layer_kind::Residual;

    let mut rng = rng();
    let square = |size: usize, rng: &mut ChaCha20Rng| Dense {
        rows: (0..size)
            .map(|_| numbers(size, rng).iter().map(|word| word % 64).collect())
            .collect(),
    };
    for size in [1, 4, 9] {
        let plain = Then(square(size, &mut rng), Relu { shift: 6 });
        let network = Then(Residual(plain.clone()), Relu { shift: 1 });
        let input: Vec<u32> = numbers(size, &mut rng).iter().map(|word| word % 1024).collect();
        let inner = pair::twin(&plain, &input).unwrap();
        let sum: Vec<u32> = inner.iter().zip(&input).map(|(a, b)| a.wrapping_add(*b)).collect();
        assert_eq!(pair::twin(&Residual(plain.clone()), &input).unwrap(), sum, "L(x) + x");
        let right = pair::twin(&Relu { shift: 1 }, &sum).unwrap();
        assert_eq!(pair::run(&network, &input, &mut rng).unwrap().open(), right, "two parties");
        let without = pair::count(&Then(plain, Relu { shift: 1 }), size).unwrap();
        assert_eq!(pair::count(&network, size).unwrap(), without, "it costs nothing");
    }
    let narrow = Residual(Dense { rows: vec![vec![1, 2, 3]] });
    assert!(pair::twin(&narrow, &[1, 2, 3]).is_err(), "three words and one cannot be added");
}

#[test]
fn truncation_error() {
    use work::truncation_error::{local, tally};

    for x in (0..256).map(Small::<8>::from_u64) {
        for shift in 1..7 {
            let mut right = [0; 3];
            for own in (0..256).map(Small::<8>::from_u64) {
                let found = own.shr(shift).sub(own.sub(x).shr(shift));
                let mine = [(Party::P0, own), (Party::P1, x.sub(own))]
                    .map(|(party, share)| local(party, share, shift));
                assert_eq!(mine[0].add(mine[1]), found, "{x:?} shared with {own:?}");
                let off = found.sub(x.sar(shift)).to_i64().unsigned_abs();
                right[usize::try_from(off.min(2)).unwrap()] += 1;
            }
            assert_eq!(tally(x, shift), right, "{x:?} >> {shift}");
            if shift < 6 {
                let size = usize::try_from(x.to_i64().unsigned_abs()).unwrap();
                assert_eq!(right[2], size, "{x:?} goes wrong |x| times");
            }
        }
    }
}

#[test]
fn colluding_dealer() {
    use work::colluding_dealer::read_along;

    let mut rng = rng();
    for count in [1, 27, 784] {
        let (key, reading) = (Key::generate(&mut rng), words(count, &mut rng));
        let sent = given::device_sends(&key, 4, &reading).unwrap();
        assert_ne!(sent, reading);
        assert_eq!(read_along(&key, 4, &sent).unwrap(), reading);
        let wrong = Key::generate(&mut rng);
        assert_ne!(read_along(&wrong, 4, &sent).unwrap(), reading, "a host alone has no key");
    }
}
