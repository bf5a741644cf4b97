//! Products of computed values, values that are joined, and branches that have nothing in common:
//! right in floating point, within the printed error, and private answers that are the twin's.

use sharelet_import::columns::quantise;
use sharelet_import::function::Function;
use sharelet_import::graph::{Layout, Op, Padding, Pool};
use sharelet_import::lower::lower;
use sharelet_import::quantise::Options;
use sharelet_import::spline::Spline;
use sharelet_testkit::graphs::{BARE, Builder, LAYOUTS, evaluate, evaluate_all, refuses};

use crate::activations::{private, readings};

const SIGMOID: Op = Op::Function(Function::Sigmoid);
const TANH: Op = Op::Function(Function::Tanh);

/// Checks a graph in floating point and integers, and private answers.
fn right(name: &str, graph: &Builder) {
    let graph = &graph.graph;
    let chain = lower(graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let width = chain.layers[0].inputs();
    for row in readings(width, 20, 11, 1.5).rows() {
        let (found, right) = (chain.infer(row), evaluate(graph, row));
        assert_eq!(found.len(), right.len(), "{name}");
        let size = right.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * size;
        assert!(found.iter().zip(&right).all(near), "{name}: {found:?} where {right:?} is right");
    }
    let (model, report) =
        quantise(&chain, &readings(width, 40, 5, 1.0), &Options::default()).unwrap();
    println!("{name}\n{report}");
    let (mut error, mut size) = (0.0, 0.0);
    for row in readings(width, 40, 77, 1.0).rows() {
        let found = model.decode(&model.infer(&model.encode(row).unwrap()).unwrap());
        for (found, right) in found.into_iter().zip(evaluate(graph, row)) {
            error += (f64::from(found) - right).powi(2);
            size += right * right;
        }
    }
    let error = (error / size).sqrt();
    assert!(error < 0.01 && report.error < 0.01, "{name}: {error}\n{report}");
    private(&model, &readings(width, 1, 9, 1.0));
}

#[test]
fn squares_are_within_their_bound_up_to_their_limit() {
    for (limit, usual) in [(0.01, 0.01), (0.7, 0.2), (3.3, 3.0), (40.0, 1.0), (2.0, 5.0)] {
        let function = Function::Square { limit, usual };
        for power in 3..=12 {
            let error = (usual * usual).min(limit * limit) * 2.0_f64.powi(-power);
            let spline = Spline::fit(function, error).unwrap();
            assert!(spline.bound <= error + 2e-9, "{limit}: {error}");
            let (mut worst, mut seen) = (0.0_f64, 0.0_f64);
            for place in -20_000..=20_000 {
                let x = limit * f64::from(place) / 20_000.0;
                let off = (x * x - spline.at(x)).abs();
                // What is not usual is off by as much of its square, on either side of which knots
                // lie further apart.
                let share = (x.abs() / usual + 0.5).max(1.0).powi(2);
                worst = worst.max(off / (2.0 * share - 1.0));
                seen = if x.abs() < 0.9 * usual { seen.max(off) } else { seen };
            }
            assert!(worst <= spline.bound, "{limit}: {worst}, {}", spline.bound);
            assert!(spline.bound < 1.05 * seen + 2e-9, "{limit}: {seen}, {}", spline.bound);
            // Further out it is a line.
            let far = |x: f64| spline.at(x * limit);
            assert!((far(8.0) - 2.0 * far(6.0) + far(4.0)).abs() < 1e-6 * far(8.0), "{limit}");
            assert_eq!(far(8.0), far(-8.0));
        }
    }
    assert!(Spline::fit(Function::Square { limit: f64::INFINITY, usual: 1.0 }, 0.1).is_none());
    assert!(Spline::fit(Function::Square { limit: 4096.0, usual: 4096.0 }, 1e-6).is_none());
}

#[test]
fn products_of_vectors_are_computed() {
    for kind in 0..8 {
        let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
        let first = graph.dense(0, 5, 6);
        let other = graph.dense(0, 5, 6);
        let product = match kind {
            // Gates of one value: both factors are linear, one is, neither is.
            0 => graph.node(Op::Product, &[first, other]),
            1 => {
                let gate = graph.node(SIGMOID, &[other]);
                graph.node(Op::Product, &[first, gate])
            }
            2 => {
                let (tanh, gate) = (graph.node(TANH, &[first]), graph.node(SIGMOID, &[other]));
                graph.node(Op::Product, &[tanh, gate])
            }
            3 => {
                let (relu, gate) = (graph.node(Op::Relu, &[first]), graph.node(SIGMOID, &[first]));
                graph.node(Op::Product, &[relu, gate])
            }
            // Squares.
            4 => graph.node(Op::Power(2.0), &[first]),
            5 => graph.node(Op::Product, &[first, first]),
            // Of the reading itself.
            6 => {
                let back = graph.dense(first, 6, 5);
                let product = graph.node(Op::Product, &[0, back]);
                graph.dense(product, 5, 6)
            }
            // One number for all.
            _ => {
                let one = graph.dense(first, 6, 1);
                let one = graph.node(SIGMOID, &[one]);
                graph.node(Op::Product, &[first, one])
            }
        };
        let scaled = graph.affine(product, &[6]);
        let relu = graph.node(Op::Relu, &[scaled]);
        graph.dense(relu, 6, 4);
        right(&format!("product {kind}"), &graph);
    }
}

#[test]
fn products_that_are_answers_or_sums_are_computed() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let (first, other) = (graph.dense(0, 5, 6), graph.dense(0, 5, 6));
    let product = graph.node(Op::Product, &[first, other]);
    let third = graph.dense(0, 5, 6);
    let sum = graph.node(Op::Add, &[product, third]);
    let tanh = graph.node(TANH, &[sum]);
    let back = graph.dense(tanh, 6, 6);
    let gate = graph.node(SIGMOID, &[back]);
    graph.node(Op::Product, &[tanh, gate]);
    right("sum and answer", &graph);
}

