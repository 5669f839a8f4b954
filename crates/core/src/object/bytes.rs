//! Bytes in place as one value: a `c_char` array, a structure.

use super::array::{Pieces, read_range, write_pieces};
use super::head::Writer;
use crate::error::Result;
use crate::space::Caller;

/// Reads bytes in place, never torn.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
pub fn read_bytes(caller: Caller, writer: Writer, to: &mut [u8]) -> Result<()> {
    read_range(caller, writer, 0, to)
}

/// Writes bytes in place, `from` the start of the payload plus `offset`: all of them or none,
/// whatever happens. With `expected`, only if the whole payload reads so: false says it did not.
///
/// # Errors
/// As `write_pieces`.
///
/// # Crash
/// As `write_pieces`.
pub fn write_bytes(
    caller: Caller,
    writer: Writer,
    offset: u64,
    from: &[u8],
    expected: Option<&[u8]>,
) -> Result<bool> {
    let pieces = Pieces::range(offset, from.len() as u64);
    write_pieces(caller, writer, pieces, from, expected)
}
