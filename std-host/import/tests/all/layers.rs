//! Convolutions, pools, sums and normalisation become layers that compute what the graph says, in
//! floating point and in the ring.
use sharelet_core::session::network::Activation;
use sharelet_core::shape::Shape;
use sharelet_import::columns::quantise;
use sharelet_import::graph::{Layout, Op, Padding, Pool, Tensor};
use sharelet_import::lower::lower;
use sharelet_import::quantise::Options;
use sharelet_model::readings::Readings;
use sharelet_testkit::Rng;
use sharelet_testkit::graphs::{BARE, Builder, LAYOUTS, check, refuses};

fn pool(size: (usize, usize), stride: (usize, usize)) -> Pool {
    Pool { size: Some(size), stride, padding: BARE, ..Pool::WHOLE }
}

#[test]
fn convolutions_of_every_kind() {
    for layout in LAYOUTS {
        let around = Padding::Explicit { before: (1, 0), after: (0, 2) };
        for (padding, stride) in [
            (BARE, (1, 1)),
            (Padding::SameUpper, (2, 2)),
            (Padding::SameLower, (2, 3)),
            (around, (1, 2)),
        ] {
            let mut plain = Builder::image(layout, [3, 8, 9]);
            let first = plain.conv(0, [4, 3, 3, 3], 1, stride, padding);
            let relu = plain.node(Op::Relu, &[first]);
            let second = plain.conv(relu, [4, 1, 3, 2], 4, (1, 1), Padding::SameUpper);
            let third = plain.conv(second, [6, 2, 1, 1], 2, (1, 1), BARE);
            let relu = plain.node(Op::Relu, &[third]);
            let mean = plain.node(Op::AveragePool(Pool::WHOLE), &[relu]);
            plain.flat_dense(mean, 6);
            check(&format!("{layout:?} {padding:?}"), &plain.graph, 5);
        }
    }
}

#[test]
fn signals_of_one_dimension() {
    let mut signal = Builder::new(&[2, 40], Layout::ChannelsFirst);
    let around = Padding::Explicit { before: (0, 2), after: (0, 2) };
    let first = signal.conv(0, [4, 2, 1, 5], 1, (1, 2), around);
    let relu = signal.node(Op::Relu, &[first]);
    let second = signal.conv(relu, [4, 1, 1, 3], 4, (1, 1), BARE);
    let flat = signal.node(Op::Reshape { dims: None }, &[second]);
    signal.dense(flat, 4 * 18, 5);
    let chain = check("signal", &signal.graph, 3);
    assert!(matches!(chain.layers[0].map.shape, Shape::Convolution(window) if window.height == 1));
}

#[test]
fn what_is_flattened_is_put_in_order() {
    for layout in LAYOUTS {
        let mut graph = Builder::image(layout, [2, 5, 6]);
        let first = graph.conv(0, [3, 2, 2, 2], 1, (1, 1), BARE);
        let relu = graph.node(Op::Relu, &[first]);
        let flat = graph.node(Op::Reshape { dims: Some(vec![60]) }, &[relu]);
        graph.dense(flat, 60, 4);
        check(&format!("{layout:?}"), &graph.graph, 2);
    }
}

#[test]
fn normalisation_is_folded_where_it_can_be() {
    let mut graph = Builder::new(&[2, 6, 6], Layout::ChannelsFirst);
    // Of the input, before a convolution without padding; behind a convolution; behind a ReLU, with
    // padding.
    let input = graph.norm(0, 2);
    let first = graph.conv(input, [3, 2, 3, 3], 1, (1, 1), BARE);
    let norm = graph.norm(first, 3);
    let relu = graph.node(Op::Relu, &[norm]);
    let norm = graph.norm(relu, 3);
    let second = graph.same(norm, 3, 3);
    let flat = graph.node(Op::Reshape { dims: None }, &[second]);
    let norm = graph.norm(flat, 1);
    graph.dense(norm, 48, 4);
    check("norms", &graph.graph, 4);
}

