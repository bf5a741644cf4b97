//! Arrays of numbers in row-major order, as files hold them: turned over, cut, joined, spread.

/// The largest dimension.
const MAX_DIM: usize = 1 << 26;
/// The most elements of an array that is computed from others.
const MAX_ELEMS: usize = 1 << 24;

/// Numbers with dimensions; as many as the product of `dims`.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<T>,
}

impl<T> Array<T> {
    /// An array; `None` if the number of values is not the product of the dimensions.
    #[must_use]
    pub fn new(dims: Vec<usize>, values: Vec<T>) -> Option<Self> {
        // An empty array must not claim what nobody could hold beside it.
        if dims.iter().any(|&dim| dim > MAX_DIM) {
            return None;
        }
        let count = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
        (count == values.len()).then_some(Self { dims, values })
    }

    /// Rows and columns of a matrix.
    #[must_use]
    pub fn matrix(&self) -> Option<(usize, usize)> {
        match *self.dims {
            [rows, columns] => Some((rows, columns)),
            _ => None,
        }
    }
}

impl<T: Copy> Array<T> {
    /// The transposed matrix; `None` if it is none.
    #[must_use]
    pub fn transposed(&self) -> Option<Self> {
        let (rows, columns) = self.matrix()?;
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..columns {
            values.extend(self.values.iter().skip(column).step_by(columns.max(1)));
        }
        Self::new(vec![columns, rows], values)
    }

    /// The values of a scalar, or of a vector along the last dimension.
    #[must_use]
    pub fn vector(&self) -> Option<Vec<T>> {
        let outer = self.dims.split_last().map_or(&[][..], |(_, outer)| outer);
        outer.iter().all(|&dim| dim == 1).then(|| self.values.clone())
    }

    /// With the dimensions in another order: the first is that at `order[0]`, and so on.
    #[must_use]
    pub fn reordered(&self, order: &[usize]) -> Option<Self> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.dims.len()).collect::<Vec<_>>() {
            return None;
        }
        let strides = strides(&self.dims);
        let pick = |from: &[usize]| order.iter().map(|&at| from.get(at).copied()).collect();
        let (dims, moved): (Option<Vec<usize>>, Option<Vec<usize>>) =
            (pick(&self.dims), pick(&strides));
        self.strided(dims?, &moved?)
    }

    /// Repeated along dimensions of one element, and along new outer ones (as NumPy broadcasts).
    #[must_use]
    pub fn spread(&self, dims: &[usize]) -> Option<Self> {
        let missing = dims.len().checked_sub(self.dims.len())?;
        let own = self.dims.iter().zip(strides(&self.dims));
        let along = own.zip(dims.iter().skip(missing)).map(|((&own, stride), &dim)| match own {
            own if own == dim => Some(stride),
            1 => Some(0),
            _ => None,
        });
        let along: Vec<usize> = along.collect::<Option<_>>()?;
        let along: Vec<usize> = core::iter::repeat_n(0, missing).chain(along).collect();
        self.strided(dims.to_vec(), &along)
    }

    fn strided(&self, dims: Vec<usize>, strides: &[usize]) -> Option<Self> {
        let count = elems(&dims)?;
        let value = |index: usize| self.values.get(offset(index, &dims, strides)).copied();
        let values: Vec<T> = (0..count).map(value).collect::<Option<_>>()?;
        Some(Self { dims, values })
    }

    /// These places along an axis, in this order.
    #[must_use]
    pub fn picked(&self, axis: usize, places: &[usize]) -> Option<Self> {
        let length = *self.dims.get(axis)?;
        let inner: usize = self.dims.iter().skip(axis + 1).product();
        let mut dims = self.dims.clone();
        *dims.get_mut(axis)? = places.len();
        let mut values = Vec::with_capacity(elems(&dims)?);
        for outer in self.values.chunks_exact((length * inner).max(1)) {
            for &place in places {
                values.extend_from_slice(outer.get(place * inner..(place + 1) * inner)?);
            }
        }
        Self::new(dims, values)
    }

    /// Arrays one behind the other along an axis, of the same size along all others.
    #[must_use]
    pub fn joined(parts: &[&Self], axis: usize) -> Option<Self> {
        let mut dims = parts.first()?.dims.clone();
        let outer: usize = dims.get(..axis)?.iter().product();
        let mut length = 0_usize;
        for part in parts {
            length = length.checked_add(*part.dims.get(axis)?)?;
            let mut same = part.dims.clone();
            *same.get_mut(axis)? = *dims.get(axis)?;
            if same != dims {
                return None;
            }
        }
        *dims.get_mut(axis)? = length;
        let mut values = Vec::with_capacity(elems(&dims)?);
        for index in 0..outer {
            for part in parts {
                let chunk = part.values.len() / outer.max(1);
                values.extend_from_slice(part.values.get(index * chunk..(index + 1) * chunk)?);
            }
        }
        Self::new(dims, values)
    }

    /// `f` of each pair of values, both spread to the dimensions that they have together.
    #[must_use]
    pub fn zipped(&self, other: &Self, f: impl Fn(T, T) -> Option<T>) -> Option<Self> {
        let dims = together(&self.dims, &other.dims)?;
        let (first, second) = (self.spread(&dims)?, other.spread(&dims)?);
        let pairs = first.values.into_iter().zip(second.values);
        let values: Vec<T> =
            pairs.map(|(first, second)| f(first, second)).collect::<Option<_>>()?;
        Self::new(dims, values)
    }
}

