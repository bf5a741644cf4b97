//! The part of the TFLite flatbuffer schema that a float network needs, on the checked readers of
//! `planus`.
//!
//! Field numbers are those of `tensorflow/compiler/mlir/lite/schema/schema.fbs` in
//! <https://github.com/tensorflow/tensorflow>. Every accessor checks offsets against the buffer; a
//! table that lies outside of it is an error, never a panic.

use planus::errors::ErrorKind;
use planus::table_reader::Table;
use planus::{SliceWithStartOffset, TableRead, Vector};

/// The marker at bytes 4 to 8.
pub const IDENTIFIER: &[u8; 4] = b"TFL3";
/// `TensorType.FLOAT32`.
pub const FLOAT32: i8 = 0;
/// `TensorType.INT32`.
pub const INT32: i8 = 2;

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
                ///
                /// # Errors
                /// The field lies outside the buffer.
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
        /// Version of the schema, 3.
        0 version: u32,
        /// Kinds of operators that occur.
        1 operator_codes: Tables<OperatorCode<'a>>,
        /// Graphs; the first is the model.
        2 subgraphs: Tables<SubGraph<'a>>,
        /// Text.
        3 description: &'a str,
        /// Constants.
        4 buffers: Tables<Buffer<'a>>,
    }
}

table! {
    /// A kind of operator.
    OperatorCode {
        /// The kind, where it is below 127.
        0 deprecated_builtin_code: i8,
        /// Name of a custom operator.
        1 custom_code: &'a str,
        /// The kind.
        3 builtin_code: i32,
    }
}

table! {
    /// A graph.
    SubGraph {
        /// Values.
        0 tensors: Tables<TensorInfo<'a>>,
        /// Indices of input values.
        1 inputs: Vector<'a, i32>,
        /// Indices of output values.
        2 outputs: Vector<'a, i32>,
        /// Operators in order.
        3 operators: Tables<Operator<'a>>,
        /// Name.
        4 name: &'a str,
    }
}

table! {
    /// A value.
    TensorInfo {
        /// Dimensions.
        0 shape: Vector<'a, i32>,
        /// Type of the elements.
        1 kind: i8,
        /// Index of the buffer with its constant; buffer 0 is empty.
        2 buffer: u32,
        /// Name.
        3 name: &'a str,
    }
}

table! {
    /// An operator.
    Operator {
        /// Index of its kind.
        0 opcode_index: u32,
        /// Values read; -1 for an absent one.
        1 inputs: Vector<'a, i32>,
        /// Values computed.
        2 outputs: Vector<'a, i32>,
        /// Type of the options.
        3 options_type: u8,
        /// The options, of most kinds.
        4 options: Options<'a>,
        /// The options of a convolution.
        4 conv_options: ConvOptions<'a>,
        /// The options of a depthwise convolution.
        4 depthwise_options: DepthwiseOptions<'a>,
        /// The options of a pool.
        4 pool_options: PoolOptions<'a>,
        /// The options of a mean.
        4 reducer_options: ReducerOptions<'a>,
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
        /// The fused activation.
        0 fused_activation: i8,
        /// Layout of the weights (`FULLY_CONNECTED`): 0 is row-major.
        1 weights_format: i8,
    }
}

table! {
    /// Options of `CONV_2D`.
    ConvOptions {
        /// Padding: 0 same, 1 valid.
        0 padding: i8,
        /// Steps along the columns.
        1 stride_w: i32,
        /// Steps along the rows.
        2 stride_h: i32,
        /// The fused activation.
        3 fused_activation: i8,
        /// Gaps along the columns.
        4 dilation_w: i32,
        /// Gaps along the rows.
        5 dilation_h: i32,
    }
}

table! {
    /// Options of `DEPTHWISE_CONV_2D`.
    DepthwiseOptions {
        /// Padding: 0 same, 1 valid.
        0 padding: i8,
        /// Steps along the columns.
        1 stride_w: i32,
        /// Steps along the rows.
        2 stride_h: i32,
        /// Filters per channel.
        3 depth_multiplier: i32,
        /// The fused activation.
        4 fused_activation: i8,
        /// Gaps along the columns.
        5 dilation_w: i32,
        /// Gaps along the rows.
        6 dilation_h: i32,
    }
}

table! {
    /// Options of `AVERAGE_POOL_2D` and `MAX_POOL_2D`.
    PoolOptions {
        /// Padding: 0 same, 1 valid.
        0 padding: i8,
        /// Steps along the columns.
        1 stride_w: i32,
        /// Steps along the rows.
        2 stride_h: i32,
        /// Columns of the window.
        3 filter_width: i32,
        /// Rows of the window.
        4 filter_height: i32,
        /// The fused activation.
        5 fused_activation: i8,
    }
}

table! {
    /// The bytes of a constant.
    Buffer {
        /// The bytes.
        0 data: &'a [u8],
        /// Position of the bytes behind the flatbuffer, in files above 2 GB.
        1 offset: u64,
    }
}

/// The root table of a file.
///
/// # Errors
/// The file does not begin with a table.
pub fn root(bytes: &[u8]) -> Result<Model<'_>, ErrorKind> {
    Table::from_buffer(SliceWithStartOffset { buffer: bytes, offset_from_start: 0 }, 0).map(Model)
}

/// `BuiltinOperator` by number, as far as messages name them.
#[must_use]
pub fn operator_name(code: i32) -> String {
    const NAMES: [&str; 47] = [
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "DEQUANTIZE",
        "EMBEDDING_LOOKUP",
        "FLOOR",
        "FULLY_CONNECTED",
        "HASHTABLE_LOOKUP",
        "L2_NORMALIZATION",
        "L2_POOL_2D",
        "LOCAL_RESPONSE_NORMALIZATION",
        "LOGISTIC",
        "LSH_PROJECTION",
        "LSTM",
        "MAX_POOL_2D",
        "MUL",
        "RELU",
        "RELU_N1_TO_1",
        "RELU6",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RNN",
        "SOFTMAX",
        "SPACE_TO_DEPTH",
        "SVDF",
        "TANH",
        "CONCAT_EMBEDDINGS",
        "SKIP_GRAM",
        "CALL",
        "CUSTOM",
        "EMBEDDING_LOOKUP_SPARSE",
        "PAD",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "GATHER",
        "BATCH_TO_SPACE_ND",
        "SPACE_TO_BATCH_ND",
        "TRANSPOSE",
        "MEAN",
        "SUB",
        "DIV",
        "SQUEEZE",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "STRIDED_SLICE",
        "BIDIRECTIONAL_SEQUENCE_RNN",
    ];
    let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    match (known, code) {
        (Some(name), _) => (*name).to_owned(),
        (_, 50) => "LOG_SOFTMAX".to_owned(),
        (_, 54) => "PRELU".to_owned(),
        (_, 60) => "PADV2".to_owned(),
        (_, 70) => "EXPAND_DIMS".to_owned(),
        (_, 77) => "SHAPE".to_owned(),
        (_, 83) => "PACK".to_owned(),
        (_, 98) => "LEAKY_RELU".to_owned(),
        (_, 100) => "MIRROR_PAD".to_owned(),
        (_, 114) => "QUANTIZE".to_owned(),
        (_, 117) => "HARD_SWISH".to_owned(),
        _ => format!("builtin operator {code}"),
    }
}
