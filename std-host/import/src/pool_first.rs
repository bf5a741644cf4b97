//! The gate of a layer behind its max-pool instead of before it.
//!
//! `max(relu a, relu b) = relu(max(a, b))`, and dropping bits keeps the order. A pool of 2 x 2 then
//! takes three gates and its ReLU one, where a ReLU before it takes four; and the sums that are
//! pooled need no gate at all. What is compared are differences of sums, which need a bit more.
//! The same holds for every activation function that rises, and is zero at zero: a pool may have
//! zeros as its padding.

use sharelet_core::shape::Shape;

use super::layer::{Chain, Layer, Map, Skip};

/// The same network with every such gate behind its pool; `None` if there is none.
pub(super) fn pool_first(chain: &Chain) -> Option<Chain> {
    let mut moved = chain.clone();
    let mut index = 0;
    let mut found = false;
    while index < moved.layers.len() {
        let behind = moved.layers.iter().skip(index + 1);
        let pool = behind.take_while(|layer| takes_larger(layer)).count();
        let end = index + pool;
        let has_sums = |layer: &Layer| !layer.mirrors() && !takes_larger(layer);
        let movable = pool > 0
            && moved.layers.get(index).is_some_and(has_sums)
            && !carried(&moved).any(|skip| (index + 1..=end).contains(&skip.from));
        if movable {
            move_behind(&mut moved, index, end);
            found = true;
        }
        index = end + 1;
    }
    found.then_some(moved)
}

fn takes_larger(layer: &Layer) -> bool {
    matches!(layer.map.shape, Shape::Pairs(_))
}

fn carried(chain: &Chain) -> impl Iterator<Item = &Skip> {
    chain.layers.iter().filter_map(|layer| layer.skip.as_ref())
}

/// Moves the gate of layer `index` behind layer `end`: its ReLU or function, if it has one, and its
/// shift.
fn move_behind(chain: &mut Chain, index: usize, end: usize) {
    let last = end + 1 == chain.layers.len();
    let Some(layer) = chain.layers.get_mut(index) else { return };
    let relu = core::mem::take(&mut layer.relu);
    let curve = match layer.function() {
        // Zeros that pad the pool stand behind the function: they must stay what they are.
        Some(function) if function.rises() && function.at(0.0) == 0.0 => layer.curve.take(),
        _ => None,
    };
    if !relu && curve.is_none() && last {
        return;
    }
    let name = layer.name.clone();
    for skip in chain.layers.iter_mut().filter_map(|layer| layer.skip.as_mut()) {
        skip.from += usize::from(skip.from > end);
    }
    let width = chain.layers.get(end).map_or(0, |pool| pool.map.shape.outputs());
    let gate = Layer {
        name,
        map: Map::public(Shape::Identity { width }),
        skip: None,
        bias: vec![0.0; width.into()],
        relu,
        curve,
    };
    chain.layers.insert(end + 1, gate);
}