#[test]
fn residual_connections() {
    for layout in LAYOUTS {
        let mut graph = Builder::image(layout, [2, 8, 8]);
        let stem = graph.same(0, 4, 2);
        let stem = graph.node(Op::Relu, &[stem]);
        // As in ResNet: a block with an identity, one with a projection, each with normalisation.
        let first = graph.same(stem, 4, 4);
        let first = graph.norm(first, 4);
        let first = graph.node(Op::Relu, &[first]);
        let second = graph.same(first, 4, 4);
        let second = graph.norm(second, 4);
        let sum = graph.node(Op::Add, &[stem, second]);
        let block = graph.node(Op::Relu, &[sum]);
        let first = graph.conv(block, [6, 4, 3, 3], 1, (2, 2), Padding::SameUpper);
        let first = graph.node(Op::Relu, &[first]);
        let second = graph.same(first, 6, 6);
        let shortcut = graph.conv(block, [6, 4, 1, 1], 1, (2, 2), BARE);
        let shortcut = graph.norm(shortcut, 6);
        let sum = graph.node(Op::Add, &[second, shortcut]);
        let block = graph.node(Op::Relu, &[sum]);
        // As in MobileNet: no activation behind the sum.
        let narrow = graph.conv(block, [6, 6, 1, 1], 1, (1, 1), BARE);
        let sum = graph.node(Op::Add, &[block, narrow]);
        let mean = graph.node(Op::AveragePool(pool((2, 2), (2, 2))), &[sum]);
        graph.flat_dense(mean, 24);
        let chain = check(&format!("{layout:?}"), &graph.graph, 8);
        let skips: Vec<_> =
            chain.layers.iter().map(|layer| layer.skip.as_ref().map(|skip| skip.from)).collect();
        assert_eq!(skips, [None, None, Some(1), None, Some(3), Some(5), None, None]);
    }
}

#[test]
fn pools() {
    for (size, stride, layers) in [
        ((2, 2), (2, 2), 2),
        ((3, 3), (2, 2), 4),
        ((2, 3), (1, 1), 3),
        ((1, 4), (3, 2), 3),
        ((5, 1), (1, 1), 3),
    ] {
        let mut graph = Builder::new(&[2, 7, 8], Layout::ChannelsFirst);
        let first = graph.same(0, 3, 2);
        let pooled = graph.node(Op::MaxPool(pool(size, stride)), &[first]);
        let relu = graph.node(Op::Relu, &[pooled]);
        let (rows, columns) = ((7 - size.0) / stride.0 + 1, (8 - size.1) / stride.1 + 1);
        graph.flat_dense(relu, 3 * rows * columns);
        // The ReLU moves before the pool.
        check(&format!("{size:?} {stride:?}"), &graph.graph, 2 + layers);
        // But not if what lies between is asked for again.
        let mut graph = Builder::new(&[3, 8, 8], Layout::ChannelsFirst);
        let pooled = graph.node(Op::MaxPool(pool((2, 2), (2, 2))), &[0]);
        let relu = graph.node(Op::Relu, &[pooled]);
        let second = graph.same(relu, 3, 3);
        let sum = graph.node(Op::Add, &[pooled, second]);
        graph.flat_dense(sum, 48);
        check("kept", &graph.graph, 5);
    }
}

fn scaled(by: f64) -> Op {
    Op::Elementwise { scale: vec![by], offset: vec![1.0], dims: None }
}

#[test]
fn relu6_is_two_layers() {
    let mut graph = Builder::new(&[1, 6, 6], Layout::ChannelsFirst);
    let first = graph.conv(0, [4, 1, 3, 3], 1, (1, 1), BARE);
    // Far beyond 6.
    let first = graph.node(scaled(20.0), &[first]);
    let clamped = graph.node(Op::Relu6, &[first]);
    let second = graph.same(clamped, 4, 4);
    let sum = graph.node(Op::Add, &[clamped, second]);
    let clamped = graph.node(Op::Relu6, &[sum]);
    graph.flat_dense(clamped, 64);
    check("relu6", &graph.graph, 2 + 3 + 1);
}

/// Far beyond 6, the rounding of the weights is far beyond a word's: it must not move the 6.
#[test]
fn relu6_of_large_values_is_6() {
    let mut graph = Builder::new(&[1, 6, 6], Layout::ChannelsFirst);
    let first = graph.conv(0, [4, 1, 3, 3], 1, (1, 1), BARE);
    let first = graph.node(scaled(100_000.0), &[first]);
    let clamped = graph.node(Op::Relu6, &[first]);
    graph.flat_dense(clamped, 64);
    let chain = lower(&graph.graph).unwrap();
    let readings = Readings::new(36, Rng(11).reals(36 * 64)).unwrap();
    let error = quantise(&chain, &readings, &Options::default()).unwrap().1.error;
    assert!(error < 0.05, "{error}");
}

