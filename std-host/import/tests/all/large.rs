//! Files that ask for more than there is: they are read, or refused, in no time.

use core::time::Duration;
use std::time::Instant;

use prost::Message as _;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::NodeProto;
use sharelet_import::{GraphError, onnx};
use sharelet_testkit::assert_matches;
use sharelet_testkit::onnx::{model, node, tensor};

const NODES: usize = 40_000;
/// A second on a machine of its own, unoptimised; this one may have others to serve.
const PATIENCE: Duration = Duration::from_secs(8);

fn read(nodes: Vec<NodeProto>) -> Result<Chain, GraphError> {
    let file = model(2, nodes, vec![tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]).encode_to_vec();
    let start = Instant::now();
    let chain = onnx::read(&file, None).and_then(|graph| lower(&graph));
    let taken = start.elapsed();
    println!("{taken:?}");
    assert!(taken < PATIENCE, "{taken:?}");
    chain
}

fn chain(kind: &str, first: &str) -> Vec<NodeProto> {
    let name = |index: usize| if index == 0 { first.to_owned() } else { format!("v{index}") };
    (0..NODES).map(|index| node(kind, &[&name(index)], &name(index + 1))).collect()
}

#[test]
fn many_nodes_that_do_nothing_take_no_time() {
    let last = format!("v{NODES}");
    let dense = node("MatMul", &[&last, "w"], "y");
    let straight = read([chain("Identity", "x"), vec![dense]].concat()).unwrap();
    assert_eq!(straight.infer(&[1.0, 1.0]), [4.0, 6.0]);
    let mut reversed = chain("Identity", "x");
    reversed.push(node("MatMul", &[&last, "w"], "y"));
    reversed.reverse();
    assert_eq!(read(reversed).unwrap(), straight);
    // Constants, too, and values that many nodes take.
    let of_constants = [chain("Identity", "w"), vec![node("MatMul", &["x", &last], "y")]].concat();
    assert_eq!(read(of_constants).unwrap(), straight);
    let first = node("MatMul", &["x", "w"], "h");
    let mut wide = [vec![first], chain("Identity", "h")].concat();
    wide.extend((0..30).map(|index| {
        let (from, to) = (format!("s{index}"), format!("s{}", index + 1));
        node("Add", &[if index == 0 { &last } else { &from }, &last], &to)
    }));
    wide.push(node("MatMul", &["s30", "w"], "y"));
    read(wide).unwrap();
}

#[test]
fn more_nodes_than_a_network_has_are_refused_by_number() {
    for kind in ["Relu", "Tanh", "Softmax", "Elu", "Flatten", "Loop"] {
        let last = format!("v{NODES}");
        let nodes = [chain(kind, "x"), vec![node("MatMul", &[&last, "w"], "y")]].concat();
        let error = read(nodes).unwrap_err();
        assert_matches!(error, GraphError::TooManyNodes { limit: 4096, .. });
    }
    // Functions of the answer are left to its recipient, however many.
    let mut nodes = [vec![node("MatMul", &["x", "w"], "h")], chain("Tanh", "h")].concat();
    nodes.push(node("Identity", &[&format!("v{NODES}")], "y"));
    assert_eq!(read(nodes).unwrap().left_off.len(), NODES);
}
