//! Computed values that are joined one behind the other, and parts of values, as maps of ones with
//! zeros elsewhere: what is joined is a sum of which each value is put at its place.

use sharelet_core::shape::{Shape, Window};

use super::dims::Forms;
use super::fold::{Factors, greatest_divisor};
use super::form::{self, Form};
use super::graph::{Graph, Layout, Node, Op, ValueId};
use super::layer::Map;
use super::rewrite::{self, Made};

/// Why a concatenation, or a part of a value, is not computed.
pub(super) const APART: &str = "it joins or picks values of unknown dimensions, or that lie \
                                otherwise, or are too many; state the input's dimensions, join \
                                along the channels";

/// Weights of all maps of ones, at most.
const MAX_ELEMS: usize = 1 << 23;

/// The graph with sums in the place of what joins values, and maps in that of what picks some;
/// `None` if there is none.
pub(super) fn summed(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let is_one = |op: &Op| matches!(op, Op::Concat { .. } | Op::Pick { .. });
    let mut left = MAX_ELEMS;
    rewrite::rewritten(graph, answer, is_one, |node, forms, made| {
        let mut joins = Joins { forms, layout: graph.layout, left: &mut left };
        joins.sum(node, made).or_else(|| joins.pick(node, made))
    })
}

struct Joins<'g> {
    forms: &'g Forms,
    layout: Layout,
    /// Weights that there may still be.
    left: &'g mut usize,
}

impl Joins<'_> {
    /// The nodes that stand for one that joins values.
    fn sum(&mut self, node: &Node, made: &mut Made) -> Option<()> {
        let Op::Concat { axis } = node.op else { return None };
        let forms = self.forms;
        let parts: Vec<&Form> =
            node.inputs.iter().map(|input| forms.get(input)).collect::<Option<_>>()?;
        let whole = forms.get(&node.output)?;
        let mut maps = self.maps(&parts, whole, axis)?.into_iter().zip(&node.inputs);
        let part = |made: &mut Made, (map, input): (Map, &ValueId)| {
            let bias = vec![0.0; usize::from(map.shape.outputs())];
            let op = Op::Mapped { map, bias, form: whole.clone() };
            made.push(node, op, vec![*input])
        };
        let mut sum = part(made, maps.next()?);
        for next in maps {
            let next = part(made, next);
            sum = made.push(node, Op::Add, vec![sum, next]);
        }
        made.end(node, Op::Identity, vec![sum]);
        Some(())
    }

    /// The node that stands for one that picks elements.
    fn pick(&mut self, node: &Node, made: &mut Made) -> Option<()> {
        let Op::Pick { axis, picked } = &node.op else { return None };
        let form = self.forms.get(node.inputs.first()?)?;
        let found = picked.of(form.along(*axis)?)?;
        let (whole, sources) = form.picked(*axis, &found, picked.drops(), self.layout)?;
        let pixels = pixels(form, &whole, self.layout);
        let places: Vec<_> = sources.iter().enumerate().map(|(to, &from)| (to, from)).collect();
        let map = self.ones(&places, [sources.len(), form.width()?], pixels)?;
        let bias = vec![0.0; sources.len()];
        made.end(node, Op::Mapped { map, bias, form: whole }, node.inputs.clone());
        Some(())
    }

    /// The maps that put each part at its place.
    fn maps(&mut self, parts: &[&Form], whole: &Form, axis: i64) -> Option<Vec<Map>> {
        // Each map has a bias, too.
        let outputs = whole.width()?;
        *self.left = self.left.checked_sub(outputs.checked_mul(parts.len())?)?;
        let of = |(places, form): (&Vec<usize>, &&Form)| {
            let pixels = pixels(form, whole, self.layout);
            let places: Vec<_> = places.iter().enumerate().map(|(from, &to)| (to, from)).collect();
            self.ones(&places, [outputs, form.width()?], pixels)
        };
        form::joined_places(parts, axis, whole)?.iter().zip(parts).map(of).collect()
    }

    /// The map that gives at each of some places what is at another one; channels move as a whole.
    fn ones(
        &mut self,
        places: &[(usize, usize)],
        [outputs, inputs]: [usize; 2],
        pixels: Option<usize>,
    ) -> Option<Map> {
        // Flat values move in parts, too, as large as their sizes and the way allow.
        let moved = places.first().map_or(0, |(to, from)| to.abs_diff(*from));
        let part = greatest_divisor(greatest_divisor(outputs, inputs), moved);
        // Pixels may change places, too.
        let stay = |pixels: &usize| {
            let mut of_part = vec![None; outputs / pixels];
            let alike = places.iter().all(|(to, from)| {
                let own = of_part.get_mut(to / pixels);
                let own = own.map(|own| *own.get_or_insert(from / pixels));
                to % pixels == from % pixels && own == Some(from / pixels)
            });
            // And no part is filled by half.
            alike && of_part.iter().flatten().count() * pixels == places.len()
        };
        let pixels = [pixels, Some(part)].into_iter().flatten();
        let pixels = pixels.filter(|&pixels| pixels > 0).find(stay).unwrap_or(1);
        let (rows, columns) = (outputs.checked_div(pixels)?, inputs.checked_div(pixels)?);
        let elems = rows.checked_mul(columns)?;
        *self.left = self.left.checked_sub(elems)?;
        let mut weights = vec![0.0; elems];
        for (to, from) in places.iter().filter(|(to, _)| to.is_multiple_of(pixels)) {
            *weights.get_mut(to / pixels * columns + from / pixels)? = 1.0;
        }
        let shape = match pixels {
            1 => {
                Shape::Dense { inputs: inputs.try_into().ok()?, outputs: outputs.try_into().ok()? }
            }
            _ => {
                let one = Factors::ones(&[], pixels.try_into().ok()?).shape.window()?;
                let (filters, channels) = (rows.try_into().ok()?, columns.try_into().ok()?);
                Shape::Convolution(Window { channels, filters, groups: 1, ..one })
            }
        };
        shape.is_valid().then_some(Map { shape, weights })
    }
}

/// How many pixels each channel of both has, if they are images that lie channel after channel.
fn pixels(one: &Form, other: &Form, layout: Layout) -> Option<usize> {
    let [one, other] = [one, other].map(|form| form.image(layout));
    let (one, other) =
        one.zip(other).filter(|(one, other)| !one.interleaved && !other.interleaved)?;
    ((one.height, one.width) == (other.height, other.width)).then_some(one.height * one.width)
}
