//! Values whose dimensions are moved, flattened and broadcast: the answers are those of the
//! definitions, or the network is refused.
use prost::Message as _;
use sharelet_core::shape::Shape;
use sharelet_import::graph::{Layout, Op, Padding, Pool};
use sharelet_import::lower::lower;
use sharelet_import::onnx;
use sharelet_testkit::graphs::{BARE, Builder, LAYOUTS, check, ordered, refuses};
use sharelet_testkit::onnx::{int, ints, model, node, shape, tensor, with};

/// As Keras writes one-dimensional convolutions: a row is added before each of them and dropped
/// behind it.
#[test]
fn signals_that_are_images_of_one_row_in_between() {
    let mut graph = Builder::new(&[12, 2], Layout::ChannelsLast);
    let mut value = 0;
    for depth in [2_u8, 4] {
        let row = graph.reshape(value, &[1, 12, depth.into()]);
        let conv = graph.conv(row, [4, depth.into(), 1, 3], 1, (1, 1), Padding::SameUpper);
        let signal = graph.reshape(conv, &[12, 4]);
        let norm = graph.affine(signal, &[4]);
        value = graph.node(Op::Relu, &[norm]);
    }
    let mut mean = Builder { rng: sharelet_testkit::Rng(9), graph: graph.graph.clone() };
    graph.flat_dense(value, 48);
    check("flattened", &graph.graph, 3);
    let pooled = mean.node(Op::Mean { axes: vec![1], keep: false }, &[value]);
    mean.dense(pooled, 4, 3);
    let chain = check("averaged", &mean.graph, 4);
    assert!(matches!(chain.layers[2].map.shape, Shape::Mean(window) if window.kernel == (1, 12)));
}

#[test]
fn means_over_rows_columns_or_both() {
    for layout in LAYOUTS {
        let (rows, columns) = if layout == Layout::ChannelsFirst { (2, 3) } else { (1, 2) };
        for (axes, left) in
            [(vec![rows], 3 * 5), (vec![columns - 4], 3 * 4), (vec![rows, columns], 3)]
        {
            for keep in [true, false] {
                let mut graph = Builder::image(layout, [2, 4, 5]);
                let first = graph.same(0, 3, 2);
                let mean = graph.node(Op::Mean { axes: axes.clone(), keep }, &[first]);
                graph.flat_dense(mean, left);
                check(&format!("{layout:?} {axes:?} {keep}"), &graph.graph, 3);
            }
        }
        let mut graph = Builder::image(layout, [2, 4, 5]);
        let first = graph.same(0, 3, 2);
        let mean = graph.node(Op::Mean { axes: vec![1, 2, 3], keep: true }, &[first]);
        graph.flat_dense(mean, 1);
        check(&format!("{layout:?} all"), &graph.graph, 3);
    }
}

#[test]
fn constants_are_broadcast_as_they_say() {
    for layout in LAYOUTS {
        // A constant along the columns is none along the channels, even if there are as many.
        let mut graph = Builder::image(layout, [3, 3, 3]);
        let first = graph.same(0, 3, 3);
        let offset = graph.reals(3);
        let along = if layout == Layout::ChannelsFirst { vec![3] } else { vec![3, 1] };
        let sum =
            graph.node(Op::Elementwise { scale: vec![2.0], offset, dims: Some(along) }, &[first]);
        graph.flat_dense(sum, 27);
        check(&format!("{layout:?} columns"), &graph.graph, 2);
        // Behind a ReLU, per channel and per element, into the dense layer behind the flattening.
        for dims in [ordered(layout, [3, 1, 1]), ordered(layout, [3, 4, 2]), [1, 1, 1]] {
            let mut graph = Builder::image(layout, [2, 4, 2]);
            let first = graph.same(0, 3, 2);
            let relu = graph.node(Op::Relu, &[first]);
            let norm = graph.affine(relu, &dims);
            graph.flat_dense(norm, 24);
            check(&format!("{layout:?} {dims:?}"), &graph.graph, 2);
        }
        // Behind the flattening, an element each.
        let mut graph = Builder::image(layout, [2, 4, 2]);
        let first = graph.same(0, 3, 2);
        let relu = graph.node(Op::Relu, &[first]);
        let flat = graph.reshape(relu, &[24]);
        let norm = graph.affine(flat, &[1, 24]);
        graph.dense(norm, 24, 3);
        check(&format!("{layout:?} flat"), &graph.graph, 2);
    }
}

