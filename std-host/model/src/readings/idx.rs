//! The `idx` format of the MNIST files, plain or compressed with gzip.
//!
//! Two zero bytes, a type, the number of dimensions, the dimensions as big-endian u32, the values
//! (big-endian).

use std::io::Read as _;

use super::error::Fault;
use super::raw::{Raw, Real, convert, shape};

const U8: u8 = 0x08;
const F32: u8 = 0x0D;
const F64: u8 = 0x0E;

pub(super) fn read<T: Real>(bytes: &[u8]) -> Result<Raw<T>, Fault> {
    let damaged = || Fault::Header("the idx header is cut or damaged; fetch the file again");
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1F, 0x8B]) {
        unpacked = unpack(bytes)
            .ok_or(Fault::Header("the gzip data is cut or damaged; fetch the file again"))?;
        unpacked.as_slice()
    } else {
        bytes
    };
    let (&[zero, zero2, kind, rank], mut rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
    if (zero, zero2) != (0, 0) || rank == 0 {
        return Err(damaged());
    }
    let mut dims = Vec::new();
    for _ in 0..rank {
        let (dim, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        dims.push(usize::try_from(u32::from_be_bytes(*dim)).map_err(|_| damaged())?);
        rest = after;
    }
    let element = match kind {
        U8 => 1,
        F32 => 4,
        F64 => 8,
        _ => {
            return Err(Fault::Header(
                "the values are not bytes, float32 or float64; convert the file to .npy",
            ));
        }
    };
    let (width, count) = shape(&dims).ok_or_else(damaged)?;
    let expected = count.checked_mul(element).ok_or_else(damaged)?;
    if rest.len() != expected {
        return Err(Fault::Length { expected, found: rest.len() });
    }
    // A float64 beyond single precision becomes infinite and is refused with its row and column.
    let values = match kind {
        U8 => convert(rest, |[byte]| f64::from(byte)),
        F32 => convert(rest, |word| f64::from(f32::from_be_bytes(word))),
        _ => convert(rest, f64::from_be_bytes),
    };
    Ok(Raw { width, values, divide: if kind == U8 { 255.0 } else { 1.0 } })
}

/// Unpacks gzip, at most a gigabyte.
fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes).take(1 << 30).read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}
