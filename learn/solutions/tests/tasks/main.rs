//! The tests of the exercises, on their solutions.

use sharelet_solutions as work;

#[path = "../../../exercises/tests/tasks/checks.rs"]
mod checks;
