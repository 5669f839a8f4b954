//! Items that are still in somebody's hands: counted until `task_done`, or held on a lease.
//!
//! A row of holdings that names a queue: with a block, an item on a lease, which comes back when
//! its holder dies; without one, how many items its process took and did not call done.

use super::bytes::{self, Count};
use super::first::first;
use super::item::set_contents;
use super::ring::First;
use super::state::{
    A_WORD, ATTEMPTS, BLOCK_HEAD, DONE, FINISHED, GET_LOCK, HEAD, ITEMS, LEASED, Queue, ROOM,
    SEQUENCE, SURPLUS, TAIL, counts, distance, ordinal, page_of, payload_of, read,
};
use super::tail::stack;
use super::tree::Sift;
use super::{due, page};
use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Error, Result};
use crate::memory::layout::{WORD, align_up};
use crate::memory::segment::Segment;
use crate::object::holding::{self, HoldingRow, Row};
use crate::object::rows;
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// Makes a row of ours count what this process takes.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
pub fn count_in(caller: Caller, queue: Queue, row: Row) -> Result<()> {
    caller.run(|operation| {
        operation.lock(queue.object + GET_LOCK)?;
        row.write(operation, queue.id, 0, 0);
        operation.commit();
        Ok(())
    })
}

/// Gives the row up, if nothing that was taken is open; false: it goes with this process.
///
/// # Errors
/// As `count_in`.
pub fn withdraw(caller: Caller, queue: Queue, row: Row) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(queue.object + GET_LOCK)?;
        if row.amount(operation.segment) != 0 {
            return Ok(false);
        }
        row.clear(operation);
        operation.commit();
        Ok(true)
    })
}

/// How many items this process took and did not call done.
pub fn taken(segment: &Segment, row: Row) -> u64 {
    row.amount(segment)
}

/// Writes the entry that counts an item as taken by us, unless another called it done before.
pub(super) fn count(operation: &mut Operation, object: Object, row: Row) {
    let surplus = operation.read(object + SURPLUS);
    if surplus > 0 {
        operation.write(object + SURPLUS, surplus - 1);
    } else {
        let taken = row.amount(operation.segment);
        operation.write(row.at + holding::AMOUNT, taken.wrapping_add(1));
    }
}

/// Writes the entry that counts an item as done by us: our own, or one that another took.
pub(super) fn uncount(operation: &mut Operation, object: Object, row: Row) {
    let taken = row.amount(operation.segment);
    if taken > 0 {
        operation.write(row.at + holding::AMOUNT, taken - 1);
    } else {
        let surplus = operation.read(object + SURPLUS);
        operation.write(object + SURPLUS, surplus.wrapping_add(1));
    }
}

/// How many items other processes have on leases, as it was a moment ago.
///
/// # Errors
/// `Corrupt`.
pub fn leased_by_others(segment: &Segment, participant: &Participant, queue: Queue) -> Result<u64> {
    let (_, leased) = counts(segment, queue.object);
    if leased == 0 {
        return Ok(0);
    }
    let rows = rows::each(segment, holding::table(participant.me), holding::ROW)?;
    let is_lease = |&(number, at): &(u64, u64)| {
        let block = segment.word(at + holding::BLOCK).load(Ordering::Relaxed);
        block != 0 && Row { number, at }.is_of(segment, queue.id)
    };
    Ok(leased.saturating_sub(rows.iter().filter(|row| is_lease(row)).count() as u64))
}

/// An item on a lease: where its block is.
#[derive(Clone, Copy)]
pub struct Lease {
    pub row: Row,
    pub block: u64,
}

