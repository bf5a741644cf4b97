//! Where the batch lies among a value's dimensions.
//!
//! Recurrent cells take and give sequences with the batch second, and what stands around them moves
//! it there and back. Everything behind the readers counts dimensions with the batch first; here
//! axes of the file are put so.

use std::collections::HashMap;

use super::error::Refused;
use super::graph::{Op, ValueId};

/// The place of the batch, and how many dimensions there are with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) place: usize,
    pub(super) rank: usize,
}

/// Values of which the batch is not the first dimension.
#[derive(Debug, Default)]
pub(super) struct Batches(HashMap<ValueId, Batch>);

/// The most dimensions of a value.
const MAX_RANK: usize = 16;

/// Why a node is not computed.
pub(super) const ELSEWHERE: &str = "it takes a value whose batch is not the first dimension; \
                                    transpose it back before";

impl Batches {
    pub(super) fn note(&mut self, value: ValueId, batch: Batch) {
        self.0.insert(value, batch);
    }

    pub(super) fn of(&self, value: ValueId) -> Option<Batch> {
        self.0.get(&value).copied()
    }

    /// A node's operation with axes that count the batch first, and where the batch of its result
    /// is; `elems` are the dimensions of its constants.
    ///
    /// # Errors
    /// [`Refused`] where it concerns the batch, or cannot be put so.
    pub(super) fn put(
        &self,
        mut op: Op,
        inputs: &[ValueId],
        elems: &[&[usize]],
    ) -> Result<(Op, Option<Batch>), Refused> {
        let mut all = inputs.iter().map(|&input| self.of(input));
        let first = all.next().flatten();
        if all.any(|batch| batch != first) {
            return Err("its values have their batches at different places".into());
        }
        let Some(batch) = first else { return Ok((op, None)) };
        let Batch { place, rank } = batch;
        let after = match &mut op {
            Op::Identity | Op::Relu | Op::Relu6 | Op::Function(_) | Op::Add | Op::Power(_) => batch,
            Op::Product => batch,
            // Constants that are aligned with the last dimensions do not reach the batch.
            Op::Elementwise { scale, offset, dims: None } if scale.len() * offset.len() == 1 => {
                batch
            }
            Op::Elementwise { dims: Some(_), .. } | Op::LeakyRelu { .. }
                if elems.iter().all(|dims| dims.len() <= rank && reach(dims) < rank - place) =>
            {
                batch
            }
            Op::Squeeze(axes) if !axes.is_empty() => {
                let mut places: Vec<usize> =
                    axes.iter().filter_map(|&axis| counted(axis, rank)).collect();
                places.sort_unstable();
                places.dedup();
                if places.len() != axes.len() {
                    return Err("it drops a dimension twice, or one that is not there".into());
                }
                for axis in axes {
                    *axis = batch.axis(*axis)?;
                }
                let before = places.iter().filter(|&&dropped| dropped < place).count();
                Batch { place: place - before, rank: rank - places.len() }
            }
            Op::Pick { axis, picked } => {
                let own = counted(*axis, rank).ok_or(ELSEWHERE)?;
                *axis = batch.axis(*axis)?;
                match picked.drops() {
                    true => Batch { place: place - usize::from(own < place), rank: rank - 1 },
                    false => batch,
                }
            }
            Op::Concat { axis } => {
                *axis = batch.axis(*axis)?;
                batch
            }
            _ => return Err(ELSEWHERE.into()),
        };
        Ok((op, Some(after).filter(|batch| batch.place > 0)))
    }

    /// Other dimensions of the same elements in the same order: without the batch, and where that
    /// is. `told` is the size of a batch that the file states.
    ///
    /// # Errors
    /// [`Refused`] where the batch would be divided, or it cannot be said where it is.
    pub(super) fn reshaped(
        &self,
        input: ValueId,
        shape: &[i64],
        told: Option<i64>,
    ) -> Result<(Op, Option<Batch>), Refused> {
        let (first, rest) = shape.split_first().unwrap_or((&-1, &[]));
        // What has one dimension has no batch.
        let op = |dims: &[i64]| Op::Reshape {
            dims: Some(dims.to_vec()).filter(|dims| !dims.is_empty()),
        };
        let Some(Batch { place, .. }) = self.of(input) else {
            // What is left over can only be another batch.
            if *first > 1 && Some(*first) != told && rest.contains(&-1) {
                return Err("it divides the batch; state what is left over".into());
            }
            return Ok((op(rest), None));
        };
        match shape.split_at_checked(place + 1) {
            // It stays where it is.
            Some((before, behind)) if before.iter().all(|&dim| dim == 0) && !behind.is_empty() => {
                let dims = [&vec![0; place], behind].concat();
                Ok((op(&dims), Some(Batch { place, rank: shape.len() })))
            }
            // Of a batch of one, which is first where all others are told.
            _ if !rest.is_empty()
                && !rest.contains(&0)
                && (*first == 1 || *first == -1 && !rest.contains(&-1)) =>
            {
                Ok((op(rest), None))
            }
            _ => Err(ELSEWHERE.into()),
        }
    }

    /// The dimensions of a value in another order: as one without the batch, and where that is.
    ///
    /// # Errors
    /// [`Refused`] if that is no order.
    pub(super) fn transposed(
        &self,
        input: ValueId,
        order: &[i64],
    ) -> Result<(Op, Option<Batch>), Refused> {
        let rank = order.len();
        let batch = self.of(input).unwrap_or(Batch { place: 0, rank });
        let order: Option<Vec<usize>> =
            order.iter().map(|&place| usize::try_from(place).ok()).collect();
        let is_one =
            |order: &Vec<usize>| rank <= MAX_RANK && (0..rank).all(|place| order.contains(&place));
        let order = order.filter(is_one).filter(|_| batch.rank == rank);
        let order = order.ok_or("its order is none of all dimensions, the batch among them")?;
        let place = order.iter().position(|&place| place == batch.place);
        let place = place.ok_or("its order leaves out the batch")?;
        let others = order.iter().filter(|&&other| other != batch.place);
        let others: Vec<usize> =
            others.map(|&other| other - usize::from(other > batch.place)).collect();
        let op = Op::Transpose(others);
        Ok((op, Some(Batch { place, rank }).filter(|batch| batch.place > 0)))
    }
}

impl Batch {
    /// An axis of the file, counted with the batch first.
    fn axis(self, axis: i64) -> Result<i64, Refused> {
        let Self { place, rank } = self;
        match counted(axis, rank) {
            Some(own) if own < place => Ok(i64::try_from(own + 1).map_err(|_| ELSEWHERE)?),
            Some(own) if own > place => Ok(i64::try_from(own).map_err(|_| ELSEWHERE)?),
            Some(_) => Err("it concerns the batch".into()),
            None => Err("it concerns a dimension that is not there".into()),
        }
    }
}

/// An axis from the front.
fn counted(axis: i64, rank: usize) -> Option<usize> {
    let all = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(all)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// How many of the last dimensions a constant is spread along.
fn reach(dims: &[usize]) -> usize {
    dims.len() - dims.iter().take_while(|&&dim| dim == 1).count()
}
