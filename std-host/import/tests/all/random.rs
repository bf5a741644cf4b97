//! Random graphs: what is imported computes what the definitions say, and the rest is refused;
//! nothing panics.
use std::collections::BTreeMap;

use sharelet_import::columns::quantise;
use sharelet_import::function::Function;
use sharelet_import::graph::{Layout, Op, Padding, Picked, Pool, Tensor};
use sharelet_import::lower::lower;
use sharelet_import::quantise::Options;
use sharelet_model::readings::Readings;
use sharelet_testkit::graphs::{BARE, Builder, evaluate_all};
use sharelet_testkit::{Rng, seed};

const WIDEST: usize = 400;
const FUNCTIONS: [Function; 9] = [
    Function::Softplus,
    Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Function::Clip { low: -2.0, high: -1.0 },
    Function::Erf,
    Function::Gelu,
    Function::Silu { beta: 1.0 },
    Function::HardSwish,
    Function::Elu { alpha: 0.5, gamma: 1.0, width: 1.0 },
    Function::Clip { low: -1.0, high: 0.5 },
];

/// The dimensions of a value that lie in an image's order.
fn image(layout: Layout, dims: &[usize]) -> Option<[usize; 3]> {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[c, h, w]) | (Layout::ChannelsLast, &[h, w, c]) => Some([c, h, w]),
        (Layout::ChannelsFirst, &[c, w]) | (Layout::ChannelsLast, &[w, c]) => Some([c, 1, w]),
        _ => None,
    }
}

fn padding(rng: &mut Rng, size: (usize, usize)) -> Padding {
    let mut side = |size: usize| rng.below(size.min(3));
    let (before, after) = ((side(size.0), side(size.1)), (side(size.0), side(size.1)));
    match rng.below(4) {
        0 => BARE,
        1 => Padding::SameUpper,
        2 => Padding::SameLower,
        _ => Padding::Explicit { before, after },
    }
}

/// Other dimensions of as many elements.
fn factors(rng: &mut Rng, width: usize) -> Vec<i64> {
    let mut left = width;
    let mut dims = Vec::new();
    for _ in 0..rng.below(3) {
        let divisors: Vec<usize> =
            (1..=left).filter(|divisor| left.is_multiple_of(*divisor)).collect();
        let dim = divisors[rng.below(divisors.len())];
        dims.push(dim as i64);
        left /= dim;
    }
    dims.push(if rng.below(2) == 0 { -1 } else { left as i64 });
    dims
}

