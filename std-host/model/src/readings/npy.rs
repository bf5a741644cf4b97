//! NumPy's `.npy`, versions 1 to 3: floats, integers or booleans, little-endian, C order.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is
//! a Python dictionary with three keys; reading just these keeps a parser generator out of every
//! build of this program.

use super::error::Fault;
use super::raw::{Raw, Real, convert, shape};

pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// An array, its elements not looked at.
struct Array<'b> {
    /// Values per row.
    row: usize,
    /// The type of an element, as NumPy names it.
    element: &'b str,
    /// Of all values.
    count: usize,
    data: &'b [u8],
}

impl Array<'_> {
    fn expect(&self, element_bytes: usize) -> Result<(), Fault> {
        let expected = self
            .count
            .checked_mul(element_bytes)
            .ok_or(Fault::Header("the array has too many values; save fewer rows"))?;
        if self.data.len() == expected {
            Ok(())
        } else {
            Err(Fault::Length { expected, found: self.data.len() })
        }
    }
}

fn array(bytes: &[u8], width: Option<usize>) -> Result<Array<'_>, Fault> {
    let (header, data) = split(bytes)
        .ok_or(Fault::Header("the .npy header is cut or damaged; write the file again"))?;
    if value(header, "fortran_order").is_none_or(|value| !value.starts_with("False")) {
        let reason = "the array is in Fortran order; save numpy.ascontiguousarray(array)";
        return Err(Fault::Header(reason));
    }
    let dims = dims(header)
        .ok_or(Fault::Header("the .npy header states no usable shape; write the file again"))?;
    let (row, count) = match (dims.as_slice(), width) {
        // A vector is one reading, unless readings have one value.
        (&[length], None) => (length, length),
        (&[length], Some(width)) => {
            (if length == width || width == 0 { length } else { 1 }, length)
        }
        _ => shape(&dims).ok_or(Fault::Header(
            "the array has no dimension or too many values; save rows of values",
        ))?,
    };
    let descr = value(header, "descr")
        .and_then(|value| value.strip_prefix(['\'', '"']))
        .unwrap_or_default();
    let element = descr.split(['\'', '"']).next().unwrap_or_default();
    Ok(Array { row, element, count, data })
}

pub(super) fn read<T: Real>(bytes: &[u8], width: Option<usize>) -> Result<Raw<T>, Fault> {
    let array = array(bytes, width)?;
    let (element, values): (usize, Convert<T>) = match array.element {
        "<f4" => (4, |data| convert(data, |bytes| f64::from(f32::from_le_bytes(bytes)))),
        "<f8" => (8, |data| convert(data, f64::from_le_bytes)),
        "|u1" | "|b1" => (1, |data| convert(data, |bytes| f64::from(u8::from_le_bytes(bytes)))),
        "|i1" => (1, |data| convert(data, |bytes| f64::from(i8::from_le_bytes(bytes)))),
        "<u2" => (2, |data| convert(data, |bytes| f64::from(u16::from_le_bytes(bytes)))),
        "<i2" => (2, |data| convert(data, |bytes| f64::from(i16::from_le_bytes(bytes)))),
        "<u4" => (4, |data| convert(data, |bytes| f64::from(u32::from_le_bytes(bytes)))),
        "<i4" => (4, |data| convert(data, |bytes| f64::from(i32::from_le_bytes(bytes)))),
        // Beyond 53 bits the nearest double: far outside of what is represented later.
        #[allow(clippy::cast_precision_loss)]
        "<u8" => (8, |data| convert(data, |bytes| u64::from_le_bytes(bytes) as f64)),
        #[allow(clippy::cast_precision_loss)]
        "<i8" => (8, |data| convert(data, |bytes| i64::from_le_bytes(bytes) as f64)),
        _ => {
            return Err(Fault::Header(
                "the array is not of floats, integers or booleans (little-endian); save \
                 array.astype('<f4')",
            ));
        }
    };
    array.expect(element)?;
    // A number beyond the precision asked for becomes infinite and is refused with its row and
    // column.
    Ok(Raw { width: array.row, values: values(array.data), divide: 1.0 })
}

/// The bytes of whole numbers as text.
type Texts = fn(&[u8]) -> Vec<String>;

/// A column of whole numbers as text, all digits of them; `None` if the array is not of whole
/// numbers.
pub(super) fn integers(
    bytes: &[u8],
    width: Option<usize>,
    column: usize,
) -> Result<Option<Vec<String>>, Fault> {
    let array = array(bytes, width)?;
    let (element, text): (usize, Texts) = match array.element {
        "|u1" | "|b1" => (1, |data| texts(data, u8::from_le_bytes)),
        "|i1" => (1, |data| texts(data, i8::from_le_bytes)),
        "<u2" => (2, |data| texts(data, u16::from_le_bytes)),
        "<i2" => (2, |data| texts(data, i16::from_le_bytes)),
        "<u4" => (4, |data| texts(data, u32::from_le_bytes)),
        "<i4" => (4, |data| texts(data, i32::from_le_bytes)),
        "<u8" => (8, |data| texts(data, u64::from_le_bytes)),
        "<i8" => (8, |data| texts(data, i64::from_le_bytes)),
        _ => return Ok(None),
    };
    array.expect(element)?;
    let rows = array.data.chunks_exact((element * array.row).max(1));
    let cells = rows.filter_map(|row| row.get(column * element..(column + 1) * element));
    Ok(Some(cells.flat_map(text).collect()))
}

fn texts<const N: usize, I: ToString>(data: &[u8], number: fn([u8; N]) -> I) -> Vec<String> {
    data.as_chunks().0.iter().map(|bytes| number(*bytes).to_string()).collect()
}

/// The bytes of an array as numbers.
type Convert<T> = fn(&[u8]) -> Vec<T>;

/// A version 1 file of float32 rows.
pub(super) fn bytes(width: usize, values: &[f32]) -> Vec<u8> {
    let rows = values.len() / width.max(1);
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take 10 bytes; the whole is padded to 64 and ends with a newline.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Header text and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&[major, _minor], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
        }
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((core::str::from_utf8(header).ok()?, data))
}

/// What follows `'key':`.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = header
        .split_once(&format!("'{key}'"))
        .or_else(|| header.split_once(&format!("\"{key}\"")))?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

fn dims(header: &str) -> Option<Vec<usize>> {
    let (inside, _) = value(header, "shape")?.strip_prefix('(')?.split_once(')')?;
    inside
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty())
        .map(|dim| dim.parse().ok())
        .collect()
}
