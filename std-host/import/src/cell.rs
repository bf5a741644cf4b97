//! Recurrent cells, as files define them: ONNX *Operators*, LSTM, GRU and RNN.

use super::array::Array;
use super::function::Function;

/// What a cell computes of a step and of what it kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Gates in the order input, output, forget, cell.
    Lstm,
    /// Gates in the order update, reset, hidden.
    Gru {
        /// Whether the reset gate is applied to what the matrix gives, and not to what it takes.
        linear_before_reset: bool,
    },
    /// One activation; ReLU if there is no other.
    Plain(Option<Function>),
}

/// A cell, in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What it computes.
    pub kind: Kind,
    /// Values that it keeps.
    pub hidden: usize,
    /// Of a step, a row for each gate's values.
    pub weights: Array<f64>,
    /// Of what it kept, likewise.
    pub recurrent: Array<f64>,
    /// What is added to either.
    pub bias: [Vec<f64>; 2],
    /// What it begins with: its output, and its memory if it has one.
    pub initial: [Vec<f64>; 2],
    /// Whether the last step is the first one.
    pub reverse: bool,
}
