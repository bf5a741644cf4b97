//! Bilinear maps as products of two matrices: for those who multiply matrices under encryption.
//!
//! ```text
//! convolution   seen (batch places x taps)  kernels^T (taps x filters)     places by places
//! by kernels    gradient^T (filters x batch places)  seen                  as it is
//! by images     gradient (batch places x filters)  kernels (filters x taps)
//!                                                  what a tap saw gets its sums
//! scale         words (batch places x channels)    factors, on a diagonal     places by places
//! dots          words^T (channels x batch places)  words      the diagonal of the product
//! ```
//!
//! The last two multiply as many times more as there are channels: zeros, and what is thrown away.
//!
//! Operands are only moved, results moved or added up, so shares of operands become shares of
//! matrices, and shares of a product those of the map.

use super::Bilinear;
use crate::kernel::{Channels, Convolution, Form, Product};

/// A map with its operands and results as matrices.
#[derive(Clone, Copy, Debug)]
pub struct Lowered<'m>(pub &'m Bilinear);

impl Lowered<'_> {
    /// Rows, inner size and columns of the product; zeros for a map that is not valid.
    pub fn sizes(&self) -> [usize; 3] {
        match self.0 {
            Bilinear::Product(Product { rows, inner, columns, .. }) => [*rows, *inner, *columns],
            Bilinear::Convolution(map) => [seen(map), taps(map), map.filters],
            Bilinear::ByKernels(map) => [map.filters, seen(map), taps(map)],
            Bilinear::ByImages(map) => [seen(map), map.filters, taps(map)],
            Bilinear::Scale(map) => [map.of_each(), map.channels, map.channels],
            Bilinear::Dots(map) => [map.channels, map.of_each(), map.channels],
        }
    }

    /// The operands `x` and `y` as `rows x inner` and `inner x columns`.
    pub fn operands(&self, x: &[u64], y: &[u64]) -> [Vec<u64>; 2] {
        match self.0 {
            Bilinear::Product(Product { form, rows, inner, columns }) => match form {
                Form::Plain => [x.to_vec(), y.to_vec()],
                Form::FirstTransposed => [transposed(x, *rows), y.to_vec()],
                Form::SecondTransposed => [x.to_vec(), transposed(y, *inner)],
            }
            .map(|matrix| {
                debug_assert!(matrix.len() == rows * inner || matrix.len() == inner * columns);
                matrix
            }),
            Bilinear::Convolution(map) => [look(map, x), transposed(y, taps(map))],
            Bilinear::ByKernels(map) => [transposed(&by_places(map, y), map.filters), look(map, x)],
            Bilinear::ByImages(map) => [by_places(map, x), y.to_vec()],
            Bilinear::Scale(map) => [of_places(map, x), diagonal(y)],
            Bilinear::Dots(map) => {
                [transposed(&of_places(map, x), map.channels), of_places(map, y)]
            }
        }
    }

    /// The product as the map's result.
    pub fn result(&self, product: Vec<u64>) -> Vec<u64> {
        match self.0 {
            Bilinear::Product(_) | Bilinear::ByKernels(_) => product,
            Bilinear::Convolution(map) => by_filters(map, &product),
            Bilinear::ByImages(map) => {
                let mut images = vec![0_u64; self.0.out_elems()];
                for (place, word) in places(map).zip(product) {
                    if let Some(image) = place.and_then(|place| images.get_mut(place)) {
                        *image = image.wrapping_add(word);
                    }
                }
                images
            }
            Bilinear::Scale(map) => {
                let sample = map.channels * map.places;
                product
                    .chunks(sample.max(1))
                    .flat_map(|words| transposed(words, map.channels))
                    .collect()
            }
            Bilinear::Dots(map) => product.into_iter().step_by(map.channels + 1).collect(),
        }
    }
}

/// `batch x channels x places` as `batch places x channels`.
fn of_places(map: &Channels, words: &[u64]) -> Vec<u64> {
    let sample = map.channels * map.places;
    words.chunks(sample.max(1)).flat_map(|words| transposed(words, map.places)).collect()
}

/// A square matrix of zeros with these on its diagonal.
fn diagonal(words: &[u64]) -> Vec<u64> {
    let mut matrix = vec![0; words.len() * words.len()];
    matrix.iter_mut().step_by(words.len() + 1).zip(words).for_each(|(place, word)| *place = *word);
    matrix
}

