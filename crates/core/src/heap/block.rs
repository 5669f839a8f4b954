//! Blocks: runs of units by bitmaps, small ones in chunks, a few at hand in magazines.
//!
//! Of each unit below the frontier the first bitmap says whether a run starts there, the second
//! whether that run is free. So a run is split or joined by changing one or two bits. A chunk is
//! a run cut into blocks of one class, with a bitmap of its own; chunks with free blocks are
//! linked in a list per class.
//!
//! | a block is in   | where that is written                    | changed under                |
//! | --------------- | ---------------------------------------- | ---------------------------- |
//! | its bitmap      | the chunk's bitmap, or the run's free bit | the heap lock                |
//! | a magazine      | the thread's record                      | its thread's record alone    |
//! | pending         | the participant's table of pending blocks | that participant's records   |
//! | live            | one word that links it                   | that word's lock             |
//! | retired         | the list of retired blocks               | the retired lock             |
//!
//! A small block never starts on a unit's first byte, a large one always does.

use super::chunk::{chunk_of, release};
use super::unit::{Units, is_large, is_scarce, unit_at, unit_offset};
use crate::change::operation::{Operation, class_for};
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::{self, CLASSES, UNIT, WORD, block, superblock};
use crate::memory::segment::Segment;
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;

/// Where the payload of a block starts.
#[inline(always)]
pub fn payload(segment: &Segment, block: u64) -> u64 {
    let head = if is_large(segment, block) {
        block::LARGE
    } else {
        block::SMALL
    };
    block.wrapping_add(head)
}

/// How many bytes a used block takes.
///
/// # Errors
/// `Stop::Busy` on the heap lock; `Corrupt` if no block can start there, or it is a free one of whole units.
pub fn size(operation: &mut Operation, block: u64) -> Attempt<u64> {
    operation.lock(superblock::HEAP_LOCK)?;
    operation.segment.check_range(block, block::SMALL)?;
    if !is_large(operation.segment, block) {
        return Ok(CLASSES[chunk_of(operation, block)?.1.class]);
    }
    let unit = unit_at(operation.segment, block);
    let units = Units::new(operation)?;
    if unit >= units.frontier || !units.is_start(unit) || units.is_free(unit) {
        return Err(corrupt(format!("no used block starts at {block:#x}")).into());
    }
    Ok(units.end(unit).saturating_sub(unit) * UNIT)
}

/// The block whose payload starts at `payload`, checked as data of a peer.
///
/// # Errors
/// `Corrupt` if no block can start there.
pub fn block_of(segment: &Segment, payload: u64) -> Result<u64> {
    segment.check_range(payload, WORD)?;
    let large = payload.wrapping_sub(block::LARGE);
    let block = if large >= segment.data() && is_large(segment, large) {
        large
    } else {
        payload - block::SMALL
    };
    segment.check_range(block, block::SMALL)?;
    Ok(block)
}

/// Takes a block that holds `payload` bytes and records it in `owner`, a word of the caller's
/// tables, by one record.
///
/// # Errors
/// `Stop` as the magazines and the heap lock have it; `Full` if no space can hold it.
///
/// # Crash
/// Before the commit it is free, after it the drainer of `owner`'s slot frees it.
pub fn allocate(operation: &mut Operation, payload: u64, owner: u64) -> Attempt<u64> {
    let block = match class_for(payload) {
        Some(class) => {
            let block = operation.take(class)?;
            operation.segment.check_range(block, CLASSES[class])?;
            block
        }
        None => {
            let bytes = payload
                .checked_add(block::LARGE)
                .filter(|&bytes| bytes < 1 << 60);
            let bytes = bytes.ok_or_else(|| Error::Full(format!("{payload} bytes fit nowhere")))?;
            run(operation, bytes.div_ceil(UNIT)).map_err(|stop| stop.of_bytes(payload))?
        }
    };
    is_plain(operation.segment, block);
    operation.write(owner, block);
    operation.commit();
    crate::memory::crash_point!("heap.allocated");
    Ok(block)
}