/// One more node that takes `input`, and perhaps others of `values` (numbers and dimensions).
fn grow(graph: &mut Builder, values: &[Vec<usize>], input: usize) -> bool {
    let (dims, layout) = (values[input].clone(), graph.graph.layout);
    let width: usize = dims.iter().product();
    let size = image(layout, &dims);
    let below = |graph: &mut Builder, limit: usize| graph.rng.below(limit);
    let pair = |graph: &mut Builder, limits: (usize, usize)| {
        (1 + below(graph, limits.0), 1 + below(graph, limits.1))
    };
    match (below(graph, 20), size) {
        (0..=2, Some([channels, height, columns])) => {
            let kernel = pair(graph, (height.min(3), columns.min(3)));
            let groups = if below(graph, 3) == 0 { channels } else { 1 };
            let filters = groups * (1 + below(graph, 3));
            let stride = pair(graph, (2, 3));
            let padding = padding(&mut graph.rng, kernel);
            let dims = [filters, channels / groups, kernel.0, kernel.1];
            graph.conv(input, dims, groups, stride, padding);
        }
        (3, Some([_, height, columns])) => {
            let kernel = pair(graph, (height.min(3), columns.min(3)));
            let stride = pair(graph, (2, 2));
            let whole = Pool { size: Some(kernel), stride, ..Pool::WHOLE };
            let pool =
                Pool { ceil: below(graph, 2) == 0, count_padding: below(graph, 2) == 0, ..whole };
            let average = below(graph, 2) == 0;
            let pool = Pool { padding: padding(&mut graph.rng, kernel), ..pool };
            graph.node(if average { Op::AveragePool(pool) } else { Op::MaxPool(pool) }, &[input]);
        }
        (4, Some(_)) => {
            let channel = if layout == Layout::ChannelsFirst { 1 } else { dims.len() as i64 };
            let rare = |&axis: &i64| below(graph, if axis == channel { 12 } else { 2 }) == 0;
            let axes = (1..=dims.len() as i64).filter(rare).collect::<Vec<_>>();
            let keep = below(graph, 2) == 0;
            graph.node(Op::Mean { axes, keep }, &[input]);
        }
        (5..=6, _) => {
            let along: Vec<usize> =
                dims.iter().map(|&dim| if below(graph, 2) == 0 { 1 } else { dim }).collect();
            let along = along[below(graph, along.len().max(1)).min(along.len())..].to_vec();
            let along = if size.is_some() && below(graph, 3) == 0 { None } else { Some(along) };
            let channel = size.map_or(1, |[channels, ..]| channels);
            let count = along.as_ref().map_or(channel, |along| along.iter().product());
            let (scale, offset) = (graph.reals(count), graph.reals(count));
            let (scale, offset) = match below(graph, 3) {
                0 => (vec![1.0], offset),
                1 => (scale, vec![0.0]),
                _ => (scale, offset),
            };
            graph.node(Op::Elementwise { scale, offset, dims: along }, &[input]);
        }
        (7, _) if !graph.graph.nodes.is_empty() || below(graph, 8) == 0 => {
            let count = match (below(graph, 3), size) {
                (0, Some([channels, ..])) => channels,
                _ => 1,
            };
            let along = graph.reals(count);
            let slope = along.into_iter().map(|slope| 1.2 * slope).collect();
            let op = match below(graph, 7) {
                6 => Op::Function(FUNCTIONS[below(graph, FUNCTIONS.len())]),
                0 => Op::Relu6,
                1..=2 => Op::LeakyRelu { slope, dims: None },
                _ => Op::Relu,
            };
            graph.node(op, &[input]);
        }
        (8, _) => {
            let dims = factors(&mut graph.rng, width);
            graph.node(Op::Reshape { dims: Some(dims) }, &[input]);
        }
        (9, _) => {
            let mut order: Vec<usize> = (0..dims.len()).collect();
            (1..order.len()).for_each(|at| order.swap(at, below(graph, at + 1)));
            graph.node(Op::Transpose(order), &[input]);
        }
        (10, _) => {
            let op = match dims.iter().position(|&dim| dim == 1) {
                Some(at) => Op::Squeeze(vec![at as i64 + 1]),
                None => Op::Unsqueeze(vec![1 + below(graph, dims.len() + 1) as i64]),
            };
            graph.node(op, &[input]);
        }
        (11..=12, _) => {
            let others: Vec<usize> =
                (0..values.len()).filter(|&other| values[other] == dims).collect();
            let other = others[below(graph, others.len())];
            let mut both = if below(graph, 2) == 0 { [input, other] } else { [other, input] };
            if below(graph, 3) == 0 {
                both[1] = graph.node(Op::negative(), &[both[1]]);
            }
            graph.node(Op::Add, &both);
        }
        (13, _) if dims.len() == 1 => {
            let outputs = 1 + below(graph, 8);
            graph.dense(input, width, outputs);
        }
        // A block with a projection, as in ResNet.
        (14, Some([channels, height, columns])) => {
            let filters = 1 + below(graph, 3);
            let kernel = pair(graph, (height.min(3), columns.min(3)));
            let stride = pair(graph, (2, 2));
            let dims = [filters, channels, kernel.0, kernel.1];
            let main = graph.conv(input, dims, 1, stride, Padding::SameUpper);
            let relu = graph.node(Op::Relu, &[main]);
            let mut main = graph.conv(relu, [filters, filters, 1, 1], 1, (1, 1), BARE);
            let mut shortcut = graph.conv(input, [filters, channels, 1, 1], 1, stride, BARE);
            for branch in [&mut main, &mut shortcut] {
                if below(graph, 2) == 0 {
                    *branch = graph.norm(*branch, filters);
                }
            }
            let both = if below(graph, 2) == 0 { [main, shortcut] } else { [shortcut, main] };
            graph.node(Op::Add, &both);
        }
        // Branches side by side.
        (15, Some([_, height, columns])) => {
            let channels = size.map_or(1, |[channels, ..]| channels);
            let filters = 1 + below(graph, 3);
            let joins = below(graph, 2) == 0;
            let branches = [0, 1].map(|_| {
                let kernel = pair(graph, (height.min(3), columns.min(3)));
                let count = if joins { 1 + below(graph, 3) } else { filters };
                let dims = [count, channels, kernel.0, kernel.1];
                let conv = graph.conv(input, dims, 1, (1, 1), Padding::SameLower);
                graph.node(Op::Relu, &[conv])
            });
            let axis = if layout == Layout::ChannelsFirst { 1 } else { -1 };
            graph.node(if joins { Op::Concat { axis } } else { Op::Add }, &branches);
        }
        // A gate: of the same dimensions, one for each channel, one for all, or the value itself.
        (16, _) => {
            let smaller = |other: &[usize]| {
                other.len() == dims.len()
                    && other.iter().zip(&dims).all(|(&own, &dim)| own == dim || own == 1)
            };
            let others: Vec<usize> =
                (0..values.len()).filter(|&other| smaller(&values[other])).collect();
            let other = others[below(graph, others.len())];
            let both = if below(graph, 2) == 0 { [input, other] } else { [other, input] };
            graph.node(Op::Product, &both);
        }
        (17, _) if !dims.is_empty() => {
            let at = below(graph, dims.len());
            let fits = |other: &[usize]| {
                let same = |(place, dim): (usize, &usize)| place == at || dims[place] == *dim;
                other.len() == dims.len() && other.iter().enumerate().all(same)
            };
            let others: Vec<usize> =
                (0..values.len()).filter(|&other| fits(&values[other])).collect();
            let other = others[below(graph, others.len())];
            graph.node(Op::Concat { axis: at as i64 + 1 }, &[input, other]);
        }
        (18, _) if !dims.is_empty() => {
            let at = below(graph, dims.len());
            let number = below(graph, dims[at]) as i64;
            let picked = match below(graph, 4) {
                0 => Picked::One(number),
                1 => Picked::Numbers(vec![number, 0]),
                2 => Picked::Slice { start: number, end: i64::MAX, step: 1 },
                _ => Picked::Slice { start: -1, end: i64::MIN, step: -1 },
            };
            graph.node(Op::Pick { axis: at as i64 + 1, picked }, &[input]);
        }
        (19, _) if !dims.is_empty() => {
            let axis = 1 + below(graph, dims.len()) as i64;
            let (trailing, log) = (below(graph, 2) == 0, below(graph, 2) == 0);
            let softmax = graph.node(Op::Softmax { axis, trailing, log }, &[input]);
            // It may not be the end.
            graph.node(Op::Relu, &[softmax]);
        }
        _ => return false,
    }
    true
}