/// How many elements there are; `None` beyond what is computed.
pub(super) fn elems(dims: &[usize]) -> Option<usize> {
    let count = dims.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim))?;
    Some(count).filter(|&count| count <= MAX_ELEMS)
}

/// The dimensions that two arrays are spread to.
fn together(first: &[usize], second: &[usize]) -> Option<Vec<usize>> {
    let rank = first.len().max(second.len());
    let at = |dims: &[usize], place: usize| {
        (place + dims.len()).checked_sub(rank).and_then(|place| dims.get(place)).copied()
    };
    let both = (0..rank).map(|place| match (at(first, place), at(second, place)) {
        (Some(first), Some(second)) if first == second => Some(first),
        (Some(1) | None, Some(dim)) | (Some(dim), Some(1) | None) => Some(dim),
        _ => None,
    });
    both.collect()
}

/// How far apart neighbours along each dimension are, row-major.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides: Vec<usize> = Vec::with_capacity(dims.len());
    let mut stride = 1_usize;
    for &dim in dims.iter().rev() {
        strides.push(stride);
        stride = stride.saturating_mul(dim);
    }
    strides.reverse();
    strides
}

/// Where element `index` of row-major `dims` lies with other strides.
pub(super) fn offset(mut index: usize, dims: &[usize], strides: &[usize]) -> usize {
    let mut offset = 0;
    for (&dim, &stride) in dims.iter().zip(strides).rev() {
        offset += index % dim.max(1) * stride;
        index /= dim.max(1);
    }
    offset
}

/// The places of a slice, as ONNX clamps them.
pub(super) fn steps_along(length: usize, start: i64, end: i64, step: i64) -> Option<Vec<usize>> {
    let count = i64::try_from(length).ok()?;
    let from_end = |place: i64| if place < 0 { place.saturating_add(count) } else { place };
    let (low, high) = if step > 0 { (0, count) } else { (-1, count - 1) };
    let (mut at, end) =
        (from_end(start).clamp(low.max(0), high.max(0)), from_end(end).clamp(low, high));
    let mut places = Vec::new();
    while step != 0 && length > 0 && (if step > 0 { at < end } else { at > end }) {
        places.push(usize::try_from(at).ok()?);
        at = at.checked_add(step)?;
    }
    (step != 0).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(dims: &[usize]) -> Array<usize> {
        Array::new(dims.to_vec(), (0..dims.iter().product()).collect()).unwrap()
    }

    #[test]
    fn dimensions_are_turned_over() {
        let turned = counted(&[2, 3, 2]).reordered(&[2, 0, 1]).unwrap();
        assert_eq!(turned.dims, [2, 2, 3]);
        assert_eq!(turned.values, [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        assert_eq!(counted(&[2, 3]).reordered(&[1, 0]), counted(&[2, 3]).transposed());
        for order in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
            assert_eq!(counted(&[2, 3]).reordered(order), None);
        }
    }

    #[test]
    fn parts_are_joined_and_picked_again() {
        let (first, second) = (counted(&[2, 3]), counted(&[2, 1]));
        let joined = Array::joined(&[&first, &second], 1).unwrap();
        assert_eq!(
            (&joined.dims[..], &joined.values[..]),
            (&[2, 4][..], &[0, 1, 2, 0, 3, 4, 5, 1][..])
        );
        assert_eq!(joined.picked(1, &[0, 1, 2]).unwrap(), first);
        assert_eq!(joined.picked(0, &[1, 1]).unwrap().values, [3, 4, 5, 1, 3, 4, 5, 1]);
        assert_eq!(joined.picked(0, &[2]), None);
        assert_eq!(Array::joined(&[&first, &second], 0), None);
        assert_eq!(Array::joined(&[&first], 2), None);
        assert_eq!(Array::<usize>::joined(&[], 0), None);
        let empty = counted(&[0, 3]);
        assert_eq!(Array::joined(&[&empty, &first], 0).unwrap(), first);
    }

    #[test]
    fn pairs_are_spread_as_numpy_does() {
        let sum = counted(&[2, 1]).zipped(&counted(&[3]), |a, b| Some(10 * a + b)).unwrap();
        assert_eq!((&sum.dims[..], &sum.values[..]), (&[2, 3][..], &[0, 1, 2, 10, 11, 12][..]));
        let scalar = Array { dims: vec![], values: vec![7] };
        assert_eq!(scalar.zipped(&scalar, usize::checked_add).unwrap().values, [14]);
        assert_eq!(counted(&[2]).zipped(&counted(&[3]), |a, _| Some(a)), None);
        assert_eq!(counted(&[2]).zipped(&counted(&[2]), |_, _| None), None);
        assert_eq!(scalar.spread(&[1 << 40, 1 << 40]), None);
        assert_eq!(scalar.spread(&[1 << 27]), None);
    }
}
