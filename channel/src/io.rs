//! Whole reads and writes. (The traits' own trust what a transport says that it has done, and panic
//! if that is more than there was to do, or nothing.)

use embedded_io_async::{Error as _, ErrorKind, Read, Write};

use crate::error::Error;

/// Reads at most as much as there is room for.
pub(crate) async fn read(io: &mut impl Read, room: &mut [u8]) -> Result<usize, Error> {
    let limit = room.len();
    let read = io.read(room).await.map_err(|error| Error::Transport(error.kind()))?;
    Ok(read.min(limit))
}

/// Reads an array; the connection must not end before.
pub(crate) async fn read_array<const N: usize>(io: &mut impl Read) -> Result<[u8; N], Error> {
    let mut array = [0; N];
    let mut room = array.as_mut_slice();
    while !room.is_empty() {
        match read(io, room).await? {
            0 => return Err(Error::Closed),
            read => room = room.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(array)
}

/// Writes some of `bytes`, which is not empty.
pub(crate) async fn write(io: &mut impl Write, bytes: &[u8]) -> Result<usize, Error> {
    match io.write(bytes).await.map_err(|error| Error::Transport(error.kind()))? {
        0 => Err(Error::Transport(ErrorKind::WriteZero)),
        written => Ok(written.min(bytes.len())),
    }
}

/// Writes all of `bytes`.
pub(crate) async fn write_all(io: &mut impl Write, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        let written = write(io, bytes).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Writes two parts, `N` bytes together, as one, and flushes.
pub(crate) async fn send<const N: usize>(
    io: &mut impl Write,
    [first, second]: [&[u8]; 2],
) -> Result<(), Error> {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(first.iter().chain(second)).for_each(|(to, &from)| *to = from);
    write_all(io, &bytes).await?;
    flush(io).await
}

pub(crate) async fn flush(io: &mut impl Write) -> Result<(), Error> {
    io.flush().await.map_err(|error| Error::Transport(error.kind()))
}
