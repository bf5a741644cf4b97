//! The part of the TFLite flatbuffer schema that a float network needs, on the checked readers of
//! `planus`.
//!
//! Field numbers are those of `schema.fbs`
//! (`tensorflow/compiler/mlir/lite/schema/` in <https://github.com/tensorflow/tensorflow>).
//! Every accessor checks offsets against the buffer; a table that lies outside of it is an error,
//! never a panic. A fused activation is that of the operator's result; `stride_w`, `filter_width`
//! and `dilation_w` go along columns, those with `h` along rows.

use planus::errors::ErrorKind;
use planus::table_reader::Table;
use planus::{SliceWithStartOffset, TableRead, Vector};

/// The marker at bytes 4 to 8.
pub const IDENTIFIER: &[u8; 4] = b"TFL3";
/// `TensorType.FLOAT32`.
pub const FLOAT32: i8 = 0;
/// `TensorType`, further kinds.
pub const FLOAT16: i8 = 1;
pub const INT32: i8 = 2;
pub const UINT8: i8 = 3;
pub const INT64: i8 = 4;
pub const INT16: i8 = 7;
pub const INT8: i8 = 9;
pub const FLOAT64: i8 = 10;

/// A vector of tables.
#[derive(Debug)]
pub struct Tables<T>(pub Vec<T>);

impl<'a, T: From<Table<'a>>> TableRead<'a> for Tables<T> {
    fn from_buffer(buffer: SliceWithStartOffset<'a>, field: usize) -> Result<Self, ErrorKind> {
        let relative = usize::try_from(u32::from_buffer(buffer, field)?)
            .map_err(|_| ErrorKind::InvalidOffset)?;
        let start = field.checked_add(relative).ok_or(ErrorKind::InvalidOffset)?;
        let count = usize::try_from(u32::from_buffer(buffer, start)?)
            .map_err(|_| ErrorKind::InvalidLength)?;
        let first = start.checked_add(4).ok_or(ErrorKind::InvalidOffset)?;
        let end = count
            .checked_mul(4)
            .and_then(|bytes| bytes.checked_add(first))
            .ok_or(ErrorKind::InvalidLength)?;
        if end > buffer.len() {
            return Err(ErrorKind::InvalidLength);
        }
        let tables =
            (first..end).step_by(4).map(|offset| Table::from_buffer(buffer, offset).map(T::from));
        Ok(Self(tables.collect::<Result<_, _>>()?))
    }
}

/// Declares a table and its accessors: field number, name, type.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $slot:literal $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(Table<'a>);

        impl<'a> From<Table<'a>> for $name<'a> {
            fn from(table: Table<'a>) -> Self {
                Self(table)
            }
        }

        impl<'a> TableRead<'a> for $name<'a> {
            fn from_buffer(
                buffer: SliceWithStartOffset<'a>,
                offset: usize,
            ) -> Result<Self, ErrorKind> {
                Table::from_buffer(buffer, offset).map(Self)
            }
        }

        impl<'a> $name<'a> {
            $(
                $(#[$field_doc])*
                pub fn $field(&self) -> planus::Result<Option<$type>> {
                    self.0.access($slot, stringify!($name), stringify!($field))
                }
            )*
        }
    };
}

table! {
    /// A file.
    Model {
        1 operator_codes: Tables<OperatorCode<'a>>,
        /// Graphs; the first is the model.
        2 subgraphs: Tables<SubGraph<'a>>,
        4 buffers: Tables<Buffer<'a>>,
    }
}

table! {
    /// A kind of operator.
    OperatorCode {
        /// The kind, where it is below 127.
        0 deprecated_builtin_code: i8,
        1 custom_code: &'a str,
        3 builtin_code: i32,
    }
}

table! {
    /// A graph.
    SubGraph {
        0 tensors: Tables<TensorInfo<'a>>,
        1 inputs: Vector<'a, i32>,
        2 outputs: Vector<'a, i32>,
        3 operators: Tables<Operator<'a>>,
        4 name: &'a str,
    }
}

table! {
    /// A value.
    TensorInfo {
        0 shape: Vector<'a, i32>,
        1 kind: i8,
        /// Index of the buffer with its constant; buffer 0 is empty.
        2 buffer: u32,
        3 name: &'a str,
        4 quantization: Quantization<'a>,
    }
}

table! {
    /// How whole numbers stand for reals: `(q - zero_point) scale`.
    Quantization {
        /// One, or one for each place along a dimension.
        2 scale: Vector<'a, f32>,
        3 zero_point: Vector<'a, i64>,
        /// That dimension.
        6 dimension: i32,
    }
}