#[test]
fn a_softmax_at_the_end_is_left_to_the_recipient() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let first = graph.dense(0, 5, 4);
    graph.node(Op::Last, &[first]);
    let chain = check("softmax", &graph.graph, 1);
    assert_eq!(chain.left_off, ["Op"]);
    let last = graph.graph.output;
    graph.dense(last, 4, 2);
    let error = lower(&graph.graph).unwrap_err().to_string();
    assert!(error.contains("it may only be last"), "{error}");
}

#[test]
fn a_last_layer_with_a_relu_and_one_without_weights() {
    let mut graph = Builder::new(&[2, 4, 4], Layout::ChannelsFirst);
    let first = graph.same(0, 3, 2);
    let relu = graph.node(Op::Relu, &[first]);
    graph.node(Op::AveragePool(Pool::WHOLE), &[relu]);
    let chain = check("mean", &graph.graph, 2);
    assert!(matches!(chain.layers[1].map.shape, Shape::Mean(_)));
    let mut graph = Builder::new(&[6], Layout::ChannelsFirst);
    let first = graph.dense(0, 6, 4);
    graph.node(Op::Relu, &[first]);
    let (chain, readings) = (lower(&graph.graph).unwrap(), Rng(1).reals(60));
    let readings = Readings::new(6, readings).unwrap();
    let (model, _) = quantise(&chain, &readings, &Options::default()).unwrap();
    assert_eq!(model.network.layers()[0].activation, Activation::Relu);
}

/// A max-pool compares differences, which must have a place in the ring.
#[test]
fn a_range_beyond_a_functions_domain_is_refused_with_layer_range_and_domain() {
    let mut graph = Builder::new(&[1, 4, 4], Layout::ChannelsFirst);
    let (weights, bias) = (Tensor::new(vec![1, 1, 1, 1], vec![1.5e5]).unwrap(), None);
    let first = graph
        .node(Op::Convolution { weights, bias, groups: 1, stride: (1, 1), padding: BARE }, &[0]);
    graph.node(Op::MaxPool(pool((2, 2), (2, 2))), &[first]);
    graph.graph.nodes[1].name = "pool".into();
    let mut values = vec![1.0; 32];
    values[1] = -1.0;
    let readings = Readings::new(16, values).unwrap();
    let options = Options {
        headroom_bits: 0,
        input_frac_bits: Some(0),
        frac_bits: Some(13),
        ..Options::default()
    };
    let error =
        quantise(&lower(&graph.graph).unwrap(), &readings, &options).unwrap_err().to_string();
    let parts = [
        "layer 0 (`node 1`)",
        "from -150000.000000 to 150000.000000",
        "32 bits",
        "13 fraction bits",
        "--frac-bits",
    ];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn refusals_say_what_is_wrong() {
    let wide = Padding::Explicit { before: (8, 8), after: (8, 8) };
    for (dims, padding, what) in [
        ([3, 2, 17, 17], wide, "kernels of 256 words"),
        ([3, 2, 9, 9], BARE, "does not fit its image"),
        ([3, 3, 3, 3], BARE, "takes 3 values and gets 2"),
        ([2000, 2, 1, 1], BARE, "at most 65535 values"),
    ] {
        let mut graph = Builder::image(Layout::ChannelsFirst, [2, 8, 8]);
        graph.conv(0, dims, 1, (1, 1), padding);
        refuses(&graph, what);
    }
    let mut graph = Builder::image(Layout::ChannelsFirst, [2, 8, 8]);
    let padded = Pool { padding: Padding::SameUpper, count_padding: false, ..pool((3, 3), (1, 1)) };
    graph.node(Op::MaxPool(padded), &[0]);
    refuses(&graph, "pads its image");
    let mut graph = Builder::image(Layout::ChannelsLast, [2, 8, 8]);
    graph.same(0, 3, 2);
    refuses(&graph, "several pixels of several channels");
    let mut graph = Builder::image(Layout::ChannelsFirst, [2, 8, 8]);
    let (first, other) = (graph.same(0, 3, 2), graph.same(0, 4, 2));
    graph.node(Op::Add, &[first, other]);
    refuses(&graph, "dimensions [3, 8, 8] and [4, 8, 8]");
    let mut graph = Builder::image(Layout::ChannelsFirst, [2, 8, 8]);
    graph.graph.input_dims = None;
    graph.same(0, 3, 2);
    refuses(&graph, "unknown size");
}
