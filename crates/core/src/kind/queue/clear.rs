//! Taking all items out of a queue at once.
//!
//! What they lie in goes to a queue that no object names and that is on the list to be freed from the
//! beginning: whoever comes takes it apart, a piece a record.

use super::bytes::count_cleared;
use super::page;
use super::state::{
    DONE, EVENTS, FILLED, FIRST_RECORD, GET_LOCK, HEAD, Header, LENGTH, ORDER, PAGES, Queue,
    REQUEUED, REQUEUED_COUNT, RETURNED, SEQUENCE, STACKED, SURPLUS, TAIL, TREE, TREE_ROOM, counts,
    head_of, order_of, unfinished,
};
use crate::change::operation::Purpose;
use crate::error::Result;
use crate::memory::layout::{block, superblock};
use crate::object;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{AT_ONCE, Caller, Space, deferred_free, within};
use crate::sync::Ordering;

/// The words that go over to the other queue, and are 0 in this one then.
const GOING: [u64; 5] = [RETURNED, REQUEUED, TREE, TREE_ROOM, FILLED];

/// Takes all items out of the queue, and counts them as done; how many there were. Of a priority queue
/// the turn is ours. `free_cleared` is due then.
///
/// # Errors
/// `Full` when there is no room for the words of another queue and for a page, with nothing changed;
/// `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record takes all of them, and has them freed by the next sweep.
pub fn clear(caller: Caller, queue: Queue) -> Result<u64> {
    let (segment, object) = (&caller.space.segment, queue.object);
    if counts(segment, object).0 == 0 {
        return Ok(0);
    }
    let husk = page::afford(caller, queue, || {
        let purpose = Purpose::Release;
        object::unlisted(purpose, caller, object::QUEUE, LENGTH)
    })?;
    let own = husk.payload();
    let mut new: Option<PendingBlock> = None;
    loop {
        let cleared = caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            operation.lock(object.lock())?;
            operation.lock(object + GET_LOCK)?;
            let (items, _) = counts(segment, object);
            if items == 0 {
                return Ok(Some(0));
            }
            let keep = |offset, word| segment.word(own + offset).store(word, Ordering::Relaxed);
            keep(ORDER, order_of(segment, object));
            let tail = operation.read(object + TAIL);
            if operation.read(object + HEAD) != tail {
                let Some(page) = &new else {
                    return Ok(None); // again, with a page for what comes next
                };
                let (first, link) = (page.block() + FIRST_RECORD, page.block() + block::LARGE);
                segment.word(link).store(page.block(), Ordering::Relaxed);
                let next = Header::new(head_of(segment, tail)?.ordinal(), 0, 0);
                segment.word(first).store(next.0, Ordering::Relaxed);
                for (offset, word) in [(HEAD, first), (TAIL, first), (PAGES, page.block())] {
                    keep(offset, operation.read(object + offset));
                    operation.write(object + offset, word);
                }
                page.transfer(operation, 0);
            }
            for offset in GOING {
                keep(offset, operation.read(object + offset));
                operation.write(object + offset, 0);
            }
            for count in [STACKED, REQUEUED_COUNT] {
                operation.write(object + count, 0);
            }
            husk.transfer(operation, 0);
            deferred_free::add(operation, husk.block())?;
            if seeded(Bug::ClearInTwo) {
                operation.commit();
            }
            // As if each were taken and called done: some may have been called so before.
            let open = items.min(unfinished(segment, object));
            let surplus = operation.read(object + SURPLUS).saturating_add(open);
            operation.write(object + SURPLUS, surplus.saturating_sub(items));
            let done = operation.read(object + DONE);
            operation.write(object + DONE, done.wrapping_add(open) & 0xFFFF_FFFF);
            count_cleared(operation, object);
            operation.sequence(object + SEQUENCE);
            for event in EVENTS {
                operation.queue_wake(object + event);
            }
            operation.commit();
            crate::memory::crash_point!("queue.cleared");
            Ok(Some(items))
        })?;
        match cleared {
            Some(items) => return Ok(items),
            None => {
                let allocate = || page::allocate(caller, Purpose::Release);
                new = Some(page::afford(caller, queue, allocate)?);
            }
        }
    }
}

/// Frees what `clear` took, as far as no lock stands in the way; the rest later.
pub fn free_cleared(space: &Space, participant: &Participant) {
    if deferred_free::run(Caller::new(space, participant, &within(AT_ONCE))).is_err() {
        space.sweep_later(participant);
    }
}
