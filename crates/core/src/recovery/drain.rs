//! Phase (b): what a reaped participant still owned goes back by ordinary operations, each of
//! which removes its own entry from the dead one's tables.
//!
//! Run with nothing held. The drainer holds the slot's byte and, for each step, the slot's drain
//! lock: whoever takes that lock over has replayed a dead drainer's record first, so a record
//! is never applied to a slot that has been reused.

use crate::change::operation::{self, Operation};
use crate::change::recover;
use crate::error::{Attempt, Error, Result};
use crate::heap;
use crate::kind;
use crate::memory::layout::{self, CLASSES, SLOTS, WORD, record, slot, superblock};
use crate::memory::segment::Segment;
use crate::object::holding::HoldingRow;
use crate::object::{directory, holding, rows};
use crate::process::participant::{DRAINING, FREE, Right, State};
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Space, deferred_free, pin};
use crate::sync::{Ordering, fence};

/// Recovers all the dead: phase (a) for those not reaped yet, then phase (b). Frees some of what they
/// left, however much that is; true: all of it.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`. Broken entries are dropped, not reported: a
/// space must stay usable; `check` tells.
pub fn sweep(caller: Caller) -> Result<bool> {
    let segment = &caller.space.segment;
    if recover::reap_all(segment)? {
        for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state == DRAINING) {
            drain(caller, slot)?;
        }
    }
    directory::expire(caller)?;
    let is_all = deferred_free::run_some(caller)?;
    if !seeded(Bug::RetiredNotSwept) {
        pin::sweep(caller)?;
    }
    Ok(is_all)
}

/// Drains one slot, unless another does.
///
/// # Errors
/// As `sweep`.
///
/// # Crash
/// The slot stays DRAINING, its tables naming exactly what has not gone back yet.
pub fn drain(caller: Caller, slot: u64) -> Result<()> {
    let segment = &caller.space.segment;
    let Some(_right) = Right::try_acquire(segment, slot)? else {
        return Ok(());
    };
    let state = State::read(segment, slot);
    if state.state != DRAINING {
        return Ok(());
    }
    empty(caller, slot)?;
    caller.run(|operation| {
        operation.lock(layout::drain_lock(slot))?;
        operation.commit_with(|| State::write(segment, slot, FREE, state.generation));
        crate::memory::crash_point!("drain.freed");
        Ok(())
    })
}

