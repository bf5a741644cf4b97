//! Properties of words, shares, fixed point, both protocols and network descriptions, on random
//! cases.
//!
//! A failing case is shrunk and printed with its seed. The exhaustive tests on small rings are in
//! the core.

use proptest::prelude::*;
use sharelet_core::fixed::{self, FixedError};
use sharelet_core::gate::{self, GateBits, GateKind};
use sharelet_core::keystream::{ChaCha8, ChaCha12, ChaCha20, Key, Keystream};
use sharelet_core::ring::Ring;
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::network::{Activation, Layer, MIN_GATE_BITS, Network, Skip};
use sharelet_core::session::wire::control::{self, Answer, max_welcome_bytes};
use sharelet_core::shape::{Shape, Window};
use sharelet_core::share;
use sharelet_testkit::{rng, steps};

/// Words with many at the ends of the ring and around powers of two.
fn word() -> impl Strategy<Value = u64> {
    let near_power = (0..64_u32, -1..=1_i64, any::<bool>()).prop_map(|(power, off, negative)| {
        let near = (1_u64 << power).wrapping_add_signed(off);
        if negative { near.wrapping_neg() } else { near }
    });
    prop_oneof![
        any::<u64>(),
        near_power,
        any::<u32>().prop_map(u64::from),
        Just(0),
        Just(u64::MAX),
        Just(1 << 31),
        Just(1 << 63)
    ]
}

/// So many cases; failures are printed, not kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn kind() -> impl Strategy<Value = GateKind> {
    prop_oneof![Just(GateKind::Relu), Just(GateKind::Truncate)]
}

/// Compares the linear protocol with its twin.
fn check_linear<R: Ring>(shape: Shape, seed: u64) {
    let mut rng = rng(seed);
    let mut words =
        |count: usize| (0..count).map(|_| steps::word::<R>(&mut rng)).collect::<Vec<_>>();
    let (rows, row_elems) = shape.weights();
    let weights = words(rows * row_elems);
    let (h, h_1) = (words(usize::from(shape.inputs())), words(usize::from(shape.inputs())));
    let mut expected = vec![R::ZERO; usize::from(shape.outputs())];
    let bias = expected.clone();
    sharelet_core::session::linear::twin(&shape.alone(0), &weights, &bias, |_| &h, &mut expected);
    let found = steps::linear::<R, ChaCha12>(shape, &weights, &h, &h_1, &mut rng);
    assert_eq!(found, expected, "{shape:?}, seed {seed}");
}

/// Windows over images that they fit.
fn window() -> impl Strategy<Value = Window> {
    let channels = (1_u16..4, 1_u16..4, 1_u16..4);
    let kernel = (1_u8..6, 1_u8..6);
    (channels, 1_u16..12, 1_u16..80, kernel, (1_u8..4, 1_u8..4), any::<[u8; 4]>()).prop_map(
        |((groups, depth, per_group), height, width, kernel, stride, pads)| {
            let fitting = |size: u8, length: u16| size.min(u8::try_from(length).unwrap());
            let kernel = (fitting(kernel.0, height), fitting(kernel.1, width));
            let [top, left, bottom, right] = pads;
            Window {
                channels: groups * depth,
                height,
                width,
                filters: groups * per_group,
                groups,
                kernel,
                stride,
                before: (top % kernel.0, left % kernel.1),
                after: (bottom % kernel.0, right % kernel.1),
            }
        },
    )
}

/// Splits, expands and opens.
fn check_shares<R: Ring>(secret: &[u64], key: [u8; 32], session: u64) {
    let stream = Keystream::<ChaCha20>::new(&Key::from_bytes(key));
    let secret: Vec<R> = secret.iter().map(|&word| R::from_u64(word)).collect();
    let (mut own, mut peer) = (vec![R::ZERO; secret.len()], secret.clone());
    share::split(&stream, session, &mut peer);
    share::expand(&stream, session, &mut own);
    share::open(&mut own, &peer);
    assert_eq!(own, secret);
}

