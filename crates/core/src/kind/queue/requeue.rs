//! Items that go back from a lease, to the end of the line or for later, and items that move to
//! another queue.

use super::bytes::{self, Count};
use super::due::{When, first_due, has_requeued, insert, remove};
use super::item::Put;
use super::lease::{Lease, drop_lease, finish_one};
use super::state::{
    ATTEMPTS, DONE, FINISHED, GET_LOCK, ITEMS, Order, Queue, ROOM, SEQUENCE, order_of, payload_of,
};
use super::tail::{room_for, stack};
use super::tree::{self, Sift};
use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result};
use crate::memory::offset::Object;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use std::time::Duration;

/// Ends a lease: the item goes back, to be served as `when` says. How often it was leased stays with it.
///
/// # Errors
/// `Interrupted` as the wait policy says: the item then comes back when this process ends.
///
/// # Crash
/// One record.
pub fn requeue(caller: Caller, queue: Queue, lease: Lease, when: When) -> Result<()> {
    let cell = queue.cell;
    caller.run(|operation| {
        operation.lock(cell + GET_LOCK)?;
        lease.row.clear(operation);
        if seeded(Bug::RequeueInTwo) {
            operation.commit();
        }
        drop_lease(operation, cell, lease.block)?;
        enter(operation, cell, lease.block, when)?;
        operation.queue_wake(cell + ITEMS);
        operation.commit();
        crate::memory::crash_point!("queue.requeued");
        Ok(())
    })
}

/// Writes the entries that make a block in our hands an item of the queue; the get lock is held.
fn enter(operation: &mut Operation, cell: Object, block: u64, when: When) -> Attempt<()> {
    let is_stack = order_of(operation.segment, cell) == Order::Lifo as u64;
    if when == When::After(Duration::ZERO) && is_stack {
        stack(operation, cell, block);
        return Ok(());
    }
    insert(operation, cell, block, when)?;
    operation.sequence(cell + SEQUENCE);
    Ok(())
}

/// Ends a lease: the item, as it is, becomes one of another queue of this space, if there is room for
/// it there. Its attempts begin anew. Into a priority queue it goes where `sift` says, and the turn there
/// is ours; where its tree cannot grow, the item is one that went back and is due.
///
/// # Errors
/// As `requeue`.
///
/// # Crash
/// One record.
pub fn transfer(
    caller: Caller,
    (from, to): (Queue, Queue),
    lease: Lease,
    sift: Option<&Sift>,
) -> Result<Put> {
    let segment = &caller.space.segment;
    let sift = match sift.map(|_| tree::make_room(caller, to)) {
        Some(Err(Error::Full(_))) => None,
        Some(made) => made.map(|()| sift)?,
        None => None,
    };
    caller.run(|operation| {
        operation.lock(to.cell.lock())?;
        let bytes = bytes::of_block(segment, to.cell, lease.block)?;
        if let Some(put) = room_for(segment, to.cell, bytes)? {
            return Ok(put);
        }
        operation.lock(from.cell + GET_LOCK)?;
        operation.lock(to.cell + GET_LOCK)?;
        lease.row.clear(operation);
        if seeded(Bug::MoveInTwo) {
            operation.commit();
        }
        operation.write(payload_of(segment, lease.block)? + ATTEMPTS, 0);
        drop_lease(operation, from.cell, lease.block)?;
        bytes::count_block(operation, from.cell, Count::Got, lease.block)?;
        finish_one(operation, from.cell);
        operation.sequence(from.cell + SEQUENCE);
        if let Some(sift) = sift {
            tree::enter(operation, to.cell, lease.block, sift)?;
            operation.sequence(to.cell + SEQUENCE);
        } else {
            enter(operation, to.cell, lease.block, When::After(Duration::ZERO))?;
        }
        // It counts as put there, without a record in the ring.
        let done = operation.read(to.cell + DONE);
        operation.write(to.cell + DONE, done.wrapping_sub(1) & 0xFFFF_FFFF);
        bytes::count(operation, to.cell, Count::Put, bytes);
        operation.queue_wake(from.cell + ROOM);
        operation.queue_wake(from.cell + FINISHED);
        operation.queue_wake(to.cell + ITEMS);
        operation.commit();
        crate::memory::crash_point!("queue.moved");
        Ok(Put::Done)
    })
}

/// Moves the requeued item in `block`, which is due, to its place in the tree of a priority queue. The
/// turn is ours. False: another is due before it by now.
///
/// # Errors
/// `Full` when the tree cannot grow; `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record.
pub fn promote(caller: Caller, queue: Queue, block: u64, sift: &Sift) -> Result<bool> {
    let cell = queue.cell;
    tree::make_room(caller, queue)?;
    caller.run(|operation| {
        operation.lock(cell + GET_LOCK)?;
        let Some((link, _, node)) =
            first_due(operation, cell)?.filter(|&(_, first, _)| first == block)
        else {
            return Ok(false);
        };
        remove(operation, cell, (link, node));
        tree::enter(operation, cell, block, sift)?;
        operation.commit();
        crate::memory::crash_point!("queue.promoted");
        Ok(true)
    })
}

/// Drops the first of the items that went back, due or not, and calls it done; false: there are none.
///
/// # Errors
/// `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record.
pub fn drop_requeued(caller: Caller, queue: Queue) -> Result<bool> {
    let cell = queue.cell;
    if !has_requeued(&caller.space.segment, cell) {
        return Ok(false);
    }
    let spent = PendingBlock::reserve(caller)?;
    caller.run(|operation| {
        operation.lock(cell + GET_LOCK)?;
        let Some((link, block, node)) = first_due(operation, cell)? else {
            return Ok(false);
        };
        remove(operation, cell, (link, node));
        spent.transfer(operation, block);
        bytes::count_block(operation, cell, Count::Got, block)?;
        finish_one(operation, cell);
        operation.queue_wake(cell + ROOM);
        operation.queue_wake(cell + FINISHED);
        operation.commit();
        Ok(true)
    })
}
