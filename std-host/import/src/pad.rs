//! Zeros that a node of its own puts around an image: the convolution or pool behind it takes them
//! over.

use std::collections::HashMap;

use super::graph::{Op, Padding, ValueId};

/// Rows and columns.
type Size = (usize, usize);

/// Padded values, each with what was padded and by how much.
#[derive(Default)]
pub(super) struct Pads(HashMap<ValueId, (ValueId, Size, Size)>);

/// Why a padding that nobody takes over is not computed.
pub(super) const ALONE: &str = "what it pads does not go to a convolution or a pool that can pad \
                                instead; let the layer behind it pad, with zeros";
/// Why other paddings are not computed.
pub(super) const OTHER: &str = "it pads with other values than zeros; pad with zeros";

impl Pads {
    /// Keeps that `output` is `input` with zeros above and left, and below and right.
    pub(super) fn note(&mut self, output: ValueId, input: ValueId, before: Size, after: Size) {
        self.0.insert(output, (input, before, after));
    }

    /// Lets a node pad what it takes, if that was padded and the node can do it.
    pub(super) fn fold(&self, op: &mut Op, inputs: &mut [ValueId]) {
        let [input] = inputs else { return };
        // A padded value may be padded once more.
        while let Some(&(source, before, after)) = self.0.get(input) {
            let (padding, counts) = match op {
                Op::Convolution { padding, .. } => (padding, true),
                Op::AveragePool(pool) | Op::MaxPool(pool) if pool.size.is_some() => {
                    let bare = pool.padding == Padding::NONE;
                    let counts = pool.count_padding || bare;
                    if counts && !pool.ceil {
                        pool.count_padding = true;
                    }
                    (&mut pool.padding, counts && !pool.ceil)
                }
                _ => return,
            };
            let Padding::Explicit { before: own_before, after: own_after } = padding else {
                return;
            };
            if !counts {
                return;
            }
            for (own, more) in [(own_before, before), (own_after, after)] {
                own.0 = own.0.saturating_add(more.0);
                own.1 = own.1.saturating_add(more.1);
            }
            *input = source;
        }
    }
}
