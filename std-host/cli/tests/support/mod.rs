//! What several tests need: a seeded generator, ONNX and TFLite files made by hand, the shared
//! data.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    missing_docs
)]

use std::path::PathBuf;

/// SplitMix64; every test prints or fixes its seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Even in -1..1.
    pub fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub fn reals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.real()).collect()
    }
}

/// The first seed, which is printed; `SEED` sets it.
pub fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(42);
    println!("seed {seed}");
    seed
}

/// The folder with public networks and inputs; a line is printed where it is missing.
pub fn shared_data() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SHARELET_DATA").map_or(root, PathBuf::from);
    if folder.join("README.md").exists() {
        return Some(folder);
    }
    println!("skipped: no networks in {}; set SHARELET_DATA to their folder", folder.display());
    None
}

#[cfg(feature = "import")]
pub mod graphs;

#[cfg(feature = "import")]
pub mod onnx {
    use prost::Message as _;
    use sharelet_import::onnx_proto::*;

    pub fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: FLOAT,
            raw_data,
            ..Default::default()
        }
    }

    pub fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.into(),
            name: format!("{op_type}_{output}"),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    pub fn int(name: &str, i: i64) -> AttributeProto {
        AttributeProto { name: name.into(), i, r#type: ATTRIBUTE_INT, ..Default::default() }
    }

    pub fn float(name: &str, f: f32) -> AttributeProto {
        AttributeProto { name: name.into(), f, r#type: ATTRIBUTE_FLOAT, ..Default::default() }
    }

    pub fn value(name: &str, width: i64) -> ValueInfoProto {
        let batch = DimensionProto { dim_param: Some("batch".into()), dim_value: None };
        let dim = vec![batch, DimensionProto { dim_value: Some(width), dim_param: None }];
        let tensor_type =
            Some(TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) });
        ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
    }

    /// A model from `x` of `width` to `y`.
    pub fn model(width: i64, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
        let (input, output) = (vec![value("x", width)], vec![value("y", 0)]);
        ModelProto {
            ir_version: 8,
            graph: Some(GraphProto { node, initializer, input, output, name: "g".into() }),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            ..Default::default()
        }
    }

    pub fn bytes(width: i64, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
        model(width, node, initializer).encode_to_vec()
    }
}

/// A writer of flatbuffers for tests: a parent is written before its children, which lie behind it.
pub mod tflite {
    pub enum Field {
        U8(u8),
        U32(u32),
        I32s(Vec<i32>),
        Bytes(Vec<u8>),
        Table(Table),
        Tables(Vec<Table>),
    }

    /// Fields by number.
    pub struct Table(pub Vec<(usize, Field)>);

    pub fn file(root: &Table) -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0];
        out.extend_from_slice(b"TFL3");
        let position = write(&mut out, root);
        out[..4].copy_from_slice(&(position as u32).to_le_bytes());
        out
    }

    fn patch(out: &mut [u8], place: usize, target: usize) {
        out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
    }

    fn align(out: &mut Vec<u8>) {
        while !out.len().is_multiple_of(8) {
            out.push(0);
        }
    }

    fn write(out: &mut Vec<u8>, table: &Table) -> usize {
        let slots = table.0.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
        align(out);
        let vtable = out.len();
        let vtable_bytes = 4 + 2 * slots;
        out.extend_from_slice(&(vtable_bytes as u16).to_le_bytes());
        out.extend_from_slice(&((4 + 4 * table.0.len()) as u16).to_le_bytes());
        for slot in 0..slots {
            let field = table.0.iter().position(|(number, _)| *number == slot);
            out.extend_from_slice(&field.map_or(0, |index| (4 + 4 * index) as u16).to_le_bytes());
        }
        align(out);
        let start = out.len();
        out.extend_from_slice(&((start - vtable) as i32).to_le_bytes());
        for (_, field) in &table.0 {
            let word = match field {
                Field::U8(value) => u32::from(*value),
                Field::U32(value) => *value,
                _ => 0,
            };
            out.extend_from_slice(&word.to_le_bytes());
        }
        for (index, (_, field)) in table.0.iter().enumerate() {
            let place = start + 4 + 4 * index;
            match field {
                Field::U8(_) | Field::U32(_) => {}
                Field::Table(child) => {
                    let target = write(out, child);
                    patch(out, place, target);
                }
                Field::I32s(values) => {
                    align(out);
                    let target = out.len();
                    patch(out, place, target);
                    out.extend_from_slice(&(values.len() as u32).to_le_bytes());
                    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
                }
                Field::Bytes(values) => {
                    align(out);
                    let target = out.len();
                    patch(out, place, target);
                    out.extend_from_slice(&(values.len() as u32).to_le_bytes());
                    out.extend_from_slice(values);
                    out.push(0);
                }
                Field::Tables(children) => {
                    align(out);
                    let target = out.len();
                    patch(out, place, target);
                    out.extend_from_slice(&(children.len() as u32).to_le_bytes());
                    let first = out.len();
                    out.resize(first + 4 * children.len(), 0);
                    for (index, child) in children.iter().enumerate() {
                        let target = write(out, child);
                        patch(out, first + 4 * index, target);
                    }
                }
            }
        }
        start
    }

    pub struct Constant<'a>(pub &'a str, pub &'a [i32], pub &'a [f32]);
    /// Kind, inputs, output, fused activation.
    pub struct Operator<'a>(pub u8, pub &'a [i32], pub i32, pub u8, pub &'a str);

    pub fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Tensor 0 is the input; constants follow; then one tensor per operator's output.
    pub fn model(
        width: i32,
        constants: &[Constant<'_>],
        operators: &[Operator<'_>],
        bias_kind: u8,
    ) -> Table {
        let info = |name: &str, shape: &[i32], buffer: u32| {
            Table(vec![
                (0, Field::I32s(shape.to_vec())),
                (1, Field::U8(if name == "typed" { bias_kind } else { 0 })),
                (2, Field::U32(buffer)),
                (3, Field::Bytes(name.as_bytes().to_vec())),
            ])
        };
        let mut tensors = vec![info("x", &[1, width], 0)];
        let mut buffers = vec![Table(vec![])];
        for (index, Constant(name, shape, values)) in constants.iter().enumerate() {
            tensors.push(info(name, shape, index as u32 + 1));
            buffers.push(Table(vec![(0, Field::Bytes(floats(values)))]));
        }
        for Operator(_, _, _, _, name) in operators {
            tensors.push(info(name, &[1, 1], 0));
        }
        let codes = operators.iter().map(|operator| {
            Table(vec![(0, Field::U8(operator.0)), (3, Field::U32(u32::from(operator.0)))])
        });
        let nodes = operators.iter().enumerate().map(
            |(index, Operator(_, inputs, output, activation, _))| {
                Table(vec![
                    (0, Field::U32(index as u32)),
                    (1, Field::I32s(inputs.to_vec())),
                    (2, Field::I32s(vec![*output])),
                    (3, Field::U8(8)),
                    (4, Field::Table(Table(vec![(0, Field::U8(*activation))]))),
                ])
            },
        );
        let output = operators.last().map_or(0, |operator| operator.2);
        let graph = Table(vec![
            (0, Field::Tables(tensors)),
            (1, Field::I32s(vec![0])),
            (2, Field::I32s(vec![output])),
            (3, Field::Tables(nodes.collect())),
        ]);
        Table(vec![
            (0, Field::U32(3)),
            (1, Field::Tables(codes.collect())),
            (2, Field::Tables(vec![graph])),
            (4, Field::Tables(buffers)),
        ])
    }
}
