//! Recurrent cells of ONNX: LSTM, GRU, RNN.

use super::cell::{Cell, Kind};
use super::error::Refused;
use super::function::Function;
use super::graph::Tensor;
use super::onnx_fold::Constants;
use super::onnx_opset;
use super::onnx_proto::NodeProto;

/// The cells of a node, forward and backward, and whether the batch is the first dimension.
///
/// # Errors
/// [`Refused`] with the reason.
pub(super) fn read(
    node: &NodeProto,
    constants: &Constants<'_>,
    uniform: impl Fn(&str) -> Option<f64>,
    version: i64,
) -> Result<(Vec<Cell>, bool), Refused> {
    onnx_opset::check(node, version)?;
    let reader = Reader { node, constants, uniform };
    let (kind, gates) = reader.kind()?;
    let directions: &[bool] = match node.text("direction", "forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        _ => return Err("its direction is not known".into()),
    };
    let hidden = usize::try_from(node.integer("hidden_size", 0)).unwrap_or(0);
    let given = |name: &str| node.find(name).is_some_and(|told| !told.floats.is_empty());
    for (what, is) in [
        ("a limit of what its gates take", node.find("clip").is_some()),
        ("one gate for input and forget", node.integer("input_forget", 0) != 0),
        ("activations with parameters", given("activation_alpha")),
        ("activations with parameters", given("activation_beta")),
        ("gates that see what is kept (`P`)", node.given(7).is_some()),
        ("lengths of single sequences", node.given(4).is_some()),
    ] {
        if is {
            return Err(format!("it has {what}, which is not computed").into());
        }
    }
    let weights = reader.matrices(1, "its weights", [directions.len(), gates, hidden])?;
    let recurrent =
        reader.matrices(2, "its recurrent weights", [directions.len(), gates, hidden])?;
    let square = |matrix: &Tensor| matrix.dims.last() == Some(&hidden);
    if hidden == 0 || !recurrent.iter().all(square) {
        return Err("its weights are not of so many values as it keeps".into());
    }
    let bias = reader.vectors(3, "its biases", directions.len(), 2 * gates * hidden)?;
    let initial = reader.vectors(5, "the values that it begins with", directions.len(), hidden)?;
    let memory = match kind {
        Kind::Lstm => {
            reader.vectors(6, "the values that it begins with", directions.len(), hidden)?
        }
        _ => vec![Vec::new(); directions.len()],
    };
    let parts = weights.into_iter().zip(recurrent).zip(bias).zip(initial.into_iter().zip(memory));
    let cells = parts.zip(directions).map(|((((weights, recurrent), bias), begin), &reverse)| {
        let (own, other) = bias.split_at(gates * hidden);
        Cell {
            kind: kind.clone(),
            hidden,
            weights,
            recurrent,
            bias: [own.to_vec(), other.to_vec()],
            initial: [begin.0, begin.1],
            reverse,
        }
    });
    Ok((cells.collect(), node.integer("layout", 0) == 1))
}

struct Reader<'r, 'a, U> {
    node: &'r NodeProto,
    constants: &'r Constants<'a>,
    /// The number that a value is made of, however large it is.
    uniform: U,
}

impl<U: Fn(&str) -> Option<f64>> Reader<'_, '_, U> {
    /// What the cell computes, and how many gates it has.
    fn kind(&self) -> Result<(Kind, usize), Refused> {
        let told = self.node.find("activations").map(|told| told.strings.clone());
        let told = told.unwrap_or_default();
        let told: Vec<String> =
            told.iter().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
        // Both directions have the same ones.
        let usual = |usual: &[&str]| {
            told.is_empty()
                || told.len().is_multiple_of(usual.len())
                    && told.chunks_exact(usual.len()).all(|names| names == usual)
        };
        let other = "it has other activations than sigmoid and hyperbolic tangent";
        match self.node.op_type.as_str() {
            "LSTM" if usual(&["sigmoid", "tanh", "tanh"]) => Ok((Kind::Lstm, 4)),
            "GRU" if usual(&["sigmoid", "tanh"]) => {
                let linear_before_reset = self.node.integer("linear_before_reset", 0) != 0;
                Ok((Kind::Gru { linear_before_reset }, 3))
            }
            "RNN" if usual(&["tanh"]) => Ok((Kind::Plain(Some(Function::Tanh)), 1)),
            "RNN" if usual(&["relu"]) => Ok((Kind::Plain(None), 1)),
            _ => Err(other.into()),
        }
    }

    /// A matrix for each direction.
    fn matrices(
        &self,
        index: usize,
        what: &str,
        [directions, gates, hidden]: [usize; 3],
    ) -> Result<Vec<Tensor>, Refused> {
        let tensor = self.constants.float(self.node.given(index), what)?;
        let rows = gates.checked_mul(hidden);
        let (Some(rows), &[count, found, columns]) = (rows, tensor.dims.as_slice()) else {
            return Err(format!("{what} are not one matrix for each direction").into());
        };
        if count != directions || found != rows || columns == 0 || rows == 0 {
            return Err(format!("{what} are not of the dimensions that belong to it").into());
        }
        let each = tensor.values.chunks_exact(rows * columns);
        Ok(each
            .map(|values| Tensor { dims: vec![rows, columns], values: values.to_vec() })
            .collect())
    }

    /// A vector for each direction; zeros if nothing is given.
    fn vectors(
        &self,
        index: usize,
        what: &str,
        directions: usize,
        length: usize,
    ) -> Result<Vec<Vec<f64>>, Refused> {
        let Some(name) = self.node.given(index) else {
            return Ok(vec![vec![0.0; length]; directions]);
        };
        if let Some(value) = (self.uniform)(name) {
            return Ok(vec![vec![value; length]; directions]);
        }
        let tensor = self.constants.float(Some(name), what)?;
        let rows: Vec<&[f64]> = tensor.values.chunks_exact(length.max(1)).collect();
        // For each direction, of a larger batch as many that are alike.
        let each = rows
            .len()
            .checked_div(directions)
            .filter(|&each| each > 0 && each * directions * length == tensor.values.len());
        let each =
            each.ok_or_else(|| format!("{what} are not of the dimensions that belong to it"))?;
        let of = |rows: &[&[f64]]| {
            let (first, rest) = rows.split_first()?;
            rest.iter().all(|row| row == first).then(|| first.to_vec())
        };
        // With the batch first, directions lie within it.
        let inner = self.node.integer("layout", 0) == 1;
        let of_direction = |direction: usize| {
            let own = |row: usize| {
                if inner { row * directions + direction } else { direction * each + row }
            };
            let rows: Option<Vec<&[f64]>> =
                (0..each).map(|row| rows.get(own(row)).copied()).collect();
            of(&rows?)
        };
        let vectors: Option<Vec<Vec<f64>>> = (0..directions).map(of_direction).collect();
        Ok(vectors.ok_or_else(|| format!("{what} differ within the batch"))?)
    }
}
