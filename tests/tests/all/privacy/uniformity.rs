//! The device's wire is uniform, whatever its input: a one-time pad lies over everything that it
//! sends.
//!
//! Two inputs as different as can be, 10,000 sessions each under one key with rising numbers.
//! Everything that the device sends in frames of ring elements and bits is sorted into classes:
//! (frame, layer, byte of a word) and (frame, layer, opened bit). Each class is held against the
//! uniform distribution, and against the same class under the other input. The bounds are exceeded
//! by chance once in 10^9 (see `chi_square`); the seed is fixed.

use std::collections::BTreeMap;

use rand_core::Rng;
use sharelet_core::keystream::{ChaCha8, ChaCha12, Domain, Kind as Stream};
use sharelet_core::session::gate::opened_bytes;
use sharelet_core::session::network::{Activation, Layer, Skip};
use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::frame::Header;
use sharelet_core::session::wire::frame::Kind;
use sharelet_core::shape::{Shape, Window};
use sharelet_testkit::chi_square::{BIT_BOUND, BYTES_BOUND, BitCount, Histogram};
use sharelet_testkit::frames::{self, Frame};
use sharelet_testkit::model::Model;
use sharelet_testkit::party::Setup;
use sharelet_testkit::pipe::End;
use sharelet_testkit::rng;

/// One piece per layer, so that a body is bits, then words. The layers have both kinds of gate.
const WIDTHS: [u16; 4] = [6, 6, 6, 4];
const SESSIONS: u64 = 10_000;

/// Frame, layer, and byte of a word or bit of a gate.
type Class = (u8, u8, usize);

/// What a device sent, sorted.
#[derive(Default)]
struct Classes {
    bytes: BTreeMap<Class, Histogram>,
    bits: BTreeMap<Class, BitCount>,
}

impl Classes {
    /// Sorts the bulk frames of a session.
    fn add(&mut self, setup: &Setup, sent: &[u8]) {
        for frame in frames::split(sent) {
            let kind = frame.header.kind as u8;
            let gate = match frame.header.kind {
                Kind::Prepared => None,
                Kind::Input => usize::from(frame.header.layer).checked_sub(1),
                Kind::Output => Some(usize::from(frame.header.layer)),
                _ => continue,
            };
            let (bits, words) = split_body(setup, gate, &frame);
            if let Some(digits) = gate.and_then(|gate| setup.model.network.gate(gate)) {
                let width = digits.opened_bits() as usize;
                let elements = usize::from(setup.model.network.layers()[gate.unwrap()].outputs());
                for bit in 0..elements * width {
                    let class = (kind, frame.header.layer, bit % width);
                    self.bits.entry(class).or_default().add(bits[bit / 8] >> (bit % 8) & 1 == 1);
                }
            }
            // Zeros fill the last byte of packed words.
            let layer = setup.model.network.layers()[usize::from(frame.header.layer)];
            let packed_bits = usize::from(layer.outputs()) * usize::from(layer.gate_bits);
            let rest = frame.header.kind == Kind::Prepared && packed_bits % 8 > 0;
            for (at, &byte) in words[..words.len() - usize::from(rest)].iter().enumerate() {
                self.bytes.entry((kind, frame.header.layer, at % 4)).or_default().add(byte);
            }
        }
    }

    /// The classes that are not uniform.
    fn off_uniform(&self) -> Vec<(Class, f64)> {
        let bytes = self
            .bytes
            .iter()
            .map(|(&class, histogram)| (class, histogram.against_uniform(), BYTES_BOUND));
        let bits = self.bits.iter().map(|(&class, bits)| (class, bits.against_fair(), BIT_BOUND));
        bytes
            .chain(bits)
            .filter(|&(_, statistic, bound)| statistic > bound)
            .map(|(class, statistic, _)| (class, statistic))
            .collect()
    }

    /// The classes of bytes that differ between two inputs.
    fn apart(&self, other: &Self) -> Vec<(Class, f64)> {
        let statistic = |(&class, histogram): (&Class, &Histogram)| {
            (class, histogram.against(&other.bytes[&class]))
        };
        self.bytes.iter().map(statistic).filter(|&(_, statistic)| statistic > BYTES_BOUND).collect()
    }
}