/// Words that a window sees.
const fn taps(map: &Convolution) -> usize {
    map.channels * map.window.kernel.0 * map.window.kernel.1
}

/// Windows of all images.
fn seen(map: &Convolution) -> usize {
    let (rows, columns) = map.places().unwrap_or_default();
    map.batch * rows * columns
}

/// Where, for every window and tap, the word lies that is seen; `None` in the padding.
fn places(map: &Convolution) -> impl Iterator<Item = Option<usize>> + use<> {
    let map = *map;
    let (rows, columns) = map.places().unwrap_or_default();
    let window = map.window;
    (0..map.batch * rows * columns).flat_map(move |place| {
        let (image, place) = (place / (rows * columns), place % (rows * columns));
        let (top, left) = (place / columns * window.stride.0, place % columns * window.stride.1);
        (0..map.channels).flat_map(move |channel| {
            window.cells().map(move |(row, column)| {
                let row = (top + row).checked_sub(window.padding.0)?;
                let column = (left + column).checked_sub(window.padding.1)?;
                let inside = row < map.height && column < map.width;
                let at = ((image * map.channels + channel) * map.height + row) * map.width;
                inside.then_some(at + column)
            })
        })
    })
}

/// What every window sees, a row each.
fn look(map: &Convolution, images: &[u64]) -> Vec<u64> {
    let word = |place: usize| images.get(place).copied();
    places(map).map(|place| place.and_then(word).unwrap_or(0)).collect()
}

/// `batch x filters x places` as `batch places x filters`.
fn by_places(map: &Convolution, outputs: &[u64]) -> Vec<u64> {
    let image = seen(map) / map.batch.max(1) * map.filters;
    let images = outputs.chunks(image.max(1));
    images.flat_map(|image| transposed(image, image.len() / map.filters.max(1))).collect()
}

/// `batch places x filters` as `batch x filters x places`.
fn by_filters(map: &Convolution, words: &[u64]) -> Vec<u64> {
    let image = seen(map) / map.batch.max(1) * map.filters;
    words.chunks(image.max(1)).flat_map(|image| transposed(image, map.filters)).collect()
}

/// A matrix of so many columns, transposed.
fn transposed(matrix: &[u64], columns: usize) -> Vec<u64> {
    (0..columns)
        .flat_map(|column| matrix.iter().skip(column).step_by(columns.max(1)).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Window;

    /// A plain product of the matrices is the map.
    #[test]
    fn products_of_the_matrices_are_the_maps() {
        let window = |kernel, stride, padding| Window { kernel, stride, padding };
        let convolution =
            |window| Convolution { batch: 2, channels: 3, height: 6, width: 5, filters: 4, window };
        let mut maps = Vec::new();
        for form in [Form::Plain, Form::FirstTransposed, Form::SecondTransposed] {
            maps.push(Bilinear::Product(Product { form, rows: 3, inner: 4, columns: 5 }));
        }
        for window in [
            window((3, 3), (1, 1), (0, 0)),
            window((3, 2), (1, 1), (1, 1)),
            window((2, 2), (2, 2), (0, 0)),
            window((5, 3), (2, 1), (2, 0)),
        ] {
            let map = convolution(window);
            maps.extend([
                Bilinear::Convolution(map),
                Bilinear::ByKernels(map),
                Bilinear::ByImages(map),
            ]);
        }
        let channels = Channels { batch: 2, channels: 3, places: 5 };
        maps.extend([Bilinear::Scale(channels), Bilinear::Dots(channels)]);
        for map in maps {
            let word = |index: usize| (index as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let x: Vec<u64> = (0..map.x_elems()).map(word).collect();
            let y: Vec<u64> = (0..map.y_elems()).map(|index| word(index + 1000)).collect();
            let lowered = Lowered(&map);
            let [rows, inner, columns] = lowered.sizes();
            let [left, right] = lowered.operands(&x, &y);
            let product = Bilinear::Product(Product { form: Form::Plain, rows, inner, columns });
            let (mut found, mut expected) = (vec![0; rows * columns], vec![0; map.out_elems()]);
            product.add(&left, &right, &mut found).expect("sized");
            map.add(&x, &y, &mut expected).expect("sized");
            assert_eq!(lowered.result(found), expected, "{map:?}");
        }
    }
}
