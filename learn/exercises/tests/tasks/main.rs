//! The tests of the exercises, on what the reader has written.

use sharelet_exercises as work;

mod checks;
