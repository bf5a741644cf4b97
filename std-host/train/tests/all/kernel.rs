//! Products and convolutions against their definitions, over both words, and on one thread and
//! several.
use rayon::{ThreadPool, ThreadPoolBuilder};
use sharelet_core::ring::{Ring, dot};
use sharelet_testkit::{Rng, seed};
use sharelet_train::kernel::{Bilinear, Channels, Convolution, Form, Product, SizeError, Word};
use sharelet_train::network::Window;

const FORMS: [Form; 3] = [Form::Plain, Form::FirstTransposed, Form::SecondTransposed];

fn words<R: Ring>(rng: &mut Rng, count: usize) -> Vec<R> {
    // Extremes among them: 0, 1, -1, and the topmost bit.
    let word = |rng: &mut Rng| match rng.below(8) {
        0 => [R::ZERO, R::ONE, R::ZERO.sub(R::ONE), R::pow2(R::BITS - 1)][rng.below(4)],
        _ => R::from_u64(rng.next()),
    };
    (0..count).map(|_| word(rng)).collect()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// The definition, term by term.
fn add_by_definition<R: Word>(map: &Bilinear, x: &[R], y: &[R], out: &mut [R]) {
    match map {
        Bilinear::Product(Product { form, rows, inner, columns }) => {
            for row in 0..*rows {
                for column in 0..*columns {
                    for term in 0..*inner {
                        let mut at = (row * inner + term, term * columns + column);
                        match form {
                            Form::Plain => {}
                            Form::FirstTransposed => at.0 = term * rows + row,
                            Form::SecondTransposed => at.1 = column * inner + term,
                        }
                        let out = &mut out[row * columns + column];
                        *out = out.add(x[at.0].mul(y[at.1]));
                    }
                }
            }
        }
        Bilinear::Convolution(shape) => each_term(shape, |image, kernel, output| {
            out[output] = out[output].add(x[image].mul(y[kernel]));
        }),
        Bilinear::ByKernels(shape) => each_term(shape, |image, kernel, output| {
            out[kernel] = out[kernel].add(x[image].mul(y[output]));
        }),
        Bilinear::ByImages(shape) => each_term(shape, |image, kernel, output| {
            out[image] = out[image].add(x[output].mul(y[kernel]));
        }),
        Bilinear::Scale(shape) => {
            for (at, (out, x)) in out.iter_mut().zip(x).enumerate() {
                *out = out.add(x.mul(y[at / shape.places % shape.channels]));
            }
        }
        Bilinear::Dots(shape) => {
            for (at, (x, y)) in x.iter().zip(y).enumerate() {
                let channel = at / shape.places % shape.channels;
                out[channel] = out[channel].add(x.mul(*y));
            }
        }
    }
}

/// Calls `term` with the places in images, kernels and outputs of each product that a convolution
/// sums up.
fn each_term(shape: &Convolution, mut term: impl FnMut(usize, usize, usize)) {
    let Convolution { batch, channels, height, width, filters, window } = *shape;
    let Window { kernel, stride, padding } = window;
    let (rows, columns) = window.places(height, width).unwrap();
    let grid = |(rows, columns): (usize, usize)| {
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
    };
    for ((sample, filter), channel) in
        grid((batch, filters)).flat_map(|at| (0..channels).map(move |channel| (at, channel)))
    {
        for (row, column) in grid((rows, columns)) {
            for (down, right) in grid(kernel) {
                let y = (row * stride.0 + down).wrapping_sub(padding.0);
                let x = (column * stride.1 + right).wrapping_sub(padding.1);
                if y < height && x < width {
                    term(
                        ((sample * channels + channel) * height + y) * width + x,
                        ((filter * channels + channel) * kernel.0 + down) * kernel.1 + right,
                        ((sample * filters + filter) * rows + row) * columns + column,
                    );
                }
            }
        }
    }
}

/// The map on one thread and on three is its definition, added to what was there.
fn check<R: Ring + Word>(map: &Bilinear, rng: &mut Rng, pools: &[ThreadPool]) {
    let (x, y, before) = (
        words::<R>(rng, map.x_elems()),
        words::<R>(rng, map.y_elems()),
        words::<R>(rng, map.out_elems()),
    );
    let mut expected = before.clone();
    add_by_definition(map, &x, &y, &mut expected);
    for pool in pools {
        let mut out = before.clone();
        pool.install(|| map.add(&x, &y, &mut out)).unwrap();
        let threads = pool.current_num_threads();
        assert!(out == expected, "{map:?}, {} bits, {threads} threads", R::BITS);
    }
}

fn check_both(map: &Bilinear, rng: &mut Rng, pools: &[ThreadPool]) {
    check::<u32>(map, rng, pools);
    check::<u64>(map, rng, pools);
}

fn product(form: Form, rows: usize, inner: usize, columns: usize) -> Bilinear {
    Bilinear::Product(Product { form, rows, inner, columns })
}

#[test]
fn products_of_random_sizes_are_their_definition() {
    const SIZES: [usize; 16] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 48, 53, 64, 97];
    let (mut rng, pools) = (Rng(seed()), [pool(1), pool(3)]);
    for _ in 0..150 {
        let [rows, inner, columns] = [(); 3].map(|()| SIZES[rng.below(SIZES.len())]);
        for form in FORMS {
            check_both(&product(form, rows, inner, columns), &mut rng, &pools);
        }
    }
}