#[test]
fn products_of_images_are_computed() {
    for layout in LAYOUTS {
        for kind in 0..4 {
            let mut graph = Builder::image(layout, [2, 4, 3]);
            let first = graph.same(0, 3, 2);
            let first = graph.node(Op::Relu, &[first]);
            let product = match kind {
                // Two convolutions of one image; a depthwise one of another.
                0 => {
                    let (a, b) = (graph.same(first, 4, 3), graph.same(first, 4, 3));
                    graph.node(Op::Product, &[a, b])
                }
                1 => {
                    let a = graph.conv(first, [3, 1, 3, 3], 3, (1, 1), Padding::SameUpper);
                    let a = graph.node(SIGMOID, &[a]);
                    graph.node(Op::Product, &[first, a])
                }
                // One number for each channel: squeeze and excite, in the order of a layout.
                2 => {
                    let pool = graph.node(Op::AveragePool(Pool::WHOLE), &[first]);
                    let narrow = graph.conv(pool, [2, 3, 1, 1], 1, (1, 1), BARE);
                    let narrow = graph.node(Op::Relu, &[narrow]);
                    let wide = graph.conv(narrow, [3, 2, 1, 1], 1, (1, 1), BARE);
                    let hard = Function::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
                    let gate = graph.node(Op::Function(hard), &[wide]);
                    let product = graph.node(Op::Product, &[gate, first]);
                    graph.norm(product, 3)
                }
                _ => {
                    let flat = graph.reshape(first, &[-1]);
                    let one = graph.dense(flat, 36, 1);
                    let one = graph.node(SIGMOID, &[one]);
                    let one = graph.reshape(one, &[1, 1, 1]);
                    graph.node(Op::Product, &[first, one])
                }
            };
            let channels = if kind == 0 { 4 } else { 3 };
            let pool = graph.node(Op::AveragePool(Pool::WHOLE), &[product]);
            graph.flat_dense(pool, channels);
            right(&format!("{layout:?} {kind}"), &graph);
        }
    }
}

