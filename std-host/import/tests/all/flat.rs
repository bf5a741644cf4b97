//! Operators and constants of TFLite files that become layers.

use sharelet_import::GraphError;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::tflite::{read, read_output};
use sharelet_testkit::Rng;
use sharelet_testkit::assert_matches;
use sharelet_testkit::graphs::{check, numbered};
use sharelet_testkit::tflite::{Field, Node, Table, Value, file, floats, graph, quantised};

const IMAGE: [i32; 4] = [1, 6, 6, 2];

fn random(count: usize) -> Vec<u8> {
    floats(&Rng(count as u64 + 1).reals(count))
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Padding `VALID`, steps of one.
fn steps() -> Vec<(usize, Field)> {
    vec![(0, Field::U8(1)), (1, Field::U32(1)), (2, Field::U32(1)), (3, Field::U8(0))]
}

/// Held against the definitions; so many layers.
fn imported(name: &str, table: &Table, layers: usize) -> Chain {
    let graph = read(&file(table)).unwrap_or_else(|error| panic!("{name}: {error}"));
    check(name, &numbered(&graph), layers)
}

#[track_caller]
fn refused(table: &Table, part: &str) {
    let error = read(&file(table)).and_then(|graph| lower(&graph)).unwrap_err().to_string();
    assert!(error.contains(part), "{part}: {error}");
}

/// A convolution of the image, then another operator of that.
fn behind(kind: u8, options: Vec<(usize, Field)>, constant: (&[i32], Vec<u8>)) -> Table {
    let values = vec![
        Value("x", &IMAGE, 0, vec![]),
        Value("w", &[3, 3, 3, 2], 0, random(54)),
        Value("a", constant.0, 0, constant.1),
        Value("c", &[1, 4, 4, 3], 0, vec![]),
        Value("f", &[1, 48], 0, vec![]),
        Value("m", &[2, 48], 0, random(96)),
        Value("r", &[1, 4, 4, 3], 0, vec![]),
        Value("y", &[1, 2], 0, vec![]),
    ];
    let nodes = vec![
        Node(3, &[0, 1], 3, steps()),
        Node(kind, &[3, 2], 6, options),
        Node(22, &[6], 4, vec![]),
        Node(9, &[4, 5], 7, vec![]),
    ];
    graph(values, nodes)
}

#[test]
fn leaky_relu_and_slopes_per_channel() {
    let slope = |alpha: f32| vec![(0, Field::U32(alpha.to_bits()))];
    imported("leaky", &behind(98, slope(0.3), (&[1], random(1))), 3);
    imported("steep", &behind(98, slope(2.0), (&[1], random(1))), 4);
    imported("slopes", &behind(54, vec![], (&[1, 1, 3], floats(&[0.1, -0.5, 0.7]))), 3);
    imported("pixels", &behind(54, vec![], (&[4, 4, 3], random(48))), 4);
    refused(&behind(54, vec![], (&[1, 1, 3], vec![])), "PRELU `r`: its slope is computed");
    imported("ELU", &behind(111, vec![], (&[1], random(1))), 2);
    imported("hard-swish", &behind(117, vec![], (&[1], random(1))), 2);
    refused(&behind(101, vec![], (&[1], vec![])), "ABS `r`");
    let negative = behind(59, vec![], (&[1], random(1)));
    imported("negative", &negative, 2);
}

/// An image, zeros around it, and what takes these over.
fn padded(kind: u8, around: &[i32; 8], behind: u8, filter: u32) -> Table {
    let depthwise = behind == 4;
    let dims: [i32; 4] = if depthwise { [1, 3, 3, 4] } else { [3, 3, 3, 2] };
    let values = vec![
        Value("x", &IMAGE, 0, vec![]),
        Value("p", &[4, 2], 2, words(around)),
        Value("w", &dims, 0, random(dims.iter().product::<i32>() as usize)),
        Value("q", &[1, 9, 8, 2], 0, vec![]),
        Value("c", &[1, 7, 6, 3], 0, vec![]),
        Value("y", &[1, 1, 1, 2], 0, vec![]),
        Value("axes", &[2], 2, words(&[1, 2])),
    ];
    let mut options = steps();
    match behind {
        4 => options[3] = (3, Field::U32(2)),
        3 => {}
        _ => {
            options[3] = (3, Field::U32(filter));
            options.push((4, Field::U32(filter)));
        }
    }
    let takes: &[i32] = if matches!(behind, 3 | 4) { &[3, 2] } else { &[3] };
    let mean = vec![(0, Field::U8(1))];
    let nodes = vec![
        Node(kind, &[0, 1], 3, vec![]),
        Node(behind, takes, 4, options),
        Node(40, &[4, 6], 5, mean),
    ];
    graph(values, nodes)
}

#[test]
fn paddings_are_taken_over_and_channels_taken_apart() {
    let around = [0, 0, 1, 2, 0, 2, 0, 0];
    for kind in [34, 60] {
        imported("convolution", &padded(kind, &around, 3, 0), 2);
        // The first layer takes the channels of the input apart.
        imported("depthwise", &padded(kind, &around, 4, 0), 2);
        imported("mean", &padded(kind, &around, 1, 3), 2);
    }
    let largest = padded(34, &[0, 0, 1, 1, 0, 1, 0, 0], 17, 2);
    // In order of channels, along the rows, along the columns, the mean.
    imported("largest", &largest, 4);
    refused(&padded(34, &around, 17, 3), "`c` pads by more than one");
    refused(&padded(100, &around, 3, 0), "MIRROR_PAD `q`: it pads with other values than zeros");
    refused(&padded(34, &around, 19, 0), "PAD `q`: what it pads does not go to a convolution");
    refused(&padded(34, &[0, 0, 0, 0, 0, 0, 0, 1], 3, 0), "other dimensions than rows and columns");
    refused(&padded(34, &[0, 0, -1, 0, 0, 0, 0, 0], 3, 0), "it cuts the image");
}

#[test]
fn gaps_and_differences() {
    let dilated = |down: u32| {
        let values = vec![
            Value("x", &IMAGE, 0, vec![]),
            Value("w", &[3, 2, 2, 2], 0, random(24)),
            Value("a", &[1, 3, 3, 3], 0, vec![]),
            Value("b", &[1, 3, 3, 3], 0, vec![]),
            Value("d", &[1, 3, 3, 3], 0, vec![]),
            Value("axes", &[2], 2, words(&[1, 2])),
            Value("y", &[1, 3], 0, vec![]),
            Value("v", &[3, 2, 2, 2], 0, floats(&Rng(99).reals(24))),
        ];
        let gaps = || {
            let mut options = steps();
            options.extend([(4, Field::U32(down)), (5, Field::U32(down))]);
            options
        };
        let mean = Node(40, &[4, 5], 6, vec![(0, Field::U8(0))]);
        let sub = Node(41, &[2, 3], 4, vec![(0, Field::U8(1))]);
        let nodes = vec![Node(3, &[0, 1], 2, gaps()), Node(3, &[0, 7], 3, gaps()), sub, mean];
        graph(values, nodes)
    };
    imported("gaps and a difference", &dilated(3), 2);
    refused(&dilated(0), "CONV_2D `a`: its kernel has gaps of no size");
    refused(&dilated(99), "larger than 256 words");
}

/// Constants of these types and bytes as the weights of a dense layer, perhaps behind `DEQUANTIZE`.
fn dense(kind: u8, bytes: Vec<u8>, through: bool) -> Table {
    let values = vec![
        Value("x", &[1, 2], 0, vec![]),
        Value("q", &[3, 2], kind, bytes),
        Value("w", &[3, 2], 0, vec![]),
        Value("y", &[1, 3], 0, vec![]),
    ];
    let takes: &[i32] = if through { &[0, 2] } else { &[0, 1] };
    let mut nodes = vec![Node(9, takes, 3, vec![])];
    if through {
        nodes.insert(0, Node(6, &[1], 2, vec![]));
    }
    graph(values, nodes)
}

#[test]
fn weights_of_other_types_are_real_numbers_again() {
    let weights = |table: &Table| {
        let chain = lower(&read(&file(table)).unwrap()).unwrap();
        imported("weights", table, 1);
        chain.layers[0].map.weights.clone()
    };
    let halves: Vec<u8> =
        [0x3C00_u16, 0xC000, 0x3800, 0, 0x3C01, 0xB800].map(u16::to_le_bytes).concat();
    let expected = [1.0, -2.0, 0.5, 0.0, 1.0 + 2.0_f64.powi(-10), -0.5];
    assert_eq!(weights(&dense(1, halves.clone(), true)), expected);
    assert_eq!(weights(&dense(1, halves, false)), expected);
    let doubles = [1.0, 2.0, 3.0, 4.0, 5.0, 0.1_f64].map(f64::to_le_bytes).concat();
    assert_eq!(weights(&dense(10, doubles, false)), [1.0, 2.0, 3.0, 4.0, 5.0, 0.1]);
    for through in [false, true] {
        let bytes = || vec![1, 255, 128, 127, 0, 5];
        let mut whole = dense(9, bytes(), through);
        quantised(&mut whole, 1, &[0.5], &[1], 0);
        assert_eq!(weights(&whole), [0.0, -1.0, -64.5, 63.0, -0.5, 2.0]);
        let mut rows = dense(9, bytes(), through);
        quantised(&mut rows, 1, &[0.5, 1.0, 2.0], &[0, 0, 1], 0);
        assert_eq!(weights(&rows), [0.5, -0.5, -128.0, 127.0, -2.0, 8.0]);
        let mut columns = dense(9, bytes(), through);
        quantised(&mut columns, 1, &[0.5, 1.0], &[], 1);
        assert_eq!(weights(&columns), [0.5, -1.0, -64.0, 127.0, 0.0, 5.0]);
        let mut others = dense(9, bytes(), through);
        quantised(&mut others, 1, &[0.5, 1.0], &[0, 0], 0);
        refused(&others, "has scales that do not fit its dimensions");
        refused(&dense(9, bytes(), through), "is of whole numbers without scales");
    }
    refused(&dense(6, vec![1; 6], false), "FULLY_CONNECTED `y`: its matrix is of a type");
    let cut = dense(1, vec![0; 11], false);
    assert_matches!(read(&file(&cut)), Err(GraphError::Corrupt { .. }));
    // What is computed has scales, too.
    let values = vec![
        Value("x", &[1, 2], 0, vec![]),
        Value("q", &[1, 2], 9, vec![]),
        Value("y", &[1, 2], 0, vec![]),
    ];
    let nodes = vec![Node(114, &[0], 1, vec![]), Node(6, &[1], 2, vec![])];
    let table = graph(values, nodes);
    refused(&table, "QUANTIZE `q`: its result is of whole numbers without scales");
    refused(&table, "DEQUANTIZE `y`: what it takes is of whole numbers without scales");
    refused(&table, "export the network before it is quantised");
}

#[test]
fn the_answer_is_chosen_by_its_name() {
    let table = behind(19, vec![], (&[1], random(1)));
    let whole = read(&file(&table)).unwrap();
    assert_eq!(read_output(&file(&table), Some("y")).unwrap(), whole);
    let hidden = lower(&read_output(&file(&table), Some("f")).unwrap()).unwrap_err();
    assert!(hidden.to_string().contains("in another order"), "{hidden}");
    assert_matches!(
        read_output(&file(&table), Some("w")),
        Err(GraphError::NoSuchOutput { asked, outputs }) if asked == "w" && outputs == &["y"]
    );
}