/// Takes the first item on a lease. None: there is none.
///
/// # Errors
/// `Full` when there is no room for its block; `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record takes it out of the queue and writes our row; the drainer puts it back.
pub fn lease(caller: Caller, queue: Queue, row: Row, sift: Option<&Sift>) -> Result<Option<Lease>> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let (mut room, mut purpose) = (0, Purpose::Store);
    loop {
        let new = match room {
            0 => None,
            room => {
                let allocate = || PendingBlock::allocate_for(purpose, caller, room, 0);
                match page::afford(caller, queue, allocate) {
                    Err(Error::Full(_)) if purpose == Purpose::Store => {
                        purpose = Purpose::Lease;
                        None
                    }
                    block => Some(block?),
                }
            }
        };
        let mut is_left = false;
        let leased = caller.run(|operation| {
            operation.lock(object + GET_LOCK)?;
            let page = page_of(read(segment, object + HEAD));
            // Where there is no room for a block, what has one comes first: it may make room.
            let early = match purpose == Purpose::Lease && new.is_none() {
                true => due::take_early(operation, object)?,
                false => None,
            };
            let found = match early {
                Some(block) => Some(First::Block(block)),
                None => first(operation, object, sift)?,
            };
            let (kind, length) = match &found {
                None => return Ok(Some(None)),
                Some(First::Block(_)) => (0, 0),
                Some(First::Word(_)) => (A_WORD, WORD),
                Some(First::Ring(front)) => (front.kind(), front.length()),
            };
            let block = if let Some(First::Block(block)) = found {
                block
            } else {
                let need = BLOCK_HEAD + align_up(length, WORD);
                let Some(new) = new.as_ref().filter(|_| need <= room) else {
                    room = need;
                    return Ok(None); // again, with a block for it
                };
                let at = new.payload() + BLOCK_HEAD;
                set_contents(segment, new.payload(), kind, length);
                match found {
                    Some(First::Word(word)) => segment.word(at).store(word, Ordering::Relaxed),
                    Some(First::Ring(front)) => {
                        let length = align_up(length, WORD);
                        segment.copy_within(front.record + WORD, at, length);
                    }
                    _ => {}
                }
                new.transfer(operation, 0);
                new.block()
            };
            if seeded(Bug::LeaseInTwo) {
                operation.commit();
            }
            let attempts = payload_of(segment, block)? + ATTEMPTS;
            let before = operation.read(attempts) & 0xFFFF_FFFF;
            operation.write(attempts, before.saturating_add(1).min(0xFFFF_FFFF));
            row.write(operation, queue.id, 1, block);
            let leased = operation.read(object + LEASED);
            operation.write(object + LEASED, leased.wrapping_add(1));
            bytes::count_block(operation, object, Count::Leased, block)?;
            turn(operation, object);
            is_left = page_of(operation.read(object + HEAD)) != page;
            operation.queue_wake(object + FINISHED); // for `wait_for`: fewest sleep there for something else
            operation.commit();
            crate::memory::crash_point!("queue.leased");
            Ok(Some(Some(Lease { row, block })))
        })?;
        if is_left {
            page::drop_pages(caller.space, caller.participant, queue);
        }
        if let Some(leased) = leased {
            return Ok(leased);
        }
    }
}

/// Turns the sequence around a change of what is in flight, once.
fn turn(operation: &mut Operation, object: Object) {
    operation.sequence(object + SEQUENCE);
}

/// Ends a lease: the item is done with.
///
/// # Errors
/// `Interrupted` as the wait policy says: the item then comes back when this process ends.
///
/// # Crash
/// One record.
pub fn finish(caller: Caller, queue: Queue, lease: Lease) -> Result<()> {
    let object = queue.object;
    let spent = PendingBlock::reserve(caller)?;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        spent.transfer(operation, lease.block);
        lease.row.clear(operation);
        drop_lease(operation, object, lease.block)?;
        bytes::count_block(operation, object, Count::Got, lease.block)?;
        finish_one(operation, object);
        operation.sequence(object + SEQUENCE);
        operation.queue_wake(object + ROOM);
        operation.queue_wake(object + FINISHED);
        operation.commit();
        Ok(())
    })
}

/// Ends a lease: the item goes back, first in line.
///
/// # Errors
/// As `finish`.
///
/// # Crash
/// One record.
pub fn give_back(caller: Caller, queue: Queue, lease: Lease) -> Result<()> {
    let object = queue.object;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        lease.row.clear(operation);
        drop_lease(operation, object, lease.block)?;
        stack(operation, object, lease.block);
        operation.queue_wake(object + ITEMS);
        operation.commit();
        Ok(())
    })
}

/// Writes the entry that counts an item as done with.
pub(super) fn finish_one(operation: &mut Operation, object: Object) {
    if super::state::unfinished(operation.segment, object) > 0 {
        let done = operation.read(object + DONE);
        operation.write(object + DONE, done.wrapping_add(1) & 0xFFFF_FFFF);
    }
}

/// Writes the entries that count an item no more as out on a lease.
pub(super) fn drop_lease(operation: &mut Operation, object: Object, block: u64) -> Result<()> {
    let leased = operation.read(object + LEASED);
    operation.write(object + LEASED, leased.saturating_sub(1));
    bytes::count_block(operation, object, Count::Unleased, block)
}

/// Writes the entries that give a dead process's item back, or call what it took done.
///
/// # Errors
/// `Stop::Busy` on the get lock; `Corrupt`.
pub(super) fn settle(
    operation: &mut Operation,
    object: Object,
    row: HoldingRow,
    _: bool,
) -> Attempt<()> {
    operation.lock(object + GET_LOCK)?;
    let block = row.block(operation);
    if block != 0 {
        payload_of(operation.segment, block)?;
        drop_lease(operation, object, block)?;
        stack(operation, object, block);
        row.give_block(operation);
        operation.queue_wake(object + ITEMS);
        return Ok(());
    }
    let taken = row.amount(operation);
    let surplus = operation.read(object + SURPLUS);
    let set_off = taken.min(surplus);
    operation.write(object + SURPLUS, surplus - set_off);
    let done = operation.read(object + DONE);
    let open = distance(
        done,
        ordinal(operation.segment, read(operation.segment, object + TAIL)),
    );
    let back = (taken - set_off).min(open);
    operation.write(object + DONE, (done + back) & 0xFFFF_FFFF);
    operation.queue_wake(object + FINISHED);
    Ok(())
}