/// More terms than a block has, more columns than a set of panels has, and enough work that threads
/// share it.
#[test]
fn large_products_are_their_definition() {
    let (mut rng, pools) = (Rng(seed()), [pool(1), pool(3)]);
    for (rows, inner, columns) in [
        (61, 513, 67),
        (131, 257, 139),
        (3, 1031, 521),
        (521, 1031, 3),
        (1, 2053, 701),
        (701, 2053, 1),
        (1, 1, 5000),
        (5000, 1, 1),
        (50, 300, 290),
        (13, 401, 271),
        (20, 1 << 17, 1),
    ] {
        for form in FORMS {
            check_both(&product(form, rows, inner, columns), &mut rng, &pools);
        }
    }
}

#[test]
fn extremes_wrap() {
    for form in FORMS {
        for (rows, inner, columns) in [(5, 300, 17), (1, 300, 17), (17, 300, 1)] {
            let map = product(form, rows, inner, columns);
            // (-1)(-1) 300 times, added to -300.
            let mut out = vec![0_u64.wrapping_sub(300); map.out_elems()];
            map.add(&vec![u64::MAX; map.x_elems()], &vec![u64::MAX; map.y_elems()], &mut out)
                .unwrap();
            assert!(out.iter().all(|word| *word == 0));
            let mut out = vec![7_u32; map.out_elems()];
            map.add(&vec![1 << 31; map.x_elems()], &vec![2; map.y_elems()], &mut out).unwrap();
            assert!(out.iter().all(|word| *word == 7));
        }
    }
}

/// The three maps of a convolution.
fn maps(shape: Convolution) -> [Bilinear; 3] {
    [Bilinear::Convolution(shape), Bilinear::ByKernels(shape), Bilinear::ByImages(shape)]
}

fn random_convolution(rng: &mut Rng) -> Convolution {
    loop {
        let mut pair =
            |least: usize, limit: usize| (least + rng.below(limit), least + rng.below(limit));
        let window = Window { kernel: pair(1, 5), stride: pair(1, 4), padding: pair(0, 4) };
        let (height, width) = pair(1, 14);
        let (channels, filters) = pair(1, 9);
        if window.places(height, width).is_some() {
            let batch = 1 + rng.below(5);
            return Convolution { batch, channels, height, width, filters, window };
        }
    }
}

#[test]
fn convolutions_of_random_sizes_are_their_definition() {
    let (mut rng, pools) = (Rng(seed()), [pool(1)]);
    for _ in 0..300 {
        let shape = random_convolution(&mut rng);
        for map in maps(shape) {
            check_both(&map, &mut rng, &pools);
        }
    }
}

/// Enough work that threads share it; more samples than threads, and fewer.
#[test]
fn large_convolutions_are_their_definition() {
    let (mut rng, pools) = (Rng(seed()), [pool(1), pool(3)]);
    let square = |batch, channels, size, filters, kernel, stride, padding| {
        let [kernel, stride, padding] = [kernel, stride, padding].map(|side| (side, side));
        let window = Window { kernel, stride, padding };
        Convolution { batch, channels, height: size, width: size, filters, window }
    };
    for shape in [
        square(7, 1, 28, 16, 5, 1, 0),
        square(5, 16, 12, 16, 5, 1, 0),
        square(2, 20, 12, 50, 5, 1, 0),
        square(16, 3, 32, 8, 3, 2, 1),
        square(40, 1, 28, 5, 2, 2, 0),
        square(1, 9, 20, 40, 3, 1, 1),
    ] {
        for map in maps(shape) {
            check_both(&map, &mut rng, &pools);
        }
    }
}

/// `<conv(x, k), g> = <x, by_images(g, k)> = <k, by_kernels(x, g)>`.
#[test]
fn gradients_are_adjoint() {
    let mut rng = Rng(seed());
    for _ in 0..200 {
        let shape = random_convolution(&mut rng);
        let forward = Bilinear::Convolution(shape);
        let (images, kernels) =
            (words::<u64>(&mut rng, forward.x_elems()), words::<u64>(&mut rng, forward.y_elems()));
        let gradient = words::<u64>(&mut rng, forward.out_elems());
        let apply = |map: Bilinear, x: &[u64], y: &[u64]| {
            let mut out = vec![0; map.out_elems()];
            map.add(x, y, &mut out).unwrap();
            out
        };
        let expected = dot(0, &apply(forward, &images, &kernels), &gradient);
        let by_images = apply(Bilinear::ByImages(shape), &gradient, &kernels);
        let by_kernels = apply(Bilinear::ByKernels(shape), &images, &gradient);
        assert_eq!(dot(0, &images, &by_images), expected, "{shape:?}");
        assert_eq!(dot(0, &kernels, &by_kernels), expected, "{shape:?}");
    }
}

