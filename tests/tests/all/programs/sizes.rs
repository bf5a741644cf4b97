//! Sizes that no program takes, up to the largest there are: refused at the beginning, without a
//! panic.

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::program::pool::Window;
use sharelet_core::functions::program::{
    Need, choice, extreme, scaling, softmax, statistics, unary,
};
use sharelet_core::functions::protocol::compare::MAX_CONSTANTS;
use sharelet_testkit::programs::data::Data;
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::refused::{any, refused};
use sharelet_testkit::programs::run::Runs;

fn window(size: (usize, usize), stride: (usize, usize)) -> Window {
    Window { channels: 1, height: 3, width: 4, size, stride }
}

fn sizes<R: Runs>() {
    let huge = [0, 13, 1 << 16, (1 << 16) + 1, 1 << 31, usize::MAX / 2, usize::MAX - 1, usize::MAX];
    for size in huge {
        let functions = [
            Function::Choose { width: size, other: false },
            Function::Max(size),
            Function::Min(size),
            Function::ArgMax(size),
            Function::OneHot(size),
            Function::Softmax(size, 12),
            Function::LogSoftmax(size, 12),
            Function::Sum(size),
            Function::Mean(size),
            Function::Variance(size, 12),
            Function::LayerNorm(size, 12, 1, None),
            Function::MatrixMultiply(size, 4, 3),
            Function::MatrixMultiply(3, size, 3),
            Function::MatrixMultiply(3, 4, size),
            Function::MatrixMultiply(size, size, size),
            Function::FixedMatrix(size, 3),
            Function::FixedMatrix(3, size),
            Function::FixedMatrix(size, size),
            Function::MaxPool(window((size, 2), (1, 1))),
            Function::MeanPool(window((2, size), (1, 1))),
            Function::MaxPool(window((2, size), (1, size))),
            Function::MaxPool(Window { channels: size, ..window((2, 2), (1, 1)) }),
            Function::MeanPool(Window { height: size, ..window((1, 1), (1, 1)) }),
            Function::MaxPool(Window {
                channels: size,
                height: size,
                width: size,
                size: (1, 1),
                stride: (1, 1),
            }),
            Function::MeanPool(Window {
                channels: size,
                height: size,
                width: size,
                size: (size, size),
                stride: (size, size),
            }),
        ];
        for function in functions {
            let words = vec![R::ONE; 12];
            let room = Need { own_elems: 200, narrow_elems: 200, wide_elems: 200 };
            let data = Data { x: words.clone(), y: words.clone(), out: words, other: vec![], room };
            refused(&function, &data);
            let _ = any(&function, &Data::<R> { room, ..Data::default() });
        }
        // Of windows, the steps may be as large as one likes.
        if size > 0 {
            let stepping = Function::MaxPool(window((2, 2), (size, size)));
            assert_eq!(any(&stepping, &stepping.data(&[R::ONE; 12], &[])), Ok(()));
        }
    }
    // More constants, knots, columns than a protocol takes.
    let compare = |count: usize| Function::Compare {
        constants: vec![1; count],
        folding: Folding::Direct,
        other: false,
    };
    let one_hot = |columns| Function::OneHot(columns);
    for (function, elements, served) in [
        (compare(0), 12, false),
        (compare(MAX_CONSTANTS), 1, true),
        (compare(MAX_CONSTANTS + 1), 1, false),
        (Function::Segments(0, 0, vec![]), 12, false),
        (Function::Segments(0, 0, vec![[0, 1, 1]; 64]), 12, true),
        (Function::Segments(0, 0, vec![[0, 1, 1]; 65]), 12, false),
        (one_hot(MAX_CONSTANTS), MAX_CONSTANTS, true),
        (one_hot(MAX_CONSTANTS + 1), MAX_CONSTANTS + 1, false),
        (Function::Softmax(1024, 8), 1024, true),
        (Function::Softmax(1024, 20), 1024, true),
        (Function::Softmax(1025, 8), 1025, false),
        (Function::Clamp(3, 2), 12, false),
        (Function::LeakyRelu((1 << 8) + 1, 8), 12, false),
        (Function::LayerNorm(3, 8, 0, Some([vec![1; 3], vec![1; 2]])), 12, false),
        (Function::LayerNorm(3, 8, 0, Some([vec![], vec![1; 3]])), 12, false),
        (Function::LayerNorm(3, 8, (1 << 61) / 3, Some([vec![1; 3], vec![1; 3]])), 12, true),
        (Function::LayerNorm(3, 8, (1 << 61) / 3 + 1, None), 12, false),
        (Function::LayerNorm(3, 8, u64::MAX, None), 12, false),
    ] {
        let done = any(&function, &function.data(&vec![R::ONE; elements], &[]));
        assert_eq!(done.is_ok(), served, "{function:?}: {done:?}");
    }
}

#[test]
fn sizes_out_of_range() {
    sizes::<u32>();
    sizes::<u64>();
}

/// Sizes that no memory holds are told as such.
#[test]
fn needs_do_not_overflow() {
    for rows in [0, 1, 7, usize::MAX / 3, usize::MAX] {
        for columns in [0, 1, 3, 1024, 1 << 40, usize::MAX] {
            let all = [
                choice::need(rows),
                choice::segments_need(rows, columns),
                unary::exp_need::<u64>(rows),
                extreme::need(rows, columns),
                extreme::one_hot_need(rows, columns),
                scaling::reciprocal_need::<u32>(rows),
                scaling::root_need::<u64>(rows),
                scaling::divide_need::<u64>(rows),
                softmax::need(rows, columns),
                statistics::mean_need(rows),
                statistics::variance_need(rows, columns),
                statistics::layer_norm_need(rows, columns),
                statistics::inv_std_need(rows),
                Window {
                    channels: rows,
                    height: columns,
                    width: columns,
                    size: (1, 1),
                    stride: (1, 1),
                }
                .need(),
            ];
            let words = |need: &Need| need.own_elems.max(need.narrow_elems).max(need.wide_elems);
            assert!(
                rows < 1 << 40 || all.iter().filter(|need| words(need) < rows).count() <= 2,
                "{all:?}"
            );
        }
    }
}
