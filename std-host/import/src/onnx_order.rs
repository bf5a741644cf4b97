//! Nodes in an order in which each follows what it takes, whatever the file's order is.

use std::collections::HashMap;

use super::onnx_proto::{GraphProto, NodeProto};

/// All nodes, each behind those whose outputs it takes. In a circle the file's order is kept.
pub(super) fn ordered(graph: &GraphProto) -> Vec<&NodeProto> {
    let mut producers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            producers.entry(output).or_insert(index);
        }
    }
    let mut seen = vec![false; graph.node.len()];
    let mut nodes = Vec::with_capacity(graph.node.len());
    for start in 0..graph.node.len() {
        // A node, and how many of its inputs were looked at.
        let mut open = vec![(start, 0)];
        while let Some((index, looked_at)) = open.pop() {
            let Some(node) = graph.node.get(index) else { continue };
            if looked_at == 0 {
                match seen.get_mut(index) {
                    Some(seen) if !*seen => *seen = true,
                    _ => continue,
                }
            }
            match node.input.get(looked_at) {
                Some(input) => {
                    open.push((index, looked_at + 1));
                    if let Some(&producer) = producers.get(input.as_str())
                        && seen.get(producer) == Some(&false)
                    {
                        open.push((producer, 0));
                    }
                }
                None => nodes.push(node),
            }
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nodes: &[(&str, &[&str])]) -> Vec<String> {
        let node = |&(output, inputs): &(&str, &[&str])| NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let graph = GraphProto { node: nodes.iter().map(node).collect(), ..Default::default() };
        ordered(&graph).into_iter().map(|node| node.output.concat()).collect()
    }

    #[test]
    fn what_is_taken_comes_first() {
        let reversed = order(&[("d", &["c", "b"]), ("c", &["b"]), ("b", &["a"]), ("a", &["x"])]);
        assert_eq!(reversed, ["a", "b", "c", "d"]);
        assert_eq!(order(&[("a", &["x"]), ("b", &[]), ("c", &["a", "b"])]), ["a", "b", "c"]);
    }

    #[test]
    fn circles_end_and_every_node_is_there_once() {
        let circle = order(&[("a", &["b"]), ("b", &["a"]), ("c", &["c", "a", "a"])]);
        assert_eq!(circle, ["b", "a", "c"]);
        let chain: Vec<String> = (0..40_000).map(|index| format!("v{index}")).collect();
        let nodes: Vec<(&str, [&str; 1])> =
            chain.windows(2).rev().map(|pair| (pair[1].as_str(), [pair[0].as_str()])).collect();
        let nodes: Vec<(&str, &[&str])> =
            nodes.iter().map(|(output, inputs)| (*output, &inputs[..])).collect();
        assert_eq!(order(&nodes).first().map(String::as_str), Some("v1"));
    }
}
