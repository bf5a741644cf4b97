//! The plaintext twin, measured: the same network on the same integers, with the weights in the
//! clear.
//!
//! The file is a run of little-endian `u32` words: layers, fraction bits of the input, largest
//! input; per layer inputs, outputs, shift, 1 if it has a ReLU else 0; then per layer every row of
//! the weights, each followed by its bias. Weights are read row by row, since they need not fit the
//! memory; reading is not counted.

use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom};
use sharelet_core::{fixed, ring};

use crate::clock::busy_instructions;
use crate::files::FileSensor;
use crate::report::{Report, Values};

const MAX_LAYERS: usize = 16;
const MAX_WIDTH: usize = 1024;

#[derive(Clone, Copy, Default)]
struct Layer {
    inputs: usize,
    outputs: usize,
    shift: u32,
    relu: bool,
}

struct Words(File);

impl Words {
    fn fill(&mut self, words: &mut [u32]) -> Result<(), &'static str> {
        let mut bytes = [0; 256];
        for piece in words.chunks_mut(bytes.len() / 4) {
            let bytes = &mut bytes[..piece.len() * 4];
            self.0.read_exact(bytes).map_err(|_| "the twin file is shorter than it says")?;
            ring::read_le_slice(bytes, piece);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<u32, &'static str> {
        let mut word = [0];
        self.fill(&mut word)?;
        Ok(word[0])
    }
}

/// Evaluates `count` readings, each in a pass over the file.
///
/// # Errors
/// A sentence that says what is wrong with a file.
pub fn run(
    twin: File,
    readings: &mut FileSensor,
    count: u32,
    report: &mut Report,
) -> Result<(), &'static str> {
    let mut words = Words(twin);
    // What two readings of the meter cost with nothing between them.
    let before = busy_instructions();
    let empty = busy_instructions() - before;
    for index in 0..count {
        words.0.seek(SeekFrom::Start(0)).map_err(|_| "the twin file cannot be read")?;
        let mut layers = [Layer::default(); MAX_LAYERS];
        let depth = words.next()? as usize;
        let (frac_bits, limit) = (words.next()? as u8, words.next()?);
        let layers = layers.get_mut(..depth).ok_or("the twin file has too many layers")?;
        for layer in &mut *layers {
            let mut shape = [0; 4];
            words.fill(&mut shape)?;
            let [inputs, outputs, shift, relu] = shape;
            *layer = Layer {
                inputs: inputs as usize,
                outputs: outputs as usize,
                shift,
                relu: relu == 1,
            };
            if layer.inputs > MAX_WIDTH || layer.outputs > MAX_WIDTH || shift > 31 {
                return Err("the twin file has a layer that is too wide, or a shift beyond 31");
            }
        }
        let mut features = [0.0; MAX_WIDTH];
        let mut vector = [0_u32; MAX_WIDTH];
        let mut next = [0_u32; MAX_WIDTH];
        let mut row = [0_u32; MAX_WIDTH];
        let width = layers.first().map_or(0, |first| first.inputs);
        readings
            .next_row(&mut features[..width])
            .map_err(|_| "inputs=PATH has no further row of the twin's width")?;
        let mut instructions = 0;
        let mut measure = |work: &mut dyn FnMut()| {
            let before = busy_instructions();
            work();
            instructions += (busy_instructions() - before).saturating_sub(empty);
        };
        let mut encoded = Ok(());
        measure(&mut || {
            let (reals, words) = (&features[..width], &mut vector[..width]);
            encoded = fixed::encode(reals, frac_bits, limit.into(), words)
        });
        encoded.map_err(|_| "a reading is not finite or out of the model's range")?;
        for layer in &*layers {
            for output in &mut next[..layer.outputs] {
                words.fill(&mut row[..layer.inputs])?;
                let bias = words.next()?;
                measure(&mut || {
                    let sum =
                        dot(bias, &row[..layer.inputs], &vector[..layer.inputs]).cast_signed();
                    let positive = if layer.relu { sum.max(0) } else { sum };
                    *output = (positive >> layer.shift).cast_unsigned();
                });
            }
            core::mem::swap(&mut vector, &mut next);
        }
        let outputs = layers.last().map_or(0, |last| last.outputs);
        report.line(format_args!(
            "twin index={index} instructions={instructions} values={}",
            Values(&vector[..outputs])
        ));
    }
    Ok(())
}

/// [`ring::dot`] with four words in each turn of its loop, as a compiler for speed makes of it. The
/// boards' programs are linked for size.
fn dot(acc: u32, a: &[u32], b: &[u32]) -> u32 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let acc = a.iter().zip(b).fold(acc, |acc, ([a0, a1, a2, a3], [b0, b1, b2, b3])| {
        let acc = acc.wrapping_add(a0.wrapping_mul(*b0)).wrapping_add(a1.wrapping_mul(*b1));
        acc.wrapping_add(a2.wrapping_mul(*b2)).wrapping_add(a3.wrapping_mul(*b3))
    });
    ring::dot(acc, rest_a, rest_b)
}
