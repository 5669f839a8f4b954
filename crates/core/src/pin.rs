//! Large blocks that a view reads while somebody replaces them.
//!
//! A reader pins a block, fences, and looks again whether it is still linked. A writer's record
//! unlinks the block and lists it as retired; then it fences and frees what nobody pins. So
//! either the reader sees the unlinking, or the writer sees the pin. Every unpin looks at the
//! list afterwards, a failed one too, and sweeps it if it is not empty.

use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::layout::{self, SLOTS, WORD, block, slot, superblock};
use crate::operation::Operation;
use crate::participant::{FREE, Participant, State};
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::space::{Job, Patience, Space};
use crate::sync::{Ordering, fence};

/// A pinned block: nobody frees it before this is dropped.
pub struct Pin<'a> {
    space: &'a Space,
    participant: &'a Participant,
    row: u64,
}

impl<'a> Pin<'a> {
    /// Pins a block if `is_linked` still holds after the pin is seen by all. None: it does not,
    /// or this process has no pin left (then copy under the sequence instead).
    ///
    /// # Crash
    /// The drainer of this participant's slot clears the pin and sweeps.
    pub fn new(
        space: &'a Space,
        participant: &'a Participant,
        block: u64,
        is_linked: impl Fn() -> bool,
    ) -> Option<Pin<'a>> {
        if !participant.is_ours() {
            return None;
        }
        let row = participant.take_pin()?;
        let pin = Pin {
            space,
            participant,
            row,
        };
        space
            .segment
            .word(participant.pin(row))
            .store(block, Ordering::Relaxed);
        if !planted(Bug::PinWithoutFence) {
            fence(Ordering::SeqCst); // pin, then look: pairs with `sweep`'s fence
        }
        is_linked().then_some(pin)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        if !self.participant.is_ours() {
            return; // a forked child: it is its parent's
        }
        let segment = &self.space.segment;
        segment
            .word(self.participant.pin(self.row))
            .store(0, Ordering::Release);
        self.participant.give_pin(self.row);
        fence(Ordering::SeqCst); // unpin, then look at the list: pairs with `sweep`'s fence
        if planted(Bug::UnpinWithoutLook) {
            return;
        }
        if segment.word(superblock::RETIRED).load(Ordering::Relaxed) != 0 {
            if self.space.is_behind() {
                self.space.sweep_later(self.participant);
            } else {
                let none = [0; 6];
                self.space.now_or_later(self.participant, &SWEEP, none);
            }
        }
    }
}

/// What a pin may have been the last to keep.
static SWEEP: Job = Job {
    run: |space, participant, patience, _| sweep(space, participant, patience),
    inherit: |_, _| {},
};

/// Writes the entries that list an unlinked large block as retired.
///
/// # Errors
/// `Stop::Busy` on the retired lock.
pub fn retire(operation: &mut Operation, block: u64) -> Attempt<()> {
    operation.segment.check_range(block, block::LARGE)?;
    operation.lock(superblock::RETIRED_LOCK)?;
    let head = operation.read(superblock::RETIRED);
    operation.write(block + block::RETIRED_NEXT, head);
    operation.write(superblock::RETIRED, block);
    Ok(())
}

fn is_pinned(segment: &Segment, block: u64) -> bool {
    (0..SLOTS)
        .filter(|&slot| State::read(segment, slot).state != FREE)
        .any(|slot| {
            let pins = layout::slot_record(slot) + slot::PINS;
            (0..slot::PIN_ROWS)
                .any(|row| segment.word(pins + row * WORD).load(Ordering::Relaxed) == block)
        })
}

/// Frees the retired blocks that nobody pins.
///
/// # Errors
/// `Interrupted`, `Corrupt`.
///
/// # Crash
/// A block leaves the list and becomes free by one record.
pub fn sweep(space: &Space, participant: &Participant, patience: Patience) -> Result<()> {
    let segment = &space.segment;
    while segment.word(superblock::RETIRED).load(Ordering::Relaxed) != 0 {
        let freed = space.run_as(participant, patience, |operation| {
            operation.lock(superblock::RETIRED_LOCK)?;
            fence(Ordering::SeqCst); // unlink, then scan: pairs with the pin's fence
            let mut link = superblock::RETIRED;
            let mut steps = 0;
            loop {
                let block = operation.read(link);
                if block == 0 {
                    return Ok(false);
                }
                segment.check_range(block, block::LARGE)?;
                if planted(Bug::PinsIgnored) || !is_pinned(segment, block) {
                    let next = operation.read(block + block::RETIRED_NEXT);
                    operation.write(link, next);
                    operation.lock(superblock::HEAP_LOCK)?;
                    heap::release(operation, block)?;
                    operation.commit();
                    return Ok(true);
                }
                link = block + block::RETIRED_NEXT;
                steps += 1;
                if steps > SLOTS * slot::PIN_ROWS {
                    return Err(corrupt("the list of retired blocks has no end").into());
                }
            }
        })?;
        if !freed {
            break;
        }
    }
    Ok(())
}

/// The retired blocks, for `check`. The retired lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn list(operation: &Operation) -> Result<Vec<u64>> {
    let mut blocks = Vec::new();
    let mut at = operation.read(superblock::RETIRED);
    while at != 0 {
        operation.segment.check_range(at, block::LARGE)?;
        if blocks.len() as u64 > SLOTS * slot::PIN_ROWS {
            return Err(corrupt("the list of retired blocks has no end"));
        }
        blocks.push(at);
        at = operation.read(at + block::RETIRED_NEXT);
    }
    Ok(blocks)
}
