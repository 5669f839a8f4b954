//! Bytes in place by ranges and pieces: elements and slices of an array.

use super::head::{EVENT, KIND, SEQUENCE, SHAPE, Writer, guard, payload};
use super::sequence::{Read, under_sequence};
use crate::change::transfer::Transfer;
use crate::error::Result;
use crate::memory::layout::WORD;
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::room;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// Whole words that one record's entries change in place; all else goes by a copy.
const ENTRIES: u64 = 32;

/// How many bytes of a text are read before its end is known: whole elements.
const AT_FIRST: usize = 256;

/// Which bytes of an object: `count` pieces of `length`, the first at `offset`, then `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    pub offset: u64,
    pub length: u64,
    pub count: u64,
    pub stride: u64,
}

impl Pieces {
    /// Bytes without a gap.
    pub fn range(offset: u64, length: u64) -> Pieces {
        Pieces {
            offset,
            length,
            count: 1,
            stride: length,
        }
    }

    /// The same bytes as few pieces.
    fn joined(self) -> Pieces {
        if self.stride == self.length {
            Pieces::range(self.offset, self.length * self.count)
        } else {
            self
        }
    }
}

/// Reads bytes in place, `to` from `offset` of the payload on, never torn.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
pub fn read_range(caller: Caller, writer: Writer, offset: u64, to: &mut [u8]) -> Result<()> {
    let from = payload(writer.object) + offset;
    under_sequence(caller, writer, || {
        caller.space.segment.copy_out(from, to);
        Ok(Read::Copied(()))
    })
}

/// Reads pieces in place, one after another into `to`, never torn: no byte beside them is read.
///
/// # Errors
/// As `read_range`.
pub fn read_pieces(caller: Caller, writer: Writer, pieces: Pieces, to: &mut [u8]) -> Result<()> {
    let pieces = pieces.joined();
    let from = payload(writer.object) + pieces.offset;
    under_sequence(caller, writer, || {
        let parts = to.chunks_exact_mut(pieces.length.max(1) as usize);
        for (part, index) in parts.zip(0..pieces.count) {
            caller
                .space
                .segment
                .copy_out(from + index * pieces.stride, part);
        }
        Ok(Read::Copied(()))
    })
}

/// Reads elements of `width` bytes up to the first that is zero, or all `length` bytes, never torn.
/// Little more than that is read.
///
/// # Errors
/// As `read_range`; `NoMemory`.
pub fn read_to_zero(
    caller: Caller,
    writer: Writer,
    (width, length): (usize, usize),
) -> Result<Vec<u8>> {
    let from = payload(writer.object);
    under_sequence(caller, writer, || {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let known = bytes.len();
            let end = (2 * known).max(AT_FIRST).min(length);
            room::lengthen(&mut bytes, end - known)?;
            caller
                .space
                .segment
                .copy_out(from + known as u64, &mut bytes[known..]);
            let mut elements = bytes[known..].chunks_exact(width);
            if let Some(index) = elements.position(|element| element.iter().all(|&byte| byte == 0))
            {
                bytes.truncate(known + index * width);
                break;
            }
        }
        Ok(Read::Copied(bytes))
    })
}

/// Says to readers of a range that an element changed, right after the store that did it. The
/// caller holds the object's lock: a sequence is changed by one at a time.
///
/// # Crash
/// A death before it leaves readers that saw the element and no change: one change, seen whole.
#[inline(always)]
pub fn touch(segment: &Segment, object: Object) {
    let sequence = segment.word(object + SEQUENCE);
    let even = sequence.load(Ordering::Relaxed);
    // pairs with the readers' Acquire load of the sequence, and their fence after the copy
    sequence.store(even.wrapping_add(2), Ordering::Release);
}

/// Writes pieces in place, `from` holding them without gaps: all of them or none, whatever
/// happens, and no byte beside them, so that what others do to their neighbours without the lock
/// stays done. With `expected`, only if the whole payload reads so: false says it did not.
///
/// # Errors
/// `Interrupted`, `Full` (more than some words need room for their copy), `System`.
///
/// # Crash
/// One record: its entries, or a copy from a block that stays ours meanwhile.
pub fn write_pieces(
    caller: Caller,
    writer: Writer,
    pieces: Pieces,
    from: &[u8],
    expected: Option<&[u8]>,
) -> Result<bool> {
    let segment = &caller.space.segment;
    let start = payload(writer.object);
    let Pieces {
        offset,
        length,
        count,
        stride,
    } = pieces.joined();
    // What follows the payload's end within its last word is nobody's.
    let end = segment.word(writer.object + SHAPE).load(Ordering::Relaxed) >> 8;
    let whole = offset.is_multiple_of(WORD)
        && (length.is_multiple_of(WORD) || offset.saturating_add(length) == end);
    let by_entries = count == 1 && whole && length <= ENTRIES * WORD;
    let redo = if by_entries {
        None
    } else {
        // The same place in its word as there, so that whole words are copied.
        let lead = if count == 1 { offset % WORD } else { 0 };
        let room = (lead + from.len() as u64).max(WORD);
        let block = PendingBlock::allocate(caller, room, KIND)?;
        segment.copy_in(block.payload() + lead, from);
        Some((block, lead))
    };
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    caller.run(|operation| {
        guard(operation, exclusive)?;
        if expected.is_some_and(|expected| !segment.reads(start, expected)) {
            return Ok(false);
        }
        match &redo {
            Some((block, lead)) if !from.is_empty() => operation.copy(Transfer {
                from: block.payload() + lead,
                to: start + offset,
                length,
                count,
                stride,
            }),
            _ => {
                for (chunk, index) in from.chunks(WORD as usize).zip(0..) {
                    let mut word = [0; WORD as usize];
                    word[..chunk.len()].copy_from_slice(chunk);
                    let at = start + offset + index * WORD;
                    operation.write(at, u64::from_ne_bytes(word));
                }
            }
        }
        operation.sequence(writer.object + SEQUENCE);
        operation.queue_wake(writer.object + EVENT);
        operation.commit();
        Ok(true)
    })
}
