//! Bytes in place as one value: a `c_char` array, a structure.

use super::array::{Pieces, read_range, write_pieces};
use super::head::Writer;
use crate::error::Result;
use crate::process::participant::Participant;
use crate::space::{Patience, Space};

/// Reads bytes in place, never torn.
///
/// # Errors
/// `Interrupted` as `patience` says; `System`.
pub fn read_bytes(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    to: &mut [u8],
) -> Result<()> {
    read_range(space, participant, patience, writer, 0, to)
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
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    offset: u64,
    from: &[u8],
    expected: Option<&[u8]>,
) -> Result<bool> {
    let pieces = Pieces::range(offset, from.len() as u64);
    write_pieces(space, participant, patience, writer, pieces, from, expected)
}