#[test]
fn whatever_is_joined_along_channels_is_computed() {
    for layout in LAYOUTS {
        for kind in 0..4 {
            let mut graph = Builder::image(layout, [2, 4, 4]);
            let axis = if layout == Layout::ChannelsFirst { 1 } else { 3 };
            let first = graph.same(0, 3, 2);
            let first = graph.node(Op::Relu, &[first]);
            let (joined, channels) = match kind {
                // A layer of a value beside the value: dense connections.
                0 => {
                    let next = graph.same(first, 2, 3);
                    let next = graph.node(Op::Relu, &[next]);
                    let both = graph.node(Op::Concat { axis }, &[first, next]);
                    let norm = graph.norm(both, 5);
                    let relu = graph.node(Op::Relu, &[norm]);
                    let third = graph.same(relu, 2, 5);
                    (graph.node(Op::Concat { axis }, &[both, third]), 7)
                }
                // Branches that have nothing in common: a pool, a wider kernel, a function.
                1 => {
                    let pool =
                        Pool { size: Some((3, 3)), padding: Padding::SameUpper, ..Pool::WHOLE };
                    let pooled = graph.node(Op::AveragePool(pool), &[first]);
                    let pooled = graph.conv(pooled, [2, 3, 1, 1], 1, (1, 1), BARE);
                    let pooled = graph.node(Op::Relu, &[pooled]);
                    let tanh = graph.conv(first, [4, 3, 5, 5], 1, (1, 1), Padding::SameUpper);
                    let tanh = graph.node(TANH, &[tanh]);
                    let deep = graph.same(first, 2, 3);
                    let deep = graph.node(Op::Relu, &[deep]);
                    let deep = graph.same(deep, 3, 2);
                    (graph.node(Op::Concat { axis }, &[pooled, tanh, deep]), 9)
                }
                // A max-pool that is no part of the way.
                2 => {
                    let pool = Pool { size: Some((2, 2)), stride: (2, 2), ..Pool::WHOLE };
                    let pooled = graph.node(Op::MaxPool(pool), &[first]);
                    let strided = graph.conv(first, [4, 3, 2, 2], 1, (2, 2), BARE);
                    let strided = graph.node(Op::Relu, &[strided]);
                    (graph.node(Op::Concat { axis }, &[pooled, strided]), 7)
                }
                // A value twice.
                _ => (graph.node(Op::Concat { axis }, &[first, first]), 6),
            };
            let last = graph.same(joined, 2, channels);
            let pool = graph.node(Op::AveragePool(Pool::WHOLE), &[last]);
            graph.flat_dense(pool, 2);
            right(&format!("{layout:?} {kind}"), &graph);
        }
    }
}

#[test]
fn vectors_and_rows_are_joined() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let (first, other) = (graph.dense(0, 5, 6), graph.dense(0, 5, 3));
    let (relu, tanh) = (graph.node(Op::Relu, &[first]), graph.node(TANH, &[other]));
    let joined = graph.node(Op::Concat { axis: 1 }, &[relu, tanh, 0]);
    graph.dense(joined, 14, 4);
    right("vectors", &graph);
    // Two rows of a table.
    let mut graph = Builder::new(&[6], Layout::ChannelsFirst);
    let first = graph.dense(0, 6, 8);
    let first = graph.node(Op::Relu, &[first]);
    let table = graph.reshape(first, &[2, 4]);
    let other = graph.dense(0, 6, 4);
    let other = graph.node(TANH, &[other]);
    let row = graph.reshape(other, &[1, 4]);
    let joined = graph.node(Op::Concat { axis: 1 }, &[table, row]);
    let flat = graph.reshape(joined, &[-1]);
    graph.dense(flat, 12, 3);
    right("rows", &graph);
}

/// Sums of branches with different activations, and of branches of different depth.
#[test]
fn branches_that_are_not_alike_are_added() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let (first, other) = (graph.dense(0, 5, 6), graph.dense(0, 5, 6));
    let (relu, tanh) = (graph.node(Op::Relu, &[first]), graph.node(TANH, &[other]));
    let deep = graph.dense(tanh, 6, 6);
    let deep = graph.node(Op::Relu, &[deep]);
    let sum = graph.node(Op::Add, &[relu, deep]);
    let third = graph.dense(0, 5, 6);
    let third = graph.node(SIGMOID, &[third]);
    let sum = graph.node(Op::Add, &[sum, third]);
    graph.dense(sum, 6, 3);
    right("towers", &graph);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let (first, other) = (graph.dense(0, 5, 6), graph.dense(0, 5, 3));
    let (relu, tanh) = (graph.node(Op::Relu, &[first]), graph.node(TANH, &[other]));
    graph.node(Op::Product, &[relu, tanh]);
    refuses(&graph, "it multiplies computed values");
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let first = graph.dense(0, 5, 6);
    let cube = graph.node(Op::Power(3.0), &[first]);
    graph.dense(cube, 6, 2);
    refuses(&graph, "it multiplies computed values");
    // An outer product is no square, and what lies in another order no channels.
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let first = graph.dense(0, 5, 3);
    let (column, row) = (graph.reshape(first, &[3, 1]), graph.reshape(first, &[1, 3]));
    graph.node(Op::Product, &[column, row]);
    refuses(&graph, "it multiplies computed values");
    let mut graph = Builder::image(Layout::ChannelsLast, [12, 4, 4]);
    let image = graph.same(0, 12, 12);
    let image = graph.node(Op::Relu, &[image]);
    let gate = graph.conv(image, [3, 12, 2, 2], 1, (2, 2), BARE);
    let gate = graph.node(SIGMOID, &[gate]);
    let gate = graph.reshape(gate, &[1, 1, 12]);
    let product = graph.node(Op::Product, &[image, gate]);
    graph.same(product, 1, 12);
    refuses(&graph, "it multiplies computed values");
    let mut graph = Builder::image(Layout::ChannelsFirst, [2, 4, 4]);
    let (first, other) = (graph.same(0, 3, 2), graph.conv(0, [3, 2, 2, 2], 1, (2, 2), BARE));
    let joined = graph.node(Op::Concat { axis: 1 }, &[first, other]);
    graph.same(joined, 1, 6);
    refuses(&graph, "joins values of dimensions");
}