/// The mean of the training images, or of their channels, taken off before the first convolution.
#[test]
fn normalisation_of_the_input() {
    for layout in LAYOUTS {
        for (stride, padding) in
            [((1, 1), BARE), ((2, 3), Padding::Explicit { before: (0, 2), after: (1, 0) })]
        {
            let mut graph = Builder::image(layout, [2, 6, 7]);
            let scale = graph.reals(2);
            // Summands would have to be added to the padding, too.
            let offset = if padding == BARE { graph.reals(2) } else { vec![0.0] };
            let dims = Some(ordered(layout, [2, 1, 1]).to_vec());
            let norm = graph.node(Op::Elementwise { scale, offset, dims }, &[0]);
            let first = graph.conv(norm, [3, 2, 3, 3], 1, stride, padding);
            let mean = graph.node(Op::AveragePool(Pool::WHOLE), &[first]);
            graph.flat_dense(mean, 3);
            check(&format!("{layout:?} {padding:?}"), &graph.graph, 3);
        }
        let mut graph = Builder::image(layout, [2, 6, 7]);
        let offset = graph.reals(84);
        let dims = Some(ordered(layout, [2, 6, 7]).to_vec());
        let norm =
            graph.node(Op::Elementwise { scale: vec![3.0], offset, dims: dims.clone() }, &[0]);
        let first = graph.conv(norm, [3, 2, 3, 3], 1, (1, 1), BARE);
        graph.flat_dense(first, 60);
        check(&format!("{layout:?} mean image"), &graph.graph, 2);
        // With padding it is a layer of its own, also where pixels are interleaved.
        let mut graph = Builder::image(layout, [2, 6, 7]);
        let norm = graph.affine(0, &ordered(layout, [2, 1, 1]));
        let first = graph.same(norm, 3, 2);
        graph.flat_dense(first, 126);
        check(&format!("{layout:?} padded"), &graph.graph, 3);
        let mut graph = Builder::image(layout, [2, 6, 7]);
        let scale = graph.reals(84);
        let norm = graph.node(Op::Elementwise { scale, offset: vec![0.0], dims }, &[0]);
        graph.conv(norm, [3, 2, 3, 3], 1, (1, 1), BARE);
        graph.flat_dense(2, 60);
        refuses(&graph, "differ within a channel");
    }
}

/// As converters from TensorFlow to ONNX write it: images are turned over at the beginning, and
/// back before they are flattened.
#[test]
fn transposed_images() {
    let mut graph = Builder::new(&[5, 6, 3], Layout::ChannelsFirst);
    let turned = graph.node(Op::Transpose(vec![2, 0, 1]), &[0]);
    let first = graph.same(turned, 4, 3);
    let relu = graph.node(Op::Relu, &[first]);
    let second = graph.same(relu, 4, 4);
    let sum = graph.node(Op::Add, &[relu, second]);
    let back = graph.node(Op::Transpose(vec![1, 2, 0]), &[sum]);
    graph.flat_dense(back, 120);
    check("turned", &graph.graph, 3);
    // Rows and columns exchanged, which is neither order.
    let mut graph = Builder::new(&[3, 5, 6], Layout::ChannelsFirst);
    let turned = graph.node(Op::Transpose(vec![0, 2, 1]), &[0]);
    graph.same(turned, 4, 3);
    refuses(&graph, "unknown size or order");
    let mut graph = Builder::new(&[3, 5, 6], Layout::ChannelsFirst);
    let first = graph.same(0, 4, 3);
    let back = graph.node(Op::Transpose(vec![1, 2, 0]), &[first]);
    refuses(&graph, "another order");
    // A function that is left to the recipient changes nothing about that.
    graph.node(Op::Last, &[back]);
    refuses(&graph, "another order");
    let mut graph = Builder::new(&[4, 4], Layout::ChannelsFirst);
    graph.node(Op::Transpose(vec![0, 0]), &[0]);
    graph.flat_dense(1, 16);
    refuses(&graph, "order that cannot be");
}