/// Gives back all that a slot's tables own: a dead one's, or, at its end, the participant's own. True: there
/// was something.
///
/// # Errors
/// As `sweep`.
///
/// # Crash
/// As `drain`.
pub(super) fn empty(caller: Caller, slot: u64) -> Result<bool> {
    let segment = &caller.space.segment;
    for row in 0..slot::PIN_ROWS {
        let pin = layout::slot_record(slot) + slot::PINS + row * WORD;
        segment.word(pin).store(0, Ordering::Release);
    }
    for row in 0..slot::PENDING_ROWS {
        let lent = layout::slot_record(slot) + slot::LENT_ROWS + row * WORD;
        segment.word(lent).store(0, Ordering::Release);
    }
    fence(Ordering::SeqCst); // unpin, then look at the list: `sweep` does so after us
    // The tables are read under the lock: whoever takes it has replayed a dead drainer first.
    let holdings = caller.run(|operation| {
        operation.lock(layout::drain_lock(slot))?;
        Ok(holdings(segment, slot))
    })?;
    let is_any = !holdings.is_empty();
    for held in holdings {
        loop {
            let done = caller.run(|operation| {
                operation.lock(layout::drain_lock(slot))?;
                crate::memory::crash_point!("drain.locked");
                give_back(caller.space, operation, slot, held)
            });
            match done {
                Ok(true) => break,
                Ok(false) => {}
                Err(Error::Corrupt(_)) => forget(caller, slot, held)?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(is_any)
}

/// A word of a dead one's tables that may own something.
#[derive(Clone, Copy)]
enum Owned {
    /// A magazine: a count, then blocks.
    Magazine(u64),
    PendingBlock(u64),
    Member(u64),
    /// A row of the holdings.
    Held(u64),
    /// A segment of a table itself.
    Segment(u64),
}

impl Owned {
    fn word(self) -> u64 {
        match self {
            Owned::Magazine(word)
            | Owned::PendingBlock(word)
            | Owned::Member(word)
            | Owned::Held(word)
            | Owned::Segment(word) => word,
        }
    }
}

/// Every word that may own something, the tables' segments after their rows.
fn holdings(segment: &Segment, slot: u64) -> Vec<Owned> {
    let base = layout::slot_record(slot);
    let is_set = |word: u64| segment.word(word).load(Ordering::Relaxed) != 0;
    let mut words = Vec::new();
    for index in 0..slot::RECORD_COUNT {
        let record = layout::thread_record(slot, index);
        let magazines = (0..CLASSES.len()).map(|class| operation::magazine(record, class));
        words.extend(magazines.map(Owned::Magazine));
    }
    let pending = base + slot::MORE_PENDING;
    if let Ok(rows) = rows::each(segment, pending, WORD) {
        words.extend(rows.into_iter().map(|(_, at)| Owned::PendingBlock(at)));
    }
    let members = base + slot::MEMBERS;
    if let Ok(rows) = rows::each(segment, members, directory::MEMBER_ROW) {
        words.extend(rows.into_iter().map(|(_, at)| Owned::Member(at)));
    }
    let table = base + slot::HOLDINGS;
    if let Ok(rows) = rows::each(segment, table, holding::ROW) {
        words.extend(rows.into_iter().map(|(_, at)| Owned::Held(at)));
    }
    for head in [members, table, pending] {
        words.extend((0..rows::SEGMENTS).map(|part| Owned::Segment(head + part * WORD)));
    }
    words.retain(|held| is_set(held.word()));
    words
}

/// Gives one thing back and clears its word in the same record; true when nothing is left there.
fn give_back(space: &Space, operation: &mut Operation, slot: u64, held: Owned) -> Attempt<bool> {
    let word = held.word();
    let value = operation.read(word);
    if value == 0 {
        return Ok(true);
    }
    match held {
        Owned::Magazine(_) => {
            let count = value.min(record::MAGAZINE_ROOM);
            let block = operation.read(word + count * WORD);
            operation.lock(superblock::HEAP_LOCK)?;
            heap::release(operation, block)?;
            operation.write(word, count - 1);
        }
        Owned::PendingBlock(_) => {
            if layout::kind::has_contents(deferred_free::kind_of(
                operation.segment,
                at(operation, value)?,
            )) {
                deferred_free::add(operation, value)?;
            } else if heap::is_large(operation.segment, value) {
                pin::retire(operation, value)?; // a child of its may read it
            } else {
                operation.lock(superblock::HEAP_LOCK)?;
                heap::release(operation, value)?;
            }
            if seeded(Bug::DrainInTwo) {
                operation.commit();
            }
            operation.write(word, 0);
        }
        Owned::Member(_) => {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            directory::drop_member(space, operation, word)?;
        }
        Owned::Held(_) => {
            let row = HoldingRow(word);
            if let Some(object) = row.object(operation)
                && let Some(root) = directory::find(operation, object)?
            {
                let ended = operation.read(layout::slot_record(slot) + slot::ENDED) != 0;
                kind::settle(operation, root, row, ended)?;
            }
            let block = row.block(operation);
            if block != 0 {
                deferred_free::discard(operation, block)?; // its object is gone
            }
            operation.write(word, 0);
        }
        Owned::Segment(_) => {
            operation.lock(superblock::HEAP_LOCK)?;
            let block = heap::block_of(operation.segment, value)?;
            heap::release(operation, block)?;
            operation.write(word, 0);
        }
    }
    operation.commit();
    Ok(operation.segment.word(word).load(Ordering::Relaxed) == 0)
}

/// A block that a table names, checked as data of a peer.
fn at(operation: &Operation, block: u64) -> Result<u64> {
    operation.segment.check_range(block, layout::block::SMALL)?;
    Ok(block)
}

/// Drops an entry that makes no sense, and marks the space as damaged.
fn forget(caller: Caller, slot: u64, held: Owned) -> Result<()> {
    caller
        .space
        .segment
        .word(superblock::DAMAGED)
        .store(held.word(), Ordering::Relaxed);
    caller.run(|operation| {
        operation.lock(layout::drain_lock(slot))?;
        let left = match held {
            Owned::Magazine(word) => operation
                .read(word)
                .min(record::MAGAZINE_ROOM)
                .saturating_sub(1),
            _ => 0,
        };
        operation.write(held.word(), left);
        operation.commit();
        Ok(())
    })
}