/// Bits that one element opens, of all gates.
fn opened_bits(setup: &Setup) -> usize {
    let network = &setup.model.network;
    let gates = (0..network.layers().len()).filter_map(|layer| network.gate(layer));
    gates.map(|gate| gate.opened_bits() as usize).sum()
}

/// The opened bits and the words of a body.
fn split_body<'f>(setup: &Setup, gate: Option<usize>, frame: &'f Frame) -> (&'f [u8], &'f [u8]) {
    let network = &setup.model.network;
    let bits = gate.and_then(|gate| {
        Some(opened_bytes(&network.gate(gate)?, usize::from(network.layers()[gate].outputs())))
    });
    frame.body.split_at(bits.unwrap_or(0))
}

fn setup() -> Setup {
    let mut rng = rng(20);
    let model = Model::random(&WIDTHS, true, &mut rng);
    Setup::random(model, Answer::Device, &mut rng)
}

/// All zeros, and the ends of the ring in turn.
fn inputs() -> [[u32; 6]; 2] {
    let (low, high) = (i32::MIN.cast_unsigned(), i32::MAX.cast_unsigned());
    [[0; 6], [high, low, high, low, high, high]]
}

/// A network of windows: a convolution, one with a residual connection, the larger of pairs, and a
/// mean. One piece per layer.
fn windows() -> Setup {
    let mut rng = rng(23);
    let image = Window {
        channels: 1,
        height: 4,
        width: 4,
        filters: 2,
        groups: 1,
        kernel: (2, 2),
        stride: (1, 1),
        before: (0, 0),
        after: (0, 0),
    };
    let same = Window { channels: 2, height: 3, width: 3, before: (1, 1), ..image };
    let pool = Window { groups: 2, kernel: (1, 2), before: (0, 0), ..same };
    let mean = Window { width: 2, kernel: (3, 1), ..pool };
    let layer = |shape, skip, activation| Layer {
        shape,
        weight_frac_bits: 10,
        skip,
        shift: 10,
        gate_bits: 24,
        activation,
    };
    let skip = Some(Skip { from: 1, shape: Shape::Identity { width: 18 }, weight_frac_bits: 10 });
    let layers = [
        layer(Shape::Convolution(image), None, Activation::Relu),
        layer(Shape::Convolution(same), skip, Activation::Identity),
        Layer::larger(pool),
        layer(Shape::Mean(mean), None, Activation::Identity),
    ];
    let model = Model::with_layers(&layers, &mut rng);
    Setup::random(model, Answer::Device, &mut rng)
}

/// Runs honest sessions; `each` gets what the device sent.
fn honest_sessions(mut setup: Setup, input: &[u32], mut each: impl FnMut(&Setup, &[u8])) {
    let mut rng = rng(21);
    for session in 0..SESSIONS {
        (setup.next, setup.session) = (session, session);
        rng.fill_bytes(&mut setup.dealer_seed);
        let transcript = setup.honest::<ChaCha8>(input, 10_000);
        assert_eq!(transcript.device_answer, setup.model.twin(input));
        each(&setup, &transcript.device);
    }
}

#[test]
fn with_an_honest_host_the_wire_is_uniform_under_either_input() {
    let [zeros, extremes] = inputs().map(|input| {
        let mut classes = Classes::default();
        honest_sessions(setup(), &input, |setup, sent| classes.add(setup, sent));
        classes
    });
    // Three `Prepared`, three `Input`, and the bits of three gates.
    assert_eq!((zeros.bytes.len(), zeros.bits.len()), (6 * 4, opened_bits(&setup())));
    assert!(zeros.bytes.values().all(|histogram| histogram.total() >= 2 * SESSIONS));
    for classes in [&zeros, &extremes] {
        assert_eq!(classes.off_uniform(), []);
    }
    assert_eq!(zeros.apart(&extremes), []);
}

/// Vectors that several layers take are opened once, and what is carried over does not show.
#[test]
fn with_windows_the_wire_is_uniform_under_either_input() {
    let (low, high) = (i32::MIN.cast_unsigned(), i32::MAX.cast_unsigned());
    let [zeros, extremes] =
        [[0; 16], core::array::from_fn(|at| if at % 3 == 0 { high } else { low })].map(
            |input: [u32; 16]| {
                let mut classes = Classes::default();
                honest_sessions(windows(), &input, |setup, sent| classes.add(setup, sent));
                classes
            },
        );
    // Four `Prepared`, four `Input`, and the bits of four gates.
    assert_eq!((zeros.bytes.len(), zeros.bits.len()), (8 * 4, opened_bits(&windows())));
    for classes in [&zeros, &extremes] {
        assert_eq!(classes.off_uniform(), []);
    }
    assert_eq!(zeros.apart(&extremes), []);
}

