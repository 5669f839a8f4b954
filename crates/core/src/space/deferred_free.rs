//! Blocks with contents that nobody holds any more: taken apart a piece a record.
//!
//! What names many blocks does not go in one record. So its last holder's record only puts it on
//! the *deferred free list*: from `superblock::DEFERRED_FREE` on, through the serial words of the
//! blocks' heads. Records that each detach and free a piece follow, by whoever comes:
//! `Hooks::free_step` says how.

use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result};
use crate::heap;
use crate::memory::layout::{block, kind, superblock};
use crate::memory::segment::Segment;
use crate::space::Caller;
use crate::sync::Ordering;

/// How many pieces are some.
const PIECES: u64 = 256;

/// What a block is, by its head.
pub fn kind_of(segment: &Segment, block: u64) -> u64 {
    segment
        .word(block + block::SHAPE)
        .load(Ordering::Relaxed)
        .wrapping_shr(56)
}

/// Writes the entries that put a block on the list; the caller's take it from where it was.
///
/// # Errors
/// `Stop::Busy` on the directory; `Corrupt` if it is no block.
pub fn add(operation: &mut Operation, block: u64) -> Attempt<()> {
    operation.segment.check_range(block, block::SMALL)?;
    operation.lock(superblock::DIRECTORY_LOCK)?;
    let next = operation.read(superblock::DEFERRED_FREE);
    operation.write(block + block::SERIAL, next);
    operation.write(superblock::DEFERRED_FREE, block);
    Ok(())
}

/// Writes the entries that take the first block off the list. It leads nowhere then: a list
/// that was scribbled into a circle has an end.
pub fn unlink_head(operation: &mut Operation, block: u64) {
    let next = operation.read(block + block::SERIAL);
    operation.write(superblock::DEFERRED_FREE, next);
    operation.write(block + block::SERIAL, 0);
}

/// As `unlink_head`, and frees it: it is empty.
///
/// # Errors
/// `Stop` as the heap has it.
pub fn free_head(operation: &mut Operation, block: u64) -> Attempt<()> {
    unlink_head(operation, block);
    heap::discard(operation, block)
}

/// Writes the entries that free a block, or put it on the list if it names others; true if they do the
/// latter.
///
/// # Errors
/// `Stop` as the heap and the directory have it; `Corrupt`.
pub fn discard(operation: &mut Operation, block: u64) -> Attempt<bool> {
    operation.segment.check_range(block, block::SMALL)?;
    let has_contents = kind::has_contents(kind_of(operation.segment, block));
    match has_contents {
        true => add(operation, block)?,
        false => heap::discard(operation, block)?,
    }
    Ok(has_contents)
}

/// Frees the block recorded in `owner`, or puts it on the list if it names others, and clears that
/// word, by one record; true if it is on the list.
///
/// # Errors
/// `Stop` as the heap and the directory have it; `Corrupt`.
pub fn dispose(operation: &mut Operation, owner: u64) -> Attempt<bool> {
    let block = operation.read(owner);
    if block == 0 {
        return Ok(false);
    }
    let has_contents = discard(operation, block)?;
    operation.write(owner, 0);
    operation.commit();
    Ok(has_contents)
}

/// Takes apart, a piece at a time, what nobody holds any more.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`. What makes no sense is left alone, and the space
/// marked as damaged.
///
/// # Crash
/// The next sweep goes on.
pub fn run(caller: Caller) -> Result<()> {
    while !run_some(caller)? {}
    Ok(())
}

/// As `run`, for about a millisecond; true: nothing is left.
///
/// # Errors
/// As `run`.
///
/// # Crash
/// As `run`.
pub fn run_some(caller: Caller) -> Result<bool> {
    let space = caller.space;
    let deferred = space.segment.word(superblock::DEFERRED_FREE);
    for _ in 0..PIECES {
        if deferred.load(Ordering::Relaxed) == 0 {
            return Ok(true);
        }
        let done = caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            match operation.read(superblock::DEFERRED_FREE) {
                0 => Ok(()),
                block => {
                    operation.segment.check_range(block, block::SMALL)?;
                    (space.hooks.free_step)(space, operation, block)
                }
            }
        });
        if let Err(Error::Corrupt(_)) = done {
            caller.run(|operation| {
                operation.lock(superblock::DIRECTORY_LOCK)?;
                let damaged = space.segment.word(superblock::DAMAGED);
                damaged.store(superblock::DEFERRED_FREE, Ordering::Relaxed);
                operation.write(superblock::DEFERRED_FREE, 0);
                operation.commit();
                Ok(())
            })?;
        } else {
            done?;
        }
    }
    Ok(false)
}