table! {
    /// An operator.
    Operator {
        0 opcode_index: u32,
        /// Values read; -1 for an absent one.
        1 inputs: Vector<'a, i32>,
        2 outputs: Vector<'a, i32>,
        4 options: Options<'a>,
        4 window_options: WindowOptions<'a>,
        4 reducer_options: ReducerOptions<'a>,
        4 leaky_options: LeakyOptions<'a>,
        4 concat_options: ConcatOptions<'a>,
        4 gelu_options: GeluOptions<'a>,
        4 softmax_options: SoftmaxOptions<'a>,
        4 slice_options: SliceOptions<'a>,
    }
}

table! {
    /// Options of `CONCATENATION`.
    ConcatOptions {
        /// Counted with the batch.
        0 axis: i32,
        1 concat_fused: i8,
    }
}

table! {
    /// Options of `LEAKY_RELU`.
    LeakyOptions {
        /// The slope.
        0 alpha: f32,
    }
}

table! {
    /// Options of `STRIDED_SLICE`: a bit for each dimension.
    SliceOptions {
        /// Whose beginning is not told.
        0 begin_mask: i32,
        /// Whose end is not told.
        1 end_mask: i32,
        2 ellipsis_mask: i32,
        3 new_axis_mask: i32,
        /// Which goes with the one element that is picked.
        4 shrink_axis_mask: i32,
    }
}

table! {
    /// Options of `SOFTMAX`.
    SoftmaxOptions {
        /// What values are multiplied by first.
        0 beta: f32,
    }
}

table! {
    /// Options of `GELU`.
    GeluOptions {
        /// Whether it is the form with the hyperbolic tangent.
        0 approximate: bool,
    }
}

table! {
    /// Options of `MEAN`.
    ReducerOptions {
        /// Whether the dimensions stay, with one element each.
        0 keep_dims: bool,
    }
}

table! {
    /// Options of `FULLY_CONNECTED`, `ADD`, `SUB`, `MUL` and `DIV`: all begin with the fused
    /// activation.
    Options {
        0 fused_activation: i8,
        /// Layout of the weights (`FULLY_CONNECTED`): 0 is row-major.
        1 weights_format: i8,
        /// Whether all dimensions but the last one stay (`FULLY_CONNECTED`).
        2 keep_num_dims: bool,
    }
}

table! {
    /// Options of `CONV_2D`, `DEPTHWISE_CONV_2D`, `AVERAGE_POOL_2D` and `MAX_POOL_2D`, which begin
    /// alike.
    WindowOptions {
        /// Padding: 0 same, 1 valid.
        0 padding: i8,
        1 stride_w: i32,
        2 stride_h: i32,
        /// Of pools.
        3 filter_width: i32,
        4 filter_height: i32,
        5 pool_fused: i8,
        /// Of `CONV_2D`.
        3 conv_fused: i8,
        4 conv_dilation_w: i32,
        5 conv_dilation_h: i32,
        /// Of `DEPTHWISE_CONV_2D`.
        3 depth_multiplier: i32,
        4 depthwise_fused: i8,
        5 depthwise_dilation_w: i32,
        6 depthwise_dilation_h: i32,
    }
}

table! {
    /// The bytes of a constant.
    Buffer {
        0 data: &'a [u8],
        /// Position of the bytes behind the flatbuffer, in files above 2 GB.
        1 offset: u64,
    }
}

/// The root table of a file.
pub fn root(bytes: &[u8]) -> Result<Model<'_>, ErrorKind> {
    Table::from_buffer(SliceWithStartOffset { buffer: bytes, offset_from_start: 0 }, 0).map(Model)
}

/// `BuiltinOperator` from 0 on.
const NAMES: &str = "\
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE \
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D \
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU \
    RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH \
    CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB \
    DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP \
    TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX \
    MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV \
    SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN \
    FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK \
    REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE \
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL \
    REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE \
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 \
    SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES \
    CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE \
    HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE \
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE \
    RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD \
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST \
    BITWISE_XOR RIGHT_SHIFT";

/// `BuiltinOperator` by number.
pub fn operator_name(code: i32) -> String {
    let name = usize::try_from(code).ok().and_then(|code| NAMES.split_whitespace().nth(code));
    name.map_or_else(|| format!("builtin operator {code}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::operator_name;

    #[test]
    fn operators_have_the_names_of_the_schema() {
        for (code, name) in [
            (0, "ADD"),
            (32, "CUSTOM"),
            (50, "LOG_SOFTMAX"),
            (60, "PADV2"),
            (77, "SHAPE"),
            (82, "REDUCE_MAX"),
            (98, "LEAKY_RELU"),
            (117, "HARD_SWISH"),
            (126, "BATCH_MATMUL"),
            (150, "GELU"),
            (161, "RIGHT_SHIFT"),
            (999, "builtin operator 999"),
            (-1, "builtin operator -1"),
        ] {
            assert_eq!(operator_name(code), name);
        }
    }
}
