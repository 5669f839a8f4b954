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
use crate::offset::Object;
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
    let object = queue.object;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        lease.row.clear(operation);
        if seeded(Bug::RequeueInTwo) {
            operation.commit();
        }
        drop_lease(operation, object, lease.block)?;
        enter(operation, object, lease.block, when)?;
        operation.queue_wake(object + ITEMS);
        operation.commit();
        crate::memory::crash_point!("queue.requeued");
        Ok(())
    })
}

/// Writes the entries that make a block in our hands an item of the queue; the get lock is held.
fn enter(operation: &mut Operation, object: Object, block: u64, when: When) -> Attempt<()> {
    let is_stack = order_of(operation.segment, object) == Order::Lifo as u64;
    if when == When::After(Duration::ZERO) && is_stack {
        stack(operation, object, block);
        return Ok(());
    }
    insert(operation, object, block, when)?;
    operation.sequence(object + SEQUENCE);
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
        operation.lock(to.object.lock())?;
        let bytes = bytes::of_block(segment, to.object, lease.block)?;
        if let Some(put) = room_for(segment, to.object, bytes)? {
            return Ok(put);
        }
        operation.lock(from.object + GET_LOCK)?;
        operation.lock(to.object + GET_LOCK)?;
        lease.row.clear(operation);
        if seeded(Bug::MoveInTwo) {
            operation.commit();
        }
        operation.write(payload_of(segment, lease.block)? + ATTEMPTS, 0);
        drop_lease(operation, from.object, lease.block)?;
        bytes::count_block(operation, from.object, Count::Got, lease.block)?;
        finish_one(operation, from.object);
        operation.sequence(from.object + SEQUENCE);
        if let Some(sift) = sift {
            tree::enter(operation, to.object, lease.block, sift)?;
            operation.sequence(to.object + SEQUENCE);
        } else {
            enter(
                operation,
                to.object,
                lease.block,
                When::After(Duration::ZERO),
            )?;
        }
        // It counts as put there, without a record in the ring.
        let done = operation.read(to.object + DONE);
        operation.write(to.object + DONE, done.wrapping_sub(1) & 0xFFFF_FFFF);
        bytes::count(operation, to.object, Count::Put, bytes);
        operation.queue_wake(from.object + ROOM);
        operation.queue_wake(from.object + FINISHED);
        operation.queue_wake(to.object + ITEMS);
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
    let object = queue.object;
    tree::make_room(caller, queue)?;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        let Some((link, _, node)) =
            first_due(operation, object)?.filter(|&(_, first, _)| first == block)
        else {
            return Ok(false);
        };
        remove(operation, object, (link, node));
        tree::enter(operation, object, block, sift)?;
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
    let object = queue.object;
    if !has_requeued(&caller.space.segment, object) {
        return Ok(false);
    }
    let spent = PendingBlock::reserve(caller)?;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        let Some((link, block, node)) = first_due(operation, object)? else {
            return Ok(false);
        };
        remove(operation, object, (link, node));
        spent.transfer(operation, block);
        bytes::count_block(operation, object, Count::Got, block)?;
        finish_one(operation, object);
        operation.queue_wake(object + ROOM);
        operation.queue_wake(object + FINISHED);
        operation.commit();
        Ok(true)
    })
}
