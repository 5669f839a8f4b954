//! Large blocks that a view reads while somebody replaces them.
//!
//! A reader pins a block, fences, and looks again whether it is still linked. A writer's record
//! unlinks the block and lists it as retired; then it fences and frees what nobody pins. So
//! either the reader sees the unlinking, or the writer sees the pin. Every unpin looks at the
//! list afterwards, a failed one too, and sweeps it if it is not empty.
//!
//! A forked child goes on with what its parent reads: its own rows name the blocks before the
//! parent's may let go of them (`fork`). Whoever scans may have passed the child's rows before that
//! and come to the parent's after. So the copy counts in `MOVES` after it stored the child's, and a
//! scan that found nothing counts only if that is where it was.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{self, SLOTS, WORD, block, slot, superblock};
use crate::memory::segment::Segment;
use crate::process::keep::Keeper;
use crate::process::participant::{FREE, Participant, State};
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::{Ordering, fence};

/// A pinned block: nobody frees it before this is dropped.
pub struct Pin<'a> {
    space: &'a Space,
    participant: &'a Participant,
    row: u64,
    block: u64,
}

/// Scans that `MOVES` changed in before a block counts as pinned after all: for who scribbles there.
const SCANS: u32 = 1000;

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
            block,
        };
        if !cfg!(loom) {
            pin.keep(Keeper::Call);
        }
        space
            .segment
            .word(participant.pin(row))
            .store(block, Ordering::Relaxed);
        if !seeded(Bug::PinWithoutFence) {
            fence(Ordering::SeqCst); // pin, then look: pairs with `sweep`'s fence
        }
        is_linked().then_some(pin)
    }

    /// In whose name the pin is: ours, or, in a forked child that inherited it, the child's.
    fn holder(&self) -> Option<&Participant> {
        if self.participant.is_ours() {
            return Some(self.participant);
        }
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let me = unsafe { self.space.registered().as_ref() }?;
        me.kept_pins.is_inherited(self.row).then_some(me)
    }

    /// Children that are forked from now on have this pin, too.
    pub fn keep(&self, keeper: Keeper) {
        if let Some(holder) = self.holder() {
            holder.kept_pins.keep(self.row, self.block, keeper);
        }
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        let Some(holder) = self.holder() else {
            return; // a forked child that did not inherit it
        };
        let segment = &self.space.segment;
        holder.kept_pins.end(self.row);
        holder.kept_pins.disinherit(self.row);
        segment
            .word(holder.pin(self.row))
            .store(0, Ordering::Release);
        holder.give_pin(self.row);
        look(self.space, holder);
    }
}

/// After a pin is gone: frees what only that kept.
pub fn look(space: &Space, participant: &Participant) {
    fence(Ordering::SeqCst); // unpin, then look at the list: pairs with `sweep`'s fence
    if seeded(Bug::UnpinWithoutLook) {
        return;
    }
    let retired = space.segment.word(superblock::RETIRED);
    if retired.load(Ordering::Relaxed) != 0 {
        if space.is_behind() {
            space.sweep_later(participant);
        } else {
            let none = [0; 6];
            space.now_or_later(participant, &SWEEP, none);
        }
    }
}

/// After pins were written beside others of the same blocks, and before these may go.
pub fn moved(segment: &Segment) {
    if !seeded(Bug::MoveUncounted) {
        let moves = segment.word(superblock::MOVES);
        moves.fetch_add(1, Ordering::SeqCst); // pairs with `is_pinned`
    }
}

/// What a pin may have been the last to keep.
static SWEEP: Job = Job {
    run: |caller, _| sweep(caller),
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
    let moves = || segment.word(superblock::MOVES).load(Ordering::Acquire);
    for _ in 0..SCANS {
        let before = moves();
        if scan(segment, block) {
            return true;
        }
        if moves() == before {
            return false;
        }
    }
    true
}

fn scan(segment: &Segment, block: u64) -> bool {
    // Acquire: who sees a pin gone sees what was written beside it before.
    let load = |word| segment.word(word).load(Ordering::Acquire);
    (0..SLOTS)
        .filter(|&slot| State::read(segment, slot).state != FREE)
        .any(|slot| {
            let base = layout::slot_record(slot);
            let names = |table: u64, row: u64| load(base + table + row * WORD) == block;
            (0..slot::PIN_ROWS).any(|row| names(slot::PINS, row))
                || load(base + slot::LENT) != 0
                    && (0..slot::PENDING_ROWS).any(|row| names(slot::LENT_ROWS, row))
        })
}

/// Frees the retired blocks that nobody pins.
///
/// # Errors
/// `Interrupted`, `Corrupt`.
///
/// # Crash
/// A block leaves the list and becomes free by one record.
pub fn sweep(caller: Caller) -> Result<()> {
    let segment = &caller.space.segment;
    while segment.word(superblock::RETIRED).load(Ordering::Relaxed) != 0 {
        let freed = caller.run(|operation| {
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
                if seeded(Bug::PinsIgnored) || !is_pinned(segment, block) {
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
        room::push(&mut blocks, at)?;
        at = operation.read(at + block::RETIRED_NEXT);
    }
    Ok(blocks)
}