/// As `allocate`, a block of whole units, aligned to one, whatever its size.
///
/// # Errors
/// As `allocate`.
pub fn allocate_units(operation: &mut Operation, units: u64, owner: u64) -> Attempt<u64> {
    let block = run(operation, units)?;
    is_plain(operation.segment, block);
    operation.write(owner, block);
    operation.commit();
    Ok(block)
}

/// Says that a free block has no contents, before it is anybody's: who recovers its owner reads
/// its head. Nobody else reads or writes it meanwhile.
pub(super) fn is_plain(segment: &Segment, block: u64) {
    let shape = segment.word(block + block::SHAPE);
    shape.store(layout::kind::PLAIN << 56, Ordering::Relaxed);
}

/// Writes the entries that take a run of units.
pub(super) fn run(operation: &mut Operation, units: u64) -> Attempt<u64> {
    if !seeded(Bug::BitmapWithoutLock) {
        operation.lock(superblock::HEAP_LOCK)?;
    }
    let unit = Units::new(operation)?.take(units)?;
    Ok(unit_offset(operation.segment, unit))
}

/// Writes the entries that mark as given back up to `most` unused units below `end`: the first of
/// them, and how many there are up to the last, with those between. None: there are none. The heap
/// lock and the grow lock are held.
///
/// # Errors
/// `Corrupt`.
pub fn mark(operation: &mut Operation, end: u64, most: u64) -> Result<Option<(u64, u64)>> {
    Ok(Units::new(operation)?.mark(end, most))
}

/// Writes the entries that none of these units is given back any more. The locks are held, as for
/// `mark`.
///
/// # Errors
/// `Corrupt`.
pub fn unmark(operation: &mut Operation, unit: u64, units: u64) -> Result<()> {
    Units::new(operation)?.unmark(unit, units);
    Ok(())
}

/// Which of these units are given back: pieces of them, as offsets. The grow lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn given(operation: &mut Operation, unit: u64, units: u64) -> Result<Vec<(u64, u64)>> {
    let segment = operation.segment;
    let end = unit.saturating_add(units).min(segment.units());
    let bitmaps = Units::new(operation)?;
    let (mut at, mut pieces) = (unit, Vec::new());
    while let Some(first) = bitmaps.next_given(at, end) {
        at = bitmaps.end_of_given(first, end);
        pieces.push((unit_offset(segment, first), unit_offset(segment, at)));
    }
    Ok(pieces)
}

/// Frees the block recorded in `owner`, and clears that word, by one record.
///
/// # Errors
/// `Stop`, as for `allocate`; `Corrupt` if the word names no used block.
pub fn free(operation: &mut Operation, owner: u64) -> Attempt<()> {
    let block = operation.read(owner);
    if block == 0 {
        return Ok(());
    }
    discard(operation, block)?;
    operation.write(owner, 0);
    operation.commit();
    Ok(())
}

/// Writes the entries that free a used block: into the magazine, or the heap if it is large, if memory
/// is scarce, or if we are the guest in the reserved slot, which is freed without being drained.
///
/// # Errors
/// `Stop`, as for `allocate`; `Corrupt` if it is no used block.
pub fn discard(operation: &mut Operation, block: u64) -> Attempt<()> {
    operation.segment.check_range(block, block::SMALL)?;
    let goes_back = is_large(operation.segment, block)
        || is_scarce(operation.segment) && operation.is_short()
        || operation.me().slot == layout::RESERVED_SLOT;
    if goes_back {
        operation.lock(superblock::HEAP_LOCK)?;
        return Ok(release(operation, block)?);
    }
    // Not under the heap lock: the bits that bound a chunk stay while a block in it is used.
    let (_, shape, _) = chunk_of(operation, block)?;
    operation.give(shape.class, block)
}

/// Writes a new block's head: how many bytes it holds, what they are, and its serial.
pub fn head(segment: &Segment, block: u64, length: u64, kind: u64) -> u64 {
    let serial = segment
        .word(superblock::NEXT_SERIAL)
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_add(1);
    segment
        .word(block + block::SHAPE)
        .store(length | kind << 56, Ordering::Relaxed);
    segment
        .word(block + block::SERIAL)
        .store(serial, Ordering::Relaxed);
    serial
}
