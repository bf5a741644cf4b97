//! A writer of flatbuffers: a parent is written before its children, which lie behind it.
#![allow(missing_docs, missing_debug_implementations)]

pub enum Field {
    U8(u8),
    U32(u32),
    I32s(Vec<i32>),
    I64s(Vec<i64>),
    F32s(Vec<f32>),
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
            Field::I64s(values) => {
                align(out);
                let target = out.len();
                patch(out, place, target);
                out.extend_from_slice(&(values.len() as u32).to_le_bytes());
                values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
            Field::F32s(values) => {
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

/// Says how the whole numbers of a value of a model stand for reals.
pub fn quantised(model: &mut Table, value: usize, scale: &[f32], zero: &[i64], along: u32) {
    let told = Table(vec![
        (2, Field::F32s(scale.to_vec())),
        (3, Field::I64s(zero.to_vec())),
        (6, Field::U32(along)),
    ]);
    let field = |table: &mut Table, number: usize| match table.0.iter_mut().find(|f| f.0 == number)
    {
        Some((_, Field::Tables(tables))) => core::mem::take(tables),
        _ => panic!("no tables"),
    };
    let mut graphs = field(model, 2);
    let mut values = field(&mut graphs[0], 0);
    values[value].0.push((4, Field::Table(told)));
    graphs[0].0.iter_mut().find(|f| f.0 == 0).unwrap().1 = Field::Tables(values);
    model.0.iter_mut().find(|f| f.0 == 2).unwrap().1 = Field::Tables(graphs);
}

pub struct Constant<'a>(pub &'a str, pub &'a [i32], pub &'a [f32]);
/// Kind, inputs, output, fused activation.
pub struct Operator<'a>(pub u8, pub &'a [i32], pub i32, pub u8, pub &'a str);

pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A value: name, dimensions, type, and bytes if it is a constant.
pub struct Value<'a>(pub &'a str, pub &'a [i32], pub u8, pub Vec<u8>);
/// Kind, inputs, output, options.
pub struct Node<'a>(pub u8, pub &'a [i32], pub i32, pub Vec<(usize, Field)>);

/// A graph from value 0 to the last node's.
pub fn graph(values: Vec<Value<'_>>, nodes: Vec<Node<'_>>) -> Table {
    let output = nodes.last().map_or(0, |node| node.2);
    let codes = nodes
        .iter()
        .map(|node| Table(vec![(0, Field::U8(node.0)), (3, Field::U32(u32::from(node.0)))]))
        .collect();
    let (mut tensors, mut buffers) = (Vec::new(), vec![Table(vec![])]);
    for Value(name, shape, kind, bytes) in values {
        let buffer = if bytes.is_empty() { 0 } else { buffers.len() as u32 };
        if buffer > 0 {
            buffers.push(Table(vec![(0, Field::Bytes(bytes))]));
        }
        tensors.push(Table(vec![
            (0, Field::I32s(shape.to_vec())),
            (1, Field::U8(kind)),
            (2, Field::U32(buffer)),
            (3, Field::Bytes(name.as_bytes().to_vec())),
        ]));
    }
    let node = |(index, Node(_, inputs, output, options)): (usize, Node<'_>)| {
        Table(vec![
            (0, Field::U32(index as u32)),
            (1, Field::I32s(inputs.to_vec())),
            (2, Field::I32s(vec![output])),
            (3, Field::U8(1)),
            (4, Field::Table(Table(options))),
        ])
    };
    let graph = Table(vec![
        (0, Field::Tables(tensors)),
        (1, Field::I32s(vec![0])),
        (2, Field::I32s(vec![output])),
        (3, Field::Tables(nodes.into_iter().enumerate().map(node).collect())),
    ]);
    Table(vec![
        (0, Field::U32(3)),
        (1, Field::Tables(codes)),
        (2, Field::Tables(vec![graph])),
        (4, Field::Tables(buffers)),
    ])
}

/// Tensor 0 is the input; constants follow; then one tensor per operator's output.
pub fn model(
    width: i32,
    constants: &[Constant<'_>],
    operators: &[Operator<'_>],
    bias_kind: u8,
) -> Table {
    let input = [1, width];
    let mut values = vec![Value("x", &input, 0, Vec::new())];
    for Constant(name, shape, numbers) in constants {
        let kind = if *name == "typed" { bias_kind } else { 0 };
        values.push(Value(name, shape, kind, floats(numbers)));
    }
    values.extend(operators.iter().map(|operator| Value(operator.4, &[1, 1], 0, Vec::new())));
    let nodes = operators.iter().map(|Operator(kind, inputs, output, activation, _)| {
        Node(*kind, inputs, *output, vec![(0, Field::U8(*activation))])
    });
    graph(values, nodes.collect())
}