fn kind(op: &Op) -> &'static str {
    match op {
        Op::Dense { .. } => "dense",
        Op::Elementwise { .. } => "elementwise",
        Op::Convolution { .. } => "convolution",
        Op::AveragePool(_) => "average pool",
        Op::MaxPool(_) => "max pool",
        Op::Mean { .. } => "mean",
        Op::Add => "add",
        Op::Concat { .. } => "concatenation",
        Op::Relu => "relu",
        Op::Relu6 => "relu6",
        Op::LeakyRelu { .. } => "leaky relu",
        Op::Function(_) => "function",
        Op::Transpose(_) => "transpose",
        Op::Product => "product",
        Op::Pick { .. } => "pick",
        Op::Softmax { .. } => "softmax",
        _ => "other",
    }
}

/// A graph of a few nodes, each of which takes what the one before gives.
fn graph(seed: u64) -> Builder {
    let mut rng = Rng(seed);
    let layout = if rng.below(2) == 0 { Layout::ChannelsFirst } else { Layout::ChannelsLast };
    let dims: Vec<usize> = (0..2 + rng.below(2)).map(|_| 1 + rng.below(5)).collect();
    let mut graph = Builder::new(&dims, layout);
    graph.rng = rng;
    let reading = vec![0.0; dims.iter().product()];
    for _ in 0..3 + graph.rng.below(8) {
        let before = (graph.graph.nodes.len(), graph.graph.output);
        let values: Vec<Vec<usize>> =
            evaluate_all(&graph.graph, &reading).into_iter().map(|(dims, _)| dims).collect();
        let input = values.len() - 1;
        if grow(&mut graph, &values, input) {
            let all = evaluate_all(&graph.graph, &reading);
            if all.last().is_none_or(|(_, x)| x.is_empty() || x.len() > WIDEST) {
                graph.graph.nodes.truncate(before.0);
                graph.graph.output = before.1;
            }
        }
    }
    if graph.rng.below(4) > 0 {
        let last = graph.graph.output;
        let flat = graph.node(Op::Reshape { dims: Some(vec![-1]) }, &[last]);
        let width = evaluate_all(&graph.graph, &reading)[flat].1.len();
        graph.dense(flat, width, 3);
    }
    graph
}

