//! Items that go back for later.
//!
//! They wait in a search tree of their own blocks, by the time at which each is due: so nothing is
//! allocated, and it works in a full space. Each also has its place in the line, its *mark*: how many
//! items had ever been put when it went back. An item of the ring that was put before goes first; so
//! the order is that of a queue where it was put again, without the put lock and without a page.
//!
//! The tree is a treap, a block's weight a hash of its offset: searches are short whatever the order
//! of the times, and an insertion changes few words. All of it is guarded by the get lock.

use super::state::{
    ATTEMPTS, DUE, DUE_BOOT, DUE_EPOCH, GET_LOCK, HEAD, LEFT, Order, Queue, REQUEUED,
    REQUEUED_COUNT, RETURNED, RIGHT, SEQUENCE, TAIL, distance, order_of, ordinal, payload_of, read,
};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::memory::layout::{self, superblock};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::os;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::sync::Ordering;
use std::time::Duration;

/// A time is the epoch, and microseconds of the machine's clock. The clock begins anew with each boot:
/// then the next epoch begins, and what is of an older one is due.
pub(super) const EPOCH_SHIFT: u32 = 52;

pub(super) const EPOCHS: u64 = 1 << (64 - EPOCH_SHIFT);

pub(super) const LATEST: u64 = (1 << EPOCH_SHIFT) - 1;

/// The time of what is served when nothing else is left on a stack: after all others in the tree.
pub(super) const LAST: u64 = LATEST;

/// So many words of other blocks an insertion may change; the record has room for 64 entries.
pub(super) const MOST_SPLITS: usize = 40;

/// When an item that goes back is served again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Where it would be if it were put again, but not before that time is over.
    After(Duration),
    /// At the end of the line, at the bottom of a stack.
    Last,
}

/// How likely a block is to be above others.
pub(super) fn weight(block: u64) -> u64 {
    let mixed = (block ^ block >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB)
}

/// The clock now, and the epoch: of the last boot at which something was requeued here.
pub(super) fn now(operation: &Operation, object: Object) -> (u64, u64) {
    let epoch = operation.read(object + DUE_EPOCH).min(EPOCHS - 1);
    let boot = operation.read(superblock::BOOT);
    if operation.read(object + DUE_BOOT) != boot {
        return (LATEST, epoch); // all that is there is of an earlier boot
    }
    let clock = u64::try_from(os::boot_clock().as_micros()).unwrap_or(LATEST);
    (clock.min(LATEST), epoch)
}

pub(super) fn steps(segment: &Segment, count: &mut u64) -> Result<()> {
    *count += 1;
    match *count > segment.size() / layout::LINE {
        true => Err(corrupt("the requeued items of a queue have no end")),
        false => Ok(()),
    }
}