#[test]
fn sums_of_values_that_lie_otherwise_are_refused() {
    // The input lies pixel after pixel, the convolution's result channel after channel.
    let mut graph = Builder::new(&[4, 4, 2], Layout::ChannelsLast);
    let first = graph.same(0, 2, 2);
    let sum = graph.node(Op::Add, &[0, first]);
    graph.flat_dense(sum, 32);
    refuses(&graph, "lie otherwise");
    // A projection of the input does what is asked for.
    let mut graph = Builder::new(&[4, 4, 2], Layout::ChannelsLast);
    let first = graph.same(0, 2, 2);
    let shortcut = graph.conv(0, [2, 2, 1, 1], 1, (1, 1), BARE);
    let sum = graph.node(Op::Add, &[shortcut, first]);
    graph.flat_dense(sum, 32);
    check("projection", &graph.graph, 2);
    // A column and a row add up to a matrix.
    let mut graph = Builder::new(&[3], Layout::ChannelsFirst);
    let first = graph.dense(0, 3, 3);
    let (column, row) = (graph.reshape(first, &[3, 1]), graph.reshape(0, &[1, 3]));
    graph.node(Op::Add, &[column, row]);
    refuses(&graph, "[3, 1] and [1, 3]");
}

#[test]
fn pools_whose_edges_differ_only_in_name() {
    let pool = |length: usize, size, pool: Pool| {
        let mut graph = Builder::new(&[2, length, length], Layout::ChannelsFirst);
        let first = graph.same(0, 3, 2);
        let pool = Pool { size: Some((size, size)), stride: (2, 2), ..pool };
        graph.node(Op::AveragePool(pool), &[first]);
        graph
    };
    let ceil = Pool { ceil: true, ..Pool::WHOLE };
    let uneven = Pool { padding: Padding::SameUpper, count_padding: false, ..Pool::WHOLE };
    check("ceil", &pool(7, 3, ceil).graph, 2);
    check("uneven", &pool(8, 2, uneven).graph, 2);
    refuses(&pool(8, 3, ceil), "ceil_mode");
    refuses(&pool(7, 2, uneven), "count_include_pad");
}

/// Constants that exporters reshape keep the dimensions they were given.
#[test]
fn onnx_constants_are_reshaped() {
    let identity: [f32; 64] = core::array::from_fn(|i| if i % 9 == 0 { 1.0 } else { 0.0 });
    let answer = |nodes: Vec<_>| {
        let constants = vec![
            tensor("w", &[2, 1, 1, 1], &[1.0, 1.0]),
            tensor("b", &[2], &[10.0, 20.0]),
            tensor("d", &[8, 8], &identity),
            shape("image", &[-1, 1, 2, 2]),
            shape("columns", &[1, 1, 1, -1]),
            shape("channels", &[1, 2, 1, 1]),
        ];
        let mut all = vec![node("Reshape", &["x", "image"], "i"), node("Conv", &["i", "w"], "c")];
        all.extend(nodes);
        all.extend([
            node("Add", &["c", "k"], "a"),
            node("Flatten", &["a"], "f"),
            node("MatMul", &["f", "d"], "y"),
        ]);
        lower(&onnx::read(&model(4, all, constants).encode_to_vec(), None).unwrap())
            .unwrap()
            .infer(&[1.0, 2.0, 3.0, 4.0])
    };
    let channels = [11.0, 12.0, 13.0, 14.0, 21.0, 22.0, 23.0, 24.0];
    let columns = [11.0, 22.0, 13.0, 24.0, 11.0, 22.0, 13.0, 24.0];
    assert_eq!(answer(vec![node("Reshape", &["b", "channels"], "k")]), channels);
    assert_eq!(answer(vec![node("Reshape", &["b", "columns"], "k")]), columns);
    let unsqueezed =
        |axes: &[i64], output| with(node("Unsqueeze", &["b"], output), vec![ints("axes", axes)]);
    assert_eq!(answer(vec![unsqueezed(&[1, 2], "k")]), channels);
    assert_eq!(answer(vec![unsqueezed(&[0, -2, -3], "k")]), columns);
    let both = vec![unsqueezed(&[0, -2, -3], "u"), node("Squeeze", &["u"], "k")];
    assert_eq!(answer(both), columns);
    let flat = with(node("Flatten", &["b"], "k"), vec![int("axis", 0)]);
    assert_eq!(answer(vec![flat]), columns);
}