#[test]
fn maps_of_channels_are_their_definition() {
    let (mut rng, pools) = (Rng(seed()), [pool(1)]);
    for _ in 0..300 {
        let mut size = |limit: usize| 1 + rng.below(limit);
        let shape = Channels { batch: size(5), channels: size(9), places: size(40) };
        for map in [Bilinear::Scale(shape), Bilinear::Dots(shape)] {
            let terms = shape.batch * shape.channels * shape.places;
            assert_eq!(map.multiply_adds(), terms as u64);
            check_both(&map, &mut rng, &pools);
        }
    }
    for (batch, channels, places) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1 << 30, 1 << 30, 1 << 30)]
    {
        let shape = Channels { batch, channels, places };
        for map in [Bilinear::Scale(shape), Bilinear::Dots(shape)] {
            assert_eq!(map.sizes(), Err(SizeError::Sizes));
            assert_eq!(map.add::<u64>(&[], &[], &mut []), Err(SizeError::Sizes));
        }
    }
}

#[test]
fn work_is_counted() {
    assert_eq!(product(Form::Plain, 3, 5, 7).multiply_adds(), 105);
    let window = Window { kernel: (5, 5), stride: (1, 1), padding: (0, 0) };
    let shape = Convolution { batch: 2, channels: 3, height: 12, width: 12, filters: 4, window };
    let mut terms = 0;
    each_term(&shape, |_, _, _| terms += 1);
    assert_eq!(Bilinear::ByImages(shape).multiply_adds(), terms);
}

#[test]
fn wrong_sizes_are_refused_and_nothing_is_written() {
    let map = product(Form::Plain, 2, 3, 4);
    let mut out = [5_u32; 8];
    let refused =
        |x: usize, y: usize, out: &mut [u32]| map.add(&vec![1; x], &vec![1; y], out).unwrap_err();
    let length = |operand, expected, found| SizeError::Length { operand, expected, found };
    assert_eq!(refused(5, 12, &mut out), length("x", 6, 5));
    assert_eq!(refused(6, 13, &mut out), length("y", 12, 13));
    assert_eq!(refused(6, 12, &mut out[..7]), length("the result", 8, 7));
    assert_eq!(out, [5; 8]);

    for (rows, inner, columns) in
        [(0, 1, 1), (1, 0, 1), (1, 1, 0), (usize::MAX, 2, 1), (1 << 33, 1, 1 << 33)]
    {
        let map = product(Form::Plain, rows, inner, columns);
        assert_eq!(map.sizes(), Err(SizeError::Sizes));
        assert_eq!(map.add::<u64>(&[], &[], &mut []), Err(SizeError::Sizes));
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let with = |kernel, stride, padding| {
        let window = Window { kernel, stride, padding };
        Convolution { batch: 1, channels: 1, height: 4, width: 4, filters: 1, window }
    };
    let fits = with((2, 2), (1, 1), (0, 0));
    assert_eq!(Bilinear::Convolution(fits).sizes(), Ok([16, 4, 9]));
    for shape in [
        with((5, 2), (1, 1), (0, 0)),
        with((2, 5), (1, 1), (0, 0)),
        with((0, 2), (1, 1), (0, 0)),
        with((2, 2), (0, 1), (0, 0)),
        with((2, 2), (1, 0), (0, 0)),
        with((2, 2), (1, 1), (usize::MAX, 0)),
        with((usize::MAX, 2), (1, 1), (usize::MAX / 2, 0)),
    ] {
        for map in maps(shape) {
            assert!(matches!(map.sizes(), Err(SizeError::Window { .. })), "{shape:?}");
            assert_eq!((map.x_elems(), map.y_elems(), map.out_elems()), (0, 0, 0));
            assert!(map.add::<u32>(&[], &[], &mut []).is_err());
        }
    }
    let wide = Convolution { channels: 1 << 40, filters: 1 << 40, ..fits };
    assert_eq!(Bilinear::ByKernels(wide).sizes(), Err(SizeError::Sizes));
    let padded = with((2, 2), (1, 1), (1 << 40, 1 << 40));
    assert_eq!(Bilinear::Convolution(padded).sizes(), Err(SizeError::Sizes));
    // A stride beyond the image leaves one window.
    assert_eq!(with((2, 2), (usize::MAX, usize::MAX), (1, 1)).places(), Ok((1, 1)));
    let mut out = [0_u32];
    let far = Bilinear::Convolution(with((2, 2), (usize::MAX, usize::MAX), (1, 1)));
    far.add(&[3; 16], &[1, 1, 1, 2], &mut out).unwrap();
    assert_eq!(out, [6]);
}