/// Writes the entries that put a block into the tree; the get lock is held. The block is the caller's
/// until the commit.
pub(super) fn insert(
    operation: &mut Operation,
    object: Object,
    block: u64,
    when: When,
) -> Attempt<()> {
    let segment = operation.segment;
    let own = payload_of(segment, block)?;
    let boot = operation.read(superblock::BOOT);
    if operation.read(object + DUE_BOOT) != boot {
        let epoch = operation.read(object + DUE_EPOCH) + 1;
        operation.write(object + DUE_EPOCH, epoch.min(EPOCHS - 1));
        operation.write(object + DUE_BOOT, boot);
    }
    let (clock, epoch) = now(operation, object);
    let time = match when {
        When::Last if order_of(segment, object) == Order::Lifo as u64 => LAST,
        When::Last => clock,
        When::After(delay) => {
            let delay = u64::try_from(delay.as_micros()).unwrap_or(LATEST);
            clock.saturating_add(delay).min(LAST - 1)
        }
    };
    let due = epoch << EPOCH_SHIFT | time;
    let mark = last_ordinal(segment, object);
    let attempts = operation.read(own + ATTEMPTS) & 0xFFFF_FFFF;
    // Nobody reads this of a block on a lease.
    segment.word(own + DUE).store(due, Ordering::Relaxed);
    operation.write(own + ATTEMPTS, mark << 32 | attempts);

    let (mut link, mut count) = (object + REQUEUED, 0);
    let mut at = operation.read(link);
    let below = |operation: &Operation, at: u64| -> Attempt<(u64, bool)> {
        let node = payload_of(segment, at)?;
        Ok((node, due < operation.read(node + DUE)))
    };
    while at != 0 && weight(at) >= weight(block) {
        steps(segment, &mut count)?;
        let (node, is_left) = below(operation, at)?;
        link = node + if is_left { LEFT } else { RIGHT };
        at = operation.read(link);
    }
    // What is below there is split in two: what is due before, and after.
    let (mut splits, mut next) = (Vec::new(), at);
    let (mut left, mut right) = (own + LEFT, own + RIGHT);
    while next != 0 {
        steps(segment, &mut count)?;
        let (node, is_left) = below(operation, next)?;
        let (slot, child) = match is_left {
            true => (std::mem::replace(&mut right, node + LEFT), node + LEFT),
            false => (std::mem::replace(&mut left, node + RIGHT), node + RIGHT),
        };
        if operation.read(slot) != next || slot == own + LEFT || slot == own + RIGHT {
            splits.push((slot, next));
        }
        next = operation.read(child);
    }
    if seeded(Bug::SplitLeftOut) {
        splits = vec![(own + LEFT, at), (own + RIGHT, 0)];
    } else if splits.len() <= MOST_SPLITS {
        splits.extend([(left, 0), (right, 0)]);
    } else {
        // Below all of them instead: the order is what counts.
        while at != 0 {
            let (node, is_left) = below(operation, at)?;
            link = node + if is_left { LEFT } else { RIGHT };
            at = operation.read(link);
        }
        splits = vec![(own + LEFT, 0), (own + RIGHT, 0)];
    }
    for (slot, word) in splits {
        operation.write(slot, word);
    }
    operation.write(link, block);
    let count = operation.read(object + REQUEUED_COUNT);
    operation.write(object + REQUEUED_COUNT, count.wrapping_add(1));
    Ok(())
}

/// How many items were ever put, modulo 2³²; the page of the tail may go meanwhile.
pub(super) fn last_ordinal(segment: &Segment, object: Object) -> u64 {
    loop {
        let tail = read(segment, object + TAIL);
        let last = ordinal(segment, tail);
        if read(segment, object + TAIL) == tail {
            return last;
        }
    }
}

/// The item that is due first: the word that leads to it, its block, its payload.
pub(super) fn first_due(operation: &Operation, object: Object) -> Attempt<Option<(u64, u64, u64)>> {
    let segment = operation.segment;
    let (mut link, mut count) = (object + REQUEUED, 0);
    let mut block = operation.read(link);
    if block == 0 {
        return Ok(None);
    }
    loop {
        steps(segment, &mut count)?;
        let node = payload_of(segment, block)?;
        match operation.read(node + LEFT) {
            0 => return Ok(Some((link, block, node))),
            next => (link, block) = (node + LEFT, next),
        }
    }
}

/// Writes the entries that take out the item that is due first.
pub(super) fn remove(operation: &mut Operation, object: Object, (link, node): (u64, u64)) {
    let rest = operation.read(node + RIGHT);
    operation.write(link, rest);
    let count = operation.read(object + REQUEUED_COUNT);
    operation.write(object + REQUEUED_COUNT, count.saturating_sub(1));
    operation.sequence(object + SEQUENCE);
}

/// After how many microseconds it is due.
pub(super) fn wait_of(operation: &Operation, object: Object, node: u64) -> u64 {
    let ((clock, epoch), due) = (now(operation, object), operation.read(node + DUE));
    match due & LATEST {
        LAST => 0,
        _ => due.saturating_sub(epoch << EPOCH_SHIFT | clock),
    }
}