/// Takes the mask off again, with the device's key: the test above would have seen it missing.
#[test]
fn without_the_mask_the_statistic_explodes() {
    let mut classes = Classes::default();
    let [_, extremes] = inputs();
    honest_sessions(setup(), &extremes, |setup, sent| {
        let mut r = [0_u32; 6];
        let domain = Domain { session: setup.session, layer: 0, kind: Stream::InputMask };
        setup.binding::<ChaCha8>().session(setup.session).fill(domain, 0, &mut r);
        for mut frame in frames::split(sent)
            .into_iter()
            .filter(|frame| frame.header.kind == Kind::Input && frame.header.layer == 0)
        {
            for (bytes, r) in frame.body.chunks_exact_mut(4).zip(r) {
                let d = u32::from_le_bytes(bytes.try_into().unwrap());
                bytes.copy_from_slice(&d.wrapping_add(r).to_le_bytes());
            }
            classes.add(setup, &frame.bytes());
        }
    });
    let off = classes.off_uniform();
    assert_eq!(off.len(), 4, "all four bytes of the unmasked words");
    assert!(off.iter().all(|&(_, statistic)| statistic > 100.0 * BYTES_BOUND), "{off:?}");
}

/// The same session number twice is what the counter prevents: the difference of the two
/// transcripts is that of the inputs.
#[test]
fn a_mask_used_twice_shows_the_difference_of_the_inputs() {
    let [zeros, extremes] = inputs();
    let setup = setup();
    let first_input = |input: &[u32]| {
        let transcript = setup.honest::<ChaCha12>(input, 10_000);
        let frame = frames::split(&transcript.device)
            .into_iter()
            .find(|frame| frame.header.kind == Kind::Input)
            .unwrap();
        frame
            .body
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
            .collect::<Vec<_>>()
    };
    let difference: Vec<u32> = first_input(&extremes)
        .iter()
        .zip(first_input(&zeros))
        .map(|(a, b)| a.wrapping_sub(b))
        .collect();
    assert_eq!(difference, extremes);
}

/// A host that sends the same chosen bytes in place of `z` and its bits every time.
#[test]
fn with_a_host_that_chooses_every_byte_the_wire_is_uniform_under_either_input() {
    let mut rng = rng(22);
    for strategy in 0..3_u8 {
        let [zeros, extremes] = inputs().map(|input| {
            let mut setup = setup();
            setup.answer = Answer::Device;
            let honest = frames::split(&setup.honest::<ChaCha8>(&input, 10_000).host);
            let script: Vec<u8> = frames::join(
                &honest
                    .into_iter()
                    .map(|mut frame| {
                        match frame.header {
                            Header { kind: Kind::Gate | Kind::Answer, .. } if strategy == 0 => {
                                frame.body.fill(0)
                            }
                            Header { kind: Kind::Gate | Kind::Answer, .. } if strategy == 1 => {
                                frame.body.fill(0xff)
                            }
                            Header { kind: Kind::Gate | Kind::Answer, .. } => {
                                rng.fill_bytes(&mut frame.body)
                            }
                            _ => {}
                        }
                        frame
                    })
                    .collect::<Vec<_>>(),
            );
            let mut classes = Classes::default();
            for _ in 0..SESSIONS {
                let seed = setup.model_seed;
                setup.rekey(&mut rng);
                setup.model_seed = seed;
                let run = setup.device_against::<ChaCha8>(&script, End::Closed, &input);
                assert!(run.result.is_ok());
                classes.add(&setup, &run.sent);
            }
            classes
        });
        assert_eq!((zeros.bytes.len(), zeros.bits.len()), (6 * 4, opened_bits(&setup())));
        assert_eq!(
            [zeros.off_uniform(), extremes.off_uniform(), zeros.apart(&extremes)],
            [vec![], vec![], vec![]],
            "{strategy}"
        );
    }
}
