//! Blocks with contents that nobody holds any more: taken apart a piece a record.
//!
//! What names many blocks does not go in one record. So its last holder's record only lists it as
//! *doomed*: from `superblock::DOOMED` on, through the serial words of the blocks' heads. Records
//! that each detach and free a piece follow, by whoever comes: `Hooks::free_step` says how.

use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result};
use crate::heap;
use crate::memory::layout::{block, kind, superblock};
use crate::memory::segment::Segment;
use crate::space::Caller;
use crate::sync::Ordering;

/// What a block is, by its head.
pub fn kind_of(segment: &Segment, block: u64) -> u64 {
    segment
        .word(block + block::SHAPE)
        .load(Ordering::Relaxed)
        .wrapping_shr(56)
}

/// Writes the entries that list a block as doomed; the caller's take it from where it was.
///
/// # Errors
/// `Stop::Busy` on the directory; `Corrupt` if it is no block.
pub fn condemn(operation: &mut Operation, block: u64) -> Attempt<()> {
    operation.segment.check_range(block, block::SMALL)?;
    operation.lock(superblock::DIRECTORY_LOCK)?;
    let next = operation.read(superblock::DOOMED);
    operation.write(block + block::SERIAL, next);
    operation.write(superblock::DOOMED, block);
    Ok(())
}

/// Writes the entries that take the first doomed block off the list. It leads nowhere then: a list
/// that was scribbled into a circle has an end.
pub fn strike(operation: &mut Operation, block: u64) {
    let next = operation.read(block + block::SERIAL);
    operation.write(superblock::DOOMED, next);
    operation.write(block + block::SERIAL, 0);
}

/// As `strike`, and frees it: it is empty.
///
/// # Errors
/// `Stop` as the heap has it.
pub fn bury(operation: &mut Operation, block: u64) -> Attempt<()> {
    strike(operation, block);
    heap::discard(operation, block)
}

/// Writes the entries that free a block, or list it as doomed if it names others; true if it is doomed.
///
/// # Errors
/// `Stop` as the heap and the directory have it; `Corrupt`.
pub fn discard(operation: &mut Operation, block: u64) -> Attempt<bool> {
    operation.segment.check_range(block, block::SMALL)?;
    let has_contents = kind::has_contents(kind_of(operation.segment, block));
    match has_contents {
        true => condemn(operation, block)?,
        false => heap::discard(operation, block)?,
    }
    Ok(has_contents)
}

/// Frees the block recorded in `owner`, or dooms it if it names others, and clears that word, by one
/// record; true if it is doomed.
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
pub fn crumble(caller: Caller) -> Result<()> {
    let space = caller.space;
    let doomed = space.segment.word(superblock::DOOMED);
    while doomed.load(Ordering::Relaxed) != 0 {
        let done = caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            match operation.read(superblock::DOOMED) {
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
                damaged.store(superblock::DOOMED, Ordering::Relaxed);
                operation.write(superblock::DOOMED, 0);
                operation.commit();
                Ok(())
            })?;
        } else {
            done?;
        }
    }
    Ok(())
}