/// Whether all that was put before it was taken.
pub(super) fn is_its_turn(operation: &Operation, object: Object, node: u64) -> bool {
    if operation.read(node + DUE) & LATEST == LAST {
        return operation.read(object + RETURNED) == 0;
    }
    let head = operation.read(object + HEAD);
    if head == read(operation.segment, object + TAIL) {
        return true;
    }
    let mark = operation.read(node + ATTEMPTS) >> 32;
    distance(mark, ordinal(operation.segment, head)) < 1 << 31
}

/// Writes the entries that take out the first item that is due and whose turn it is, if there is one;
/// the get lock is held.
pub(super) fn take_due(operation: &mut Operation, object: Object) -> Attempt<Option<u64>> {
    let first = first_due(operation, object)?;
    let Some((link, block, node)) = first.filter(|&(.., node)| is_next(operation, object, node))
    else {
        return Ok(None);
    };
    remove(operation, object, (link, node));
    Ok(Some(block))
}

/// Writes the entries that take out the first item that is due, whatever was put before it; the get lock
/// is held.
pub(super) fn take_early(operation: &mut Operation, object: Object) -> Attempt<Option<u64>> {
    let first = first_due(operation, object)?;
    let Some((link, block, node)) =
        first.filter(|&(.., node)| wait_of(operation, object, node) == 0)
    else {
        return Ok(None);
    };
    remove(operation, object, (link, node));
    Ok(Some(block))
}

/// Whether an item that went back is served before the ring.
pub(super) fn is_due(operation: &Operation, object: Object) -> Attempt<bool> {
    let first = first_due(operation, object)?;
    Ok(first.is_some_and(|(.., node)| is_next(operation, object, node)))
}

pub(super) fn is_next(operation: &Operation, object: Object, node: u64) -> bool {
    wait_of(operation, object, node) == 0 && is_its_turn(operation, object, node)
}

/// Whether items wait here that went back.
pub fn has_requeued(segment: &Segment, object: Object) -> bool {
    read(segment, object + REQUEUED) != 0
}

/// After which time the first of the items that went back is due, and its block. None: there are none.
///
/// # Errors
/// `Interrupted` as the wait policy says; `Corrupt`.
pub fn until_due(caller: Caller, queue: Queue) -> Result<Option<(Duration, u64)>> {
    let object = queue.object;
    if !has_requeued(&caller.space.segment, object) {
        return Ok(None);
    }
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        let first = first_due(operation, object)?;
        Ok(first.map(|(_, block, node)| {
            let wait = Duration::from_micros(wait_of(operation, object, node));
            (wait, block)
        }))
    })
}

/// The blocks of the items that went back, in the order in which they are due, at most so many; the
/// get lock is held, or nobody else is there.
pub(super) fn blocks(segment: &Segment, object: Object, most: usize) -> Result<Vec<u64>> {
    let (mut blocks, mut above, mut count) = (Vec::new(), Vec::new(), 0);
    let mut at = read(segment, object + REQUEUED);
    while blocks.len() < most && (at != 0 || !above.is_empty()) {
        steps(segment, &mut count)?;
        if at != 0 {
            room::push(&mut above, at)?;
            at = read(segment, payload_of(segment, at)? + LEFT);
        } else if let Some(block) = above.pop() {
            room::push(&mut blocks, block)?;
            at = read(segment, payload_of(segment, block)? + RIGHT);
        }
    }
    Ok(blocks)
}

/// Whether the item in a block that went back is served before the ring.
pub(super) fn is_block_next(operation: &Operation, object: Object, block: u64) -> Result<bool> {
    let node = payload_of(operation.segment, block)?;
    Ok(is_next(operation, object, node))
}

/// Writes the entries that take out the first of them, of a queue that is taken apart; its block.
pub(super) fn detach(operation: &mut Operation, object: Object) -> Attempt<Option<u64>> {
    let Some((link, block, node)) = first_due(operation, object)? else {
        return Ok(None);
    };
    let rest = operation.read(node + RIGHT);
    operation.write(link, rest);
    Ok(Some(block))
}
