//! Growing tables of fixed rows: segments that double, so that a row never moves.
//!
//! A table's head is `SEGMENTS` words, each the payload of a block with the rows of one segment,
//! or 0. A segment is linked once, under the directory's lock, and stays. The first segments of a
//! participant's members and holdings are in its slot, that of the buckets of names in the
//! superblock; their words stay 0.

use crate::change::operation::Purpose;
use crate::error::Result;
use crate::memory::layout::{self, FIRST_ROWS, PAGE, UNIT, WORD, slot, superblock};
use crate::memory::segment::Segment;
use crate::room;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

pub const SEGMENTS: u64 = 24;

/// The kind byte of blocks that hold rows.
pub const KIND: u64 = layout::kind::ROWS;

/// A place in a table: where the row is, or which segment is missing.
pub enum Place {
    At(u64),
    Missing(u64),
}

fn rows_in(part: u64) -> u64 {
    FIRST_ROWS << part
}

/// Rows below this one are in earlier segments.
pub fn first_row(part: u64) -> u64 {
    FIRST_ROWS * ((1 << part) - 1)
}

/// Where the rows of a first segment are that is no block.
fn built_in(head: u64) -> Option<u64> {
    if head == superblock::BUCKETS {
        return Some(superblock::FIRST_BUCKETS);
    }
    let in_slot = head.checked_sub(layout::SLOT_RECORDS)? % slot::STRIDE;
    let base = head - in_slot;
    match in_slot {
        slot::MEMBERS => Some(base + slot::FIRST_MEMBERS),
        slot::HOLDINGS => Some(base + slot::FIRST_HOLDINGS),
        slot::MORE_PENDING => Some(base + slot::PENDING),
        _ => None,
    }
}

/// Finds a row of a table whose rows have `size` bytes.
///
/// # Errors
/// `Corrupt` if the table's words lead outside the data area.
pub fn place(segment: &Segment, head: u64, row: u64, size: u64) -> Result<Place> {
    let part = u64::from((row / FIRST_ROWS + 1).ilog2());
    if part >= SEGMENTS {
        return Err(crate::error::corrupt(format!(
            "row {row} is beyond any table"
        )));
    }
    if part == 0
        && let Some(base) = built_in(head)
    {
        return Ok(Place::At(base + row * size));
    }
    let base = segment.word(head + part * WORD).load(Ordering::Acquire); // pairs with apply
    if base == 0 {
        return Ok(Place::Missing(part));
    }
    let at = base.wrapping_add((row - first_row(part)) * size);
    segment.check_range(at, size)?;
    Ok(Place::At(at))
}

/// Adds a segment to a table, unless it is there by now.
///
/// # Errors
/// `Full` when there is no room; `Corrupt`.
///
/// # Crash
/// The block is pending until the record that links it.
pub fn extend(caller: Caller, head: u64, part: u64, size: u64) -> Result<()> {
    let space = caller.space;
    if head < layout::SLOT_RECORDS {
        // The space's rows are dealt one after another. A number that was scribbled on must not
        // make a table larger than the file.
        for earlier in u64::from(built_in(head).is_some())..part {
            let base = space.segment.word(head + earlier * WORD);
            let length = rows_in(earlier) * size;
            space
                .segment
                .check_range(base.load(Ordering::Relaxed), length)?;
        }
    }
    let length = rows_in(part) * size;
    // Who holds something, and who comes by a ticket, may be about to make room.
    let purpose = match head {
        superblock::TICKETS | layout::SLOT_RECORDS.. => Purpose::Release,
        _ => Purpose::Store,
    };
    // It stays: a chunk of sixteen units would be set aside for the one block.
    let block = if length < PAGE {
        PendingBlock::allocate_for(purpose, caller, length, KIND)?
    } else {
        let units = (length + layout::block::LARGE).div_ceil(UNIT);
        PendingBlock::allocate_units(purpose, caller, units, KIND)?
    };
    let payload = block.payload();
    space.segment.zero(payload, length);
    caller.run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        if operation.read(head + part * WORD) == 0 {
            operation.write(head + part * WORD, payload);
            block.transfer(operation, 0);
            operation.commit();
        }
        Ok(())
    })
}

/// Every row of a table in turn: its number and its place.
///
/// # Errors
/// `Corrupt` as `place`.
pub fn each(segment: &Segment, head: u64, size: u64) -> Result<Vec<(u64, u64)>> {
    let mut rows = Vec::new();
    for part in 0..SEGMENTS {
        let is_linked = segment.word(head + part * WORD).load(Ordering::Acquire) != 0;
        if !is_linked && (part > 0 || built_in(head).is_none()) {
            continue;
        }
        for row in first_row(part)..first_row(part) + rows_in(part) {
            if let Place::At(at) = place(segment, head, row, size)? {
                room::push(&mut rows, (row, at))?;
            }
        }
    }
    Ok(rows)
}