/// Beyond what was tried a product is off by little more, and what import prints says so.
#[test]
fn what_is_printed_of_a_product_says_up_to_where() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let (first, other) = (graph.dense(0, 5, 6), graph.dense(0, 5, 6));
    let product = graph.node(Op::Product, &[first, other]);
    graph.dense(product, 6, 4);
    let chain = lower(&graph.graph).unwrap();
    let (_, report) = quantise(&chain, &readings(5, 300, 5, 1.0), &Options::default()).unwrap();
    let [product] = report.pieces.as_slice() else { panic!("{report}") };
    assert!(product.limits.is_some_and(|[usual, limit]| 1.0 < usual && usual < limit));
    assert!(report.to_string().contains("below which all values stay that were tried"), "{report}");
}

#[test]
fn softmax_in_the_middle_is_computed() {
    for (count, log) in [(1, false), (2, false), (5, false), (8, true), (11, false)] {
        let mut graph = Builder::new(&[6], Layout::ChannelsFirst);
        let first = graph.dense(0, 6, count);
        let softmax = Op::Softmax { axis: -1, trailing: false, log };
        let softmax = graph.node(softmax, &[first]);
        graph.dense(softmax, count, 3);
        right(&format!("softmax of {count}"), &graph);
    }
    for layout in LAYOUTS {
        for (axis, trailing) in [(1, false), (-1, false), (2, true)] {
            let mut graph = Builder::image(layout, [2, 4, 3]);
            let first = graph.same(0, 3, 2);
            let softmax = Op::Softmax { axis, trailing, log: false };
            let softmax = graph.node(softmax, &[first]);
            let pool = Pool { size: Some((2, 2)), ..Pool::WHOLE };
            let pool = graph.node(Op::AveragePool(pool), &[softmax]);
            graph.flat_dense(pool, 18);
            right(&format!("{layout:?} {axis}"), &graph);
        }
    }
    // Large values do not overflow.
    let mut graph = Builder::new(&[4], Layout::ChannelsFirst);
    let scaled = graph.dense(0, 4, 4);
    let large = Op::Elementwise { scale: vec![40.0], offset: vec![0.0], dims: None };
    let large = graph.node(large, &[scaled]);
    let softmax = graph.node(Op::Softmax { axis: 1, trailing: true, log: false }, &[large]);
    graph.dense(softmax, 4, 3);
    right("large values", &graph);
}

#[test]
fn means_over_many_values_and_any_dimensions_are_computed() {
    for layout in LAYOUTS {
        let mut graph = Builder::image(layout, [1, 20, 36]);
        let first = graph.same(0, 2, 1);
        let first = graph.node(Op::Relu, &[first]);
        let pool = graph.node(Op::AveragePool(Pool::WHOLE), &[first]);
        graph.flat_dense(pool, 2);
        right(&format!("{layout:?} 720 pixels"), &graph);
        for (axes, keep) in [(vec![1], false), (vec![-1], true), (vec![1, 3], false)] {
            let mut graph = Builder::image(layout, [2, 4, 3]);
            let first = graph.same(0, 3, 2);
            let first = graph.node(Op::Relu, &[first]);
            let mean = graph.node(Op::Mean { axes: axes.clone(), keep }, &[first]);
            let flat = graph.reshape(mean, &[-1]);
            let dims = evaluate_all(&graph.graph, &[0.0; 24])[flat].1.len();
            graph.dense(flat, dims, 3);
            right(&format!("{layout:?} {axes:?}"), &graph);
        }
    }
}
