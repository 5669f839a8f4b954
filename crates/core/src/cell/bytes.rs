//! Bytes in place: a `c_char` array, a structure.

use super::sequence::{Read, under_sequence};
use super::{EVENT, KIND, PAYLOAD, SEQUENCE, Writer, guard};
use crate::error::Result;
use crate::layout::WORD;
use crate::participant::Participant;
use crate::space::{Patience, Space};
use crate::unfinished::Unfinished;

/// Words that one record's entries change in place; longer bytes go by a copy.
const ENTRIES: u64 = 32;

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
    let payload = writer.cell + PAYLOAD;
    under_sequence(space, participant, patience, writer, || {
        space.segment.copy_out(payload, to);
        Ok(Read::Copied(()))
    })
}

/// Writes bytes in place, `from` the start of the payload plus `offset`: all of them or none,
/// whatever happens. With `expected`, only if the whole payload reads so: false says it did not.
///
/// # Errors
/// `Interrupted`, `Full` (a long write needs room for its copy), `System`.
///
/// # Crash
/// One record: its entries, or for a long write a copy from a block that stays ours meanwhile.
pub fn write_bytes(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    offset: u64,
    from: &[u8],
    expected: Option<&[u8]>,
) -> Result<bool> {
    let segment = &space.segment;
    let payload = writer.cell + PAYLOAD;
    // Whole words, the first and the last perhaps written in part.
    let lead = (offset % WORD) as usize;
    let start = offset - offset % WORD;
    let words = ((lead + from.len()) as u64).div_ceil(WORD);
    let mut image = vec![0; (words * WORD) as usize];
    image[lead..lead + from.len()].copy_from_slice(from);
    let redo = if words > ENTRIES {
        let length = words * WORD;
        let block = Unfinished::allocate(space, participant, patience, length, KIND)?;
        segment.copy_in(block.payload(), &image);
        Some(block)
    } else {
        None
    };
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    space.run_as(participant, patience, |operation| {
        guard(operation, exclusive)?;
        if expected.is_some_and(|expected| !segment.reads(payload, expected)) {
            return Ok(false);
        }
        let mut write_word = |index: u64| {
            let (at, here) = (payload + start + index * WORD, (index * WORD) as usize);
            let first = if index == 0 { lead } else { 0 };
            let last = (lead + from.len() - here).min(8);
            let mut word = operation.read(at).to_ne_bytes();
            word[first..last].copy_from_slice(&image[here + first..here + last]);
            operation.write(at, u64::from_ne_bytes(word));
        };
        if let Some(block) = &redo {
            let head = u64::from(lead != 0);
            let whole = (lead + from.len()) as u64 / WORD;
            (0..head).chain(whole..words).for_each(write_word);
            let (source, target) = (block.payload(), payload + start);
            operation.copy(source + head * WORD, target + head * WORD, whole - head);
        } else {
            (0..words).for_each(&mut write_word);
        }
        operation.sequence(writer.cell + SEQUENCE);
        operation.owe(writer.cell + EVENT);
        operation.commit();
        Ok(true)
    })
}