/// Ring laws, bytes and shifts against wide integers.
fn check_words<R: Ring>(a: u64, b: u64, shift: u32) {
    let (x, y) = (R::from_u64(a), R::from_u64(b));
    let modulus = |wide: u128| R::from_u64(u64::try_from(wide & u128::from(u64::MAX)).unwrap());
    assert_eq!(x.add(y), modulus(u128::from(a) + u128::from(b)));
    assert_eq!(x.mul(y), modulus(u128::from(a).wrapping_mul(u128::from(b))));
    assert_eq!(x.sub(y).add(y), x);
    assert_eq!(x.add(x.neg()), R::ZERO);
    let shift = shift % R::BITS;
    assert_eq!(x.sar(shift).to_i64(), x.to_i64() >> shift);
    assert_eq!(x.shr(shift).to_u64(), x.to_u64() >> shift);
    assert_eq!(R::pow2(shift).to_u64(), 1 << shift);
    assert_eq!(x.msb() == 1, x.to_i64() < 0);
    let mut bytes = vec![0; R::BYTES];
    x.write_le(&mut bytes);
    assert_eq!(R::read_le(&bytes), x);
    assert_eq!(R::from_u64(x.to_i64().cast_unsigned()), x);
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn words_are_integers_modulo_a_power_of_two(a in word(), b in word(), shift in any::<u32>()) {
        check_words::<u32>(a, b, shift);
        check_words::<u64>(a, b, shift);
    }

    #[test]
    fn shares_open_to_the_secret(
        secret in prop::collection::vec(word(), 0..70),
        key in any::<[u8; 32]>(),
        session in any::<u64>(),
    ) {
        check_shares::<u32>(&secret, key, session);
        check_shares::<u64>(&secret, key, session);
    }

    /// Half a unit in the last place, either way.
    #[test]
    fn a_real_is_off_by_half_a_unit_at_most(real in -1e6_f32..1e6, frac_bits in 0_u8..12) {
        let mut words = [0_u32];
        let unit = 1.0 / f64::from(1_u32 << frac_bits);
        let limit = (1_u32 << 31) - 1;
        match fixed::encode(&[real], frac_bits, limit.into(), &mut words) {
            Ok(()) => {
                let integer = f64::from(words[0].cast_signed());
                prop_assert!((integer * unit - f64::from(real)).abs() <= unit / 2.0);
                // The decoded real is the nearest `f32`.
                #[allow(clippy::cast_possible_truncation)]
                let nearest = (integer * unit) as f32;
                prop_assert_eq!(fixed::decode(words[0], frac_bits).to_bits(), nearest.to_bits());
            }
            Err(error) => {
                prop_assert_eq!(error, FixedError::OutOfRange { index: 0 });
                prop_assert!(f64::from(real).abs() > f64::from(limit) * unit);
            }
        }
    }

    /// With more fraction bits a real is no longer an exact `f32`.
    #[test]
    fn what_has_up_to_24_bits_survives_both_ways(
        integer in -(1 << 24)..=1_i32 << 24,
        frac_bits in 0_u8..=120,
    ) {
        let real = fixed::decode(integer.cast_unsigned(), frac_bits);
        let (mut narrow, mut wide) = ([0_u32], [0_u64]);
        fixed::encode(&[real], frac_bits, 1 << 24, &mut narrow).unwrap();
        fixed::encode(&[real], frac_bits, 1 << 24, &mut wide).unwrap();
        prop_assert_eq!([narrow[0].to_i64(), wide[0].to_i64()], [i64::from(integer); 2]);
    }

    /// Every `f32` is encoded or refused by name, never saturated.
    #[test]
    fn no_real_is_mistaken(bits in any::<u32>(), frac_bits in any::<u8>(), limit in any::<u32>()) {
        let real = f32::from_bits(bits);
        let mut words = [0_u32];
        let result = fixed::encode(&[0.0, real][1..], frac_bits, limit.into(), &mut words);
        if real.is_finite() {
            let scaled = f64::from(real) * f64::from(frac_bits).exp2();
            let fits = scaled.abs() <= f64::from(limit.min(i32::MAX.cast_unsigned()));
            prop_assert_eq!(result.err(), (!fits).then_some(FixedError::OutOfRange { index: 0 }));
            if fits {
                prop_assert!((f64::from(words[0].cast_signed()) - scaled).abs() <= 0.5);
            }
        } else {
            prop_assert_eq!(result, Err(FixedError::NotFinite { index: 0 }));
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    /// The gate is exact for every value, shift, width and kind.
    #[test]
    fn the_gate_is_its_twin(
        ys in prop::collection::vec(word(), 1..130),
        (shift, width_bits) in (0_u32..31).prop_flat_map(|shift| (Just(shift), shift + 2..=32)),
        kind in kind(),
        seed in any::<u64>(),
    ) {
        let ys: Vec<u32> = ys.into_iter().map(<u32 as Ring>::from_u64).collect();
        let bits = GateBits { width_bits, shift };
        let expected: Vec<u32> = ys.iter().map(|&y| gate::twin(kind, bits, y)).collect();
        prop_assert_eq!(steps::gate::<u32, ChaCha8>(kind, bits, &ys, &mut rng(seed)), expected);
    }

    /// The linear protocol is exact, for shapes on both sides of blocks, pieces and tiles.
    #[test]
    fn a_linear_layer_is_its_twin(
        inputs in 1_u16..600,
        outputs in 1_u16..140,
        seed in any::<u64>(),
    ) {
        check_linear::<u32>(Shape::Dense { inputs, outputs }, seed);
        check_linear::<u64>(Shape::Dense { inputs, outputs }, seed);
    }

    #[test]
    fn a_convolution_is_its_twin(window in window(), seed in any::<u64>()) {
        check_linear::<u32>(Shape::Convolution(window), seed);
        check_linear::<u64>(Shape::Convolution(window), seed);
    }
}

/// Shapes that may be anything.
fn any_shape() -> impl Strategy<Value = Shape> {
    let numbers =
        any::<[u16; 5]>().prop_map(|numbers| numbers.map(|number| number >> (number % 16)));
    (0..5, numbers, any::<[u8; 8]>()).prop_map(
        |(kind, [channels, height, width, filters, groups], [a, b, c, d, e, f, g, h])| {
            let small = |number: u8| number >> (number % 8);
            let window = Window {
                channels,
                height,
                width,
                filters,
                groups,
                kernel: (small(a), small(b)),
                stride: (small(c), small(d)),
                before: (small(e), small(f)),
                after: (small(g), small(h)),
            };
            match kind {
                0 => Shape::Dense { inputs: channels, outputs: filters },
                1 => Shape::Identity { width },
                2 => Shape::Mean(window),
                3 => Shape::Convolution(window),
                _ => Shape::Convolution(Window {
                    groups: 1,
                    before: (0, 0),
                    after: (0, 0),
                    ..window
                }),
            }
        },
    )
}

fn layer() -> impl Strategy<Value = Layer> {
    let skip = proptest::option::of((any::<u8>(), any_shape(), any::<u8>()));
    let scales = any::<[u8; 3]>();
    (any_shape(), scales, any::<bool>(), skip).prop_map(
        |(shape, [weight_frac_bits, shift, gate_bits], relu, skip)| {
            let activation = if relu { Activation::Relu } else { Activation::Identity };
            let skip = skip.map(|(from, shape, weight_frac_bits)| Skip {
                from: from % 8,
                shape,
                weight_frac_bits,
            });
            Layer { shape, weight_frac_bits, skip, shift, gate_bits, activation }
        },
    )
}

/// Layers that fit each other.
fn chain() -> impl Strategy<Value = (u8, u32, Vec<Layer>)> {
    let layer = (1_u16.., 0_u8..12, 0_u8..31, any::<bool>(), 0_u8..32);
    (0_u8..16, 1_u32..1 << 31, 1_u16.., prop::collection::vec(layer, 1..8)).prop_map(
        |(frac_bits, limit, inputs, layers)| {
            let (mut width, mut bits) = (inputs, frac_bits);
            let layers = layers
                .into_iter()
                .map(|(outputs, weight_frac_bits, shift, relu, narrower)| {
                    let weight_frac_bits = weight_frac_bits.min(31 - bits);
                    let shift = shift.min(bits + weight_frac_bits).min(30);
                    let activation = if relu { Activation::Relu } else { Activation::Identity };
                    let layer = Layer::dense(width, outputs, weight_frac_bits, shift, activation);
                    let gated = relu || shift > 0;
                    let least = if gated { MIN_GATE_BITS.max(shift + 2) } else { 32 };
                    let layer = layer.narrow(least.max(32 - narrower));
                    (width, bits) = (outputs, bits + weight_frac_bits - shift);
                    layer
                })
                .collect();
            (frac_bits, limit, layers)
        },
    )
}

/// Everything that is computed from a description, for panics and overflows.
fn use_description<const L: usize>(network: &Network<L>) {
    for index in 0..=network.layers().len() {
        let _ = (network.gate(index), network.parts(index));
        let _ = (network.weight_elems(index), network.vector(index));
    }
    // Counting takes as long as there are blocks to count, and a device stops at its limit.
    let few = network.blocks(10_000) <= 10_000;
    for answer in [Answer::Device, Answer::Host, Answer::Both].into_iter().filter(|_| few) {
        let cost = network.session_cost(answer);
        assert_eq!(cost.prepare_blocks + cost.online_blocks, network.blocks(u64::MAX));
    }
    let _ = sharelet_core::session::deal::correction_bytes(network);
    let _ = sharelet_core::session::p1::ScratchSizes::of(network);
    let _ = (network.output_frac_bits(), network.max_width(), network.inputs(), network.outputs());
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn random_bytes_are_a_description_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        if let Ok(network) = control::parse::<Network<8>>(&bytes) {
            // Whatever decodes must be safe to ask, valid or not.
            let _ = network.validate();
            use_description(&network);
        }
    }

    #[test]
    fn random_layers_are_a_description_or_refused(
        frac_bits in any::<u8>(),
        limit in any::<u32>(),
        layers in prop::collection::vec(layer(), 0..10),
    ) {
        if let Ok(network) = Network::<8>::new(frac_bits, limit, &layers) {
            use_description(&network);
        }
    }

    #[test]
    fn a_chain_survives_the_wire((frac_bits, limit, layers) in chain()) {
        let network = Network::<8>::new(frac_bits, limit, &layers).unwrap();
        use_description(&network);
        let mut buffer = [0; max_welcome_bytes(8)];
        let used = control::emit_welcome(&network, &[1; 32], &[2; 32], &mut buffer).unwrap();
        let mut read = Network::<8>::default();
        let (welcome, _) = control::parse_welcome(&buffer[..used], &mut read).unwrap();
        prop_assert_eq!((usize::from(welcome.layers), &read), (layers.len(), &network));
        // Every gate of a valid description has a plan.
        for (index, layer) in layers.iter().enumerate() {
            let bare = layer.shift == 0 && layer.activation == Activation::Identity;
            prop_assert_eq!(network.gate(index).is_none(), bare);
            prop_assert_eq!(network.has_gate(index), !bare);
        }
    }

    #[test]
    fn plans_cover_the_ring(bits in any::<u32>(), shift in any::<u32>(), kind in kind()) {
        let (bits, shift) = (bits % 40, shift % 40);
        let plan = Digits::plan(bits, shift, kind);
        prop_assert_eq!(plan.is_ok(), (2..=32).contains(&bits) && shift < bits - 1);
        if let Ok(plan) = plan {
            let low = &plan.widths()[..plan.low()];
            let below: u32 = low.iter().map(|&bits| u32::from(bits)).sum();
            prop_assert_eq!(below, shift);
        }
    }
}

/// Corrections of rows that end inside a block must not depend on anything but their own row and
/// mask: ends of layers, at 64 bits.
#[test]
fn linear_layers_at_the_edges() {
    for (inputs, outputs) in [(1, 1), (8, 64), (9, 65), (256, 1), (257, 3), (512, 128), (513, 129)]
    {
        check_linear::<u32>(Shape::Dense { inputs, outputs }, 60);
        check_linear::<u64>(Shape::Dense { inputs, outputs }, 61);
    }
}