/// What came of graphs.
type Counts = (BTreeMap<&'static str, u64>, BTreeMap<String, u64>);

/// A number that a longer run gives.
fn asked(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// `SHARELET_GRAPHS=5000 SHARELET_READINGS=200` for a longer run.
#[test]
fn random_graphs_compute_what_they_say() {
    let (first, graphs) = (seed(), asked("SHARELET_GRAPHS", 2400));
    let readings = asked("SHARELET_READINGS", 8) as usize;
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let part = |thread: usize| {
        let mut counts = Counts::default();
        let seeds = (first..first + graphs).skip(thread).step_by(threads);
        seeds.for_each(|seed| compute(seed, readings, &mut counts));
        counts
    };
    let (mut imported, mut refused) = Counts::default();
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        for (of_kind, of_reason) in parts.into_iter().map(|part| part.join().unwrap()) {
            of_kind.into_iter().for_each(|(kind, n)| *imported.entry(kind).or_insert(0) += n);
            of_reason.into_iter().for_each(|(why, n)| *refused.entry(why).or_insert(0) += n);
        }
    });
    println!("seed {first}: imported: {imported:#?}, refused: {refused:#?}");
    assert_eq!(imported.len(), 21, "every kind is among those that are imported");
    let enough = imported.values().all(|&count| count > graphs / 80);
    assert!(enough && imported["in the ring"] > graphs * 3 / 8);
}

