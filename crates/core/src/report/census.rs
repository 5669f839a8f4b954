//! What a space holds, in numbers, without a look at every block.

use crate::change::operation::{self, Operation};
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{self, CLASSES, SLOTS, WORD, block, kind, record, slot, superblock};
use crate::memory::segment::Segment;
use crate::object::rows;
use crate::process::participant::{FREE, State};
use crate::space::{Space, WaitPolicy, deferred_free, pin};
use crate::sync::Ordering;

/// What a space holds, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Bytes of the file that may be used, and of these in blocks that hold something.
    pub size: u64,
    pub used: u64,
    /// Blocks linked by an object or a table.
    pub live_blocks: u64,
    /// Blocks at hand in magazines, pending, or retired.
    pub idle_blocks: u64,
    pub objects: u64,
    /// Objects that are found by a name.
    pub names: u64,
    pub tickets: u64,
    /// Slots that are not FREE.
    pub participants: u64,
    /// Bytes of `size` in blocks and units that hold nothing, given back or not.
    pub free: u64,
    /// Bytes of memory, or of disk, that the whole file takes.
    pub taken: u64,
}

/// Counts what a space holds. What the dead still hold is given back first. It costs as much as the
/// heap has chunks and large blocks, and the participants have tables.
///
/// What threads have at hand changes meanwhile: beside others at work a few blocks may be counted
/// as live that are not, or the other way round.
///
/// # Errors
/// `Corrupt` if the superblock is not as it was, or what is counted makes no sense; `Interrupted`.
pub fn count(space: &Space, wait: WaitPolicy) -> Result<Census> {
    space.sweep(wait)?;
    look(space, wait)
}

/// As `count`, and gives nothing back: what the dead hold counts as held.
///
/// # Errors
/// As `count`.
pub fn look(space: &Space, wait: WaitPolicy) -> Result<Census> {
    see_superblock(&space.segment)?;
    space.caller(wait)?.run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        operation.lock(superblock::RETIRED_LOCK)?;
        tally(space, operation)
    })
}

/// # Errors
/// `Corrupt` if the space was marked as damaged, or the superblock changed.
pub(crate) fn see_superblock(segment: &Segment) -> Result<()> {
    let damaged = segment.word(superblock::DAMAGED).load(Ordering::Relaxed);
    if damaged != 0 {
        return Err(corrupt(format!(
            "{}: a record at {damaged:#x} could not be replayed; copy out what you need and \
             make a new space",
            segment.path().display()
        )));
    }
    if segment.word(superblock::CRC).load(Ordering::Relaxed) != u64::from(segment.superblock_crc())
    {
        return Err(corrupt(format!(
            "{}: the superblock changed",
            segment.path().display()
        )));
    }
    Ok(())
}

/// The locks of the directory and of the retired list are held.
fn tally(space: &Space, operation: &mut Operation) -> Attempt<Census> {
    let segment = &space.segment;
    let (blocks, bytes) = heap::tally(operation)?;
    let read = |offset| segment.word(offset).load(Ordering::Relaxed);
    let parts = |block: u64| -> Result<u64> {
        segment.check_range(block, block::SMALL)?;
        if !kind::has_contents(deferred_free::kind_of(segment, block)) {
            return Ok(1);
        }
        // What changes meanwhile is counted as far as it was found.
        let found = (space.hooks.blocks)(segment, block);
        Ok(found.map_or(1, |found| found.blocks.len() as u64))
    };
    let mut idle = pin::list(operation)?.len() as u64;
    let (mut deferred, mut steps) = (read(superblock::DEFERRED_FREE), 0);
    while deferred != 0 && steps < segment.size() / layout::LINE {
        idle += parts(deferred)?;
        deferred = read(deferred + block::SERIAL);
        steps += 1;
    }
    let (mut at_hand, mut participants) = (0, 0);
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
        participants += 1;
        for index in 0..slot::RECORD_COUNT {
            let record = layout::thread_record(slot, index);
            for (class, size) in CLASSES.iter().enumerate() {
                let magazine = read(operation::magazine(record, class));
                let count = magazine.min(record::MAGAZINE_ROOM);
                idle += count;
                at_hand += count * size;
            }
        }
        let pending = layout::slot_record(slot) + slot::MORE_PENDING;
        for (_, at) in rows::each(segment, pending, WORD)? {
            let block = read(at);
            if block != 0 {
                idle += parts(block)?;
            }
        }
    }
    let (size, used) = (
        segment.size() - segment.data(),
        bytes.saturating_sub(at_hand),
    );
    Ok(Census {
        size,
        used,
        live_blocks: blocks.saturating_sub(idle),
        idle_blocks: idle,
        objects: read(superblock::LIVE_OBJECTS),
        names: read(superblock::LIVE_NAMES),
        tickets: read(superblock::OPEN_TICKETS),
        participants,
        free: size.saturating_sub(used),
        taken: space.memory()?.taken,
    })
}