/// Imports a graph, and holds what it computes against the definitions.
fn compute(seed: u64, readings: usize, (imported, refused): &mut Counts) {
    let graph = graph(seed).graph;
    let width: usize = graph.input_dims.as_ref().unwrap().iter().product();
    let chain = match lower(&graph) {
        Ok(chain) => chain,
        Err(error) => {
            let text = error.to_string();
            let reason: String = text.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
            *refused.entry(reason).or_insert(0) += 1;
            return;
        }
    };
    let mut counted = |what: &'static str| *imported.entry(what).or_insert(0) += 1;
    counted("graphs");
    graph.nodes.iter().for_each(|node| counted(kind(&node.op)));
    let skips = chain.layers.iter().filter_map(|layer| layer.skip.as_ref());
    skips.for_each(|skip| {
        counted(if skip.map.weights.is_empty() { "identities" } else { "projections" })
    });
    let readings = Readings::new(width, Rng(seed).reals(width * readings)).unwrap();
    let mut expected = Vec::new();
    for reading in readings.rows() {
        let (_, answer) = evaluate_all(&graph, reading).pop().unwrap();
        let size = answer.iter().fold(1.0_f64, |max, value| max.max(value.abs()));
        let found = chain.infer(reading);
        let right = found.len() == answer.len()
            && found.iter().zip(&answer).all(|(a, b)| (a - b).abs() < 1e-9 * size);
        assert!(right, "seed {seed}: {found:?} where {answer:?} is right: {:#?}", graph.nodes);
        expected.push(answer);
    }
    // The ring's answers are as far off as the report says.
    if let Ok((model, report)) = quantise(&chain, &readings, &Options::default()) {
        counted("in the ring");
        // Answers may be small beside what they are made of; products of products very small.
        let products = graph.nodes.iter().any(|node| node.op == Op::Product);
        assert!(products || report.error < 1e-2, "seed {seed}: {report}");
        let largest = readings.rows().zip(&expected).flat_map(|(reading, expected)| {
            let answer = model.decode(&model.infer(&model.encode(reading).unwrap()).unwrap());
            answer.into_iter().map(f64::from).zip(expected.clone()).collect::<Vec<_>>()
        });
        let size = expected.iter().flatten().fold(0.0_f64, |max, value| max.max(value.abs()));
        let largest =
            largest.fold(0.0_f64, |max, (found, expected)| max.max((found - expected).abs()));
        // An answer is read as 32-bit floats.
        assert!(
            (largest - report.largest_error).abs() <= 1e-6 * size.max(report.largest_error),
            "seed {seed}: {largest} where the report says {}: {:#?}\n{report}",
            report.largest_error,
            graph.nodes
        );
    }
}

/// Sizes, steps, axes and dimensions that no exporter writes.
#[test]
fn absurd_graphs_are_refused() {
    let first = seed();
    for seed in first..first + 20_000 {
        let mut graph = graph(seed);
        let mut rng = Rng(!seed);
        let absurd = [0, 1, 2, 3, 255, 256, 65_535, 65_536, 1 << 31, 1 << 32, 1 << 62, usize::MAX];
        let mut any = || absurd[rng.below(absurd.len())];
        let count = graph.graph.nodes.len().max(1);
        for _ in 0..2 {
            let pair = (any(), any());
            let node = any() % count;
            let (axes, dims) =
                (vec![any() as i64, -(any() as i64 / 2), any() as i64], vec![any(), any(), any()]);
            let input = any() % (count + 2);
            let padding = Padding::Explicit { before: (any(), any()), after: (any(), any()) };
            let Some(node) = graph.graph.nodes.get_mut(node) else { continue };
            match (&mut node.op, any() % 3) {
                (_, 0) if !node.inputs.is_empty() => node.inputs[0] = input,
                (Op::Convolution { stride, .. }, 1) => *stride = pair,
                (Op::Convolution { groups, padding: around, .. }, _) => {
                    (*groups, *around) = (pair.0, padding)
                }
                (Op::AveragePool(pool) | Op::MaxPool(pool), 1) => pool.stride = pair,
                (Op::AveragePool(pool) | Op::MaxPool(pool), _) => {
                    (pool.size, pool.padding) = (Some(pair), padding)
                }
                (Op::Mean { axes: own, .. } | Op::Squeeze(own) | Op::Unsqueeze(own), _) => {
                    *own = axes
                }
                (Op::Transpose(own), _) => *own = dims,
                (Op::Reshape { dims: own }, 1) => *own = None,
                (Op::Reshape { dims: own }, _) => *own = Some(axes),
                (Op::Elementwise { dims: own, .. } | Op::LeakyRelu { dims: own, .. }, _) => {
                    *own = Some(dims)
                }
                (Op::Concat { axis } | Op::Pick { axis, .. } | Op::Softmax { axis, .. }, _) => {
                    *axis = axes[0]
                }
                (Op::Dense { weights, bias }, 1) => (weights.dims, *bias) = (dims, None),
                (Op::Dense { weights, .. }, _) => {
                    *weights = Tensor { dims: vec![2, 3], values: vec![1.0; 5] }
                }
                _ => graph.graph.input_dims = Some(dims),
            }
        }
        let _ = lower(&graph.graph);
    }
}
