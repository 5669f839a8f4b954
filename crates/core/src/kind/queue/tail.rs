//! Putting: behind the tail of the ring, or onto the stack.

use super::bytes::{self, Count};
use super::item::{NewItem, Put, copy, shape};
use super::page;
use super::state::{
    A_BLOCK, A_JUMP, CLOSING, COUNTED, FIRST_RECORD, GET_LOCK, HEAD, Header, INLINE, ITEMS,
    JUMP_ROOM, MAXIMUM, ORDER, Order, PUT_BYTES, Queue, RETURNED, SEQUENCE, STACKED, TAIL, counts,
    head_of, order_of, page_of, read,
};
use crate::change::fast::{self, FastOperation};
use crate::change::lock::{self, Tried};
use crate::change::operation::Operation;
use crate::change::wait;
use crate::error::{Error, Result, corrupt};
use crate::heap;
use crate::memory::layout::{UNIT, WORD, align_up};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// Where an item goes.
enum Room {
    At {
        tail: u64,
        record: u64,
    },
    /// At the start of the tail's own page: the ring is empty, and there is no page to go on to.
    Start {
        tail: u64,
        record: u64,
    },
    None(Put),
    /// On a page that is to be added first.
    NewPage,
}

/// Whether one more item may be put that counts so many bytes, wherever it goes; why not. The put lock
/// is held.
#[inline(always)]
pub(super) fn room_for(segment: &Segment, object: Object, bytes: u64) -> Result<Option<Put>> {
    let at = |offset| segment.word(object + offset).load(Ordering::Relaxed);
    if at(CLOSING) & 1 != 0 {
        return Ok(Some(Put::ShutDown));
    }
    // First of all: who waited for room would wait for ever.
    if bytes != 0 && bytes > bytes::maximum_bytes(segment, object) {
        return Ok(Some(Put::TooLarge));
    }
    let maximum = at(MAXIMUM);
    if maximum != 0 {
        let (items, leased) = counts(segment, object);
        if items.saturating_add(leased) >= maximum {
            return Ok(Some(Put::Full));
        }
    }
    if bytes != 0 && bytes > bytes::room(segment, object) {
        return Ok(Some(Put::Full));
    }
    Ok(None)
}

fn is_ring_empty(segment: &Segment, object: Object) -> bool {
    read(segment, object + HEAD) == read(segment, object + TAIL)
}

/// The put lock is held.
#[inline(always)]
fn room(segment: &Segment, object: Object, size: u64, bytes: u64) -> Result<Room> {
    if let Some(put) = room_for(segment, object, bytes)? {
        return Ok(Room::None(put));
    }
    let tail = segment.word(object + TAIL).load(Ordering::Relaxed);
    head_of(segment, tail)?;
    let page = page_of(tail);
    if tail + size + JUMP_ROOM <= page + UNIT {
        return Ok(Room::At { tail, record: tail });
    }
    if let Some(next) = page::next_empty(segment, object, tail)? {
        let record = next + FIRST_RECORD;
        return Ok(Room::At { tail, record });
    }
    // The head only moves on to the tail: if they are together, they stay so under the put lock.
    if is_ring_empty(segment, object) {
        let record = page + FIRST_RECORD;
        return Ok(Room::Start { tail, record });
    }
    Ok(Room::NewPage)
}

/// Fills a record behind the tail, which nobody sees before the tail moves on; where it then is.
#[inline]
fn fill(
    segment: &Segment,
    (tail, record): (u64, u64),
    (kind, length): (u64, u64),
    bytes: impl FnOnce(u64),
) -> u64 {
    let ordinal = Header(segment.word(tail).load(Ordering::Relaxed)).ordinal();
    bytes(record + WORD);
    let header = Header::new(ordinal, kind, length);
    let store = |at: u64, header: Header| segment.word(at).store(header.0, Ordering::Relaxed);
    let end = record + header.size();
    store(end, Header::new((ordinal + 1) & 0xFFFF_FFFF, 0, 0));
    store(record, header);
    if record != tail {
        segment.word(tail + WORD).store(record, Ordering::Relaxed);
        store(tail, Header::new(ordinal, A_JUMP, WORD));
    }
    end
}

/// Puts an item that lies in the ring itself, on the fast path; None: `put` is due.
///
/// # Safety
/// No other thread of this process is in such a function of the same space meanwhile: it uses
/// the record set apart for the GIL's holder.
///
/// # Crash
/// The store to the tail commits; the queued wake is written before it.
#[inline]
pub unsafe fn put_fast(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    item: &NewItem,
) -> Option<Put> {
    let (kind, length) = shape(item);
    let order = read(segment, object + ORDER);
    if length > INLINE || kind == A_BLOCK || order & !COUNTED != Order::Fifo as u64 {
        return None;
    }
    if order & COUNTED != 0 {
        // SAFETY: as the caller promised.
        return unsafe { put_counted_fast(segment, participant, object, item) };
    }
    if !participant.is_ours() {
        return None; // encoding the item forked
    }
    let Ok(Tried::Acquired | Tried::Recovered) =
        lock::try_acquire(segment, object.lock(), participant.me, 0)
    else {
        return None;
    };
    let size = WORD + align_up(length, WORD);
    let put = match room(segment, object, size, 0) {
        // A new page is `put`'s, which then drops those too many.
        Ok(Room::At { tail, record }) if tail == record => {
            if seeded(Bug::TailBeforeRecord) {
                let end = record + WORD + align_up(length, WORD);
                segment.word(object + TAIL).store(end, Ordering::Release);
            }
            let end = fill(segment, (tail, record), (kind, length), |at| {
                copy(segment, item, at);
            });
            commit_put(segment, participant, object, end);
            return Some(Put::Done);
        }
        Ok(Room::None(put)) => Some(put),
        _ => None,
    };
    lock::release(segment, object.lock());
    put
}

/// Commits, with the put lock held, what was written up to `end`: the store to the tail.
#[inline(always)]
pub(super) fn commit_put(segment: &Segment, participant: &Participant, object: Object, end: u64) {
    let (base, event) = (participant.record(0), object + ITEMS);
    fast::queue_wake(segment, base, event);
    segment.word(object + TAIL).store(end, Ordering::Release); // pairs with `read`
    crate::memory::crash_point!("queue.put");
    fast::finish(segment, base, Some(object.lock()), event, wait::notify);
}

/// As `put_fast`, into a queue that counts bytes.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// One record moves the tail on and counts the item's bytes.
unsafe fn put_counted_fast(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    item: &NewItem,
) -> Option<Put> {
    let (kind, length) = shape(item);
    let bytes = bytes::bytes_of(length);
    // SAFETY: as the caller promised.
    let mut record = unsafe { FastOperation::begin(segment, participant, object.lock()) }?;
    let size = WORD + align_up(length, WORD);
    match room(segment, object, size, bytes).ok()? {
        Room::At { tail, record: at } if tail == at => {
            let end = fill(segment, (tail, at), (kind, length), |at| {
                copy(segment, item, at);
            });
            let put = record.read(object + PUT_BYTES).wrapping_add(bytes);
            record.write(object + PUT_BYTES, put);
            record.write(object + TAIL, end);
            crate::memory::crash_point!("queue.put");
            record.commit(object + ITEMS);
            Some(Put::Done)
        }
        Room::None(put) => Some(put),
        _ => None, // a new page is `put`'s
    }
}

/// Puts an item, if there is room for it.
///
/// # Errors
/// `Full` when a page is needed and there is none: then the ring is not empty; `Interrupted` as the
/// wait policy says; `Corrupt`.
///
/// # Crash
/// The store to the tail commits, or for a block the record that ends our ownership with it. Where an
/// empty ring begins its page again, the record that moves the head with the tail.
pub fn put(caller: Caller, queue: Queue, item: &NewItem) -> Result<Put> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let (kind, length) = shape(item);
    let stack = order_of(segment, object) == Order::Lifo as u64;
    if let (true, NewItem::Block(pending)) = (stack, item) {
        return push(caller, queue, pending);
    }
    let size = WORD + align_up(length, WORD);
    if stack || length > INLINE {
        return Err(corrupt("an item that must be in a block is not")); // the caller's mistake
    }
    let bytes = bytes::of_new(segment, object, item)?;
    loop {
        let mut jumped = false;
        let put = caller.run(|operation| {
            operation.lock(object.lock())?;
            let mut starts = false;
            let (tail, record) = match room(segment, object, size, bytes)? {
                Room::At { tail, record } => (tail, record),
                Room::Start { tail, record } => {
                    operation.lock(object + GET_LOCK)?;
                    operation.write(object + HEAD, record);
                    operation.sequence(object + SEQUENCE);
                    starts = true;
                    (tail, record)
                }
                Room::None(put) => return Ok(Some(put)),
                Room::NewPage => return Ok(None),
            };
            jumped = page_of(record) != page_of(tail);
            let end = fill(segment, (tail, record), (kind, length), |at| {
                copy(segment, item, at);
            });
            operation.queue_wake(object + ITEMS);
            if let NewItem::Block(pending) = item {
                pending.transfer(operation, 0);
            }
            if starts || matches!(item, NewItem::Block(_)) || bytes != 0 {
                bytes::count(operation, object, Count::Put, bytes);
                operation.write(object + TAIL, end);
                operation.commit();
            } else {
                let tail = segment.word(object + TAIL);
                operation.commit_with(|| tail.store(end, Ordering::Release));
            }
            crate::memory::crash_point!("queue.put");
            Ok(Some(Put::Done))
        })?;
        match put {
            None => match page::add(caller, queue) {
                // Its page begins again: consumers took all of it meanwhile.
                Err(Error::Full(_)) if is_ring_empty(segment, object) => {}
                added => added?,
            },
            Some(done) => {
                if jumped {
                    // The item is there: what fails now, a later put makes good.
                    let _ = page::trim(caller, queue);
                }
                return Ok(done);
            }
        }
    }
}

/// Puts a block on the stack.
fn push(caller: Caller, queue: Queue, item: &PendingBlock) -> Result<Put> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let bytes = bytes::of_block(segment, object, item.block())?;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        if let Some(put) = room_for(segment, object, bytes)? {
            return Ok(put);
        }
        operation.lock(object + GET_LOCK)?;
        stack(operation, object, item.block());
        count_put(operation, object)?;
        item.transfer(operation, 0);
        bytes::count(operation, object, Count::Put, bytes);
        operation.queue_wake(object + ITEMS);
        operation.commit();
        Ok(Put::Done)
    })
}

/// Writes the entries that put a block on the stack, and the sequence around them.
pub(super) fn stack(operation: &mut Operation, object: Object, block: u64) {
    let next = operation.read(object + RETURNED);
    operation.write(heap::payload(operation.segment, block), next);
    operation.write(object + RETURNED, block);
    let stacked = operation.read(object + STACKED);
    operation.write(object + STACKED, stacked.wrapping_add(1));
    operation.sequence(object + SEQUENCE);
}

/// Writes the entries that count an item put on the stack, where no record in the ring does:
/// the heads at head and tail go on by one, in one place, since the ring is empty.
pub(super) fn count_put(operation: &mut Operation, object: Object) -> Result<()> {
    let tail = operation.read(object + TAIL);
    if tail != operation.read(object + HEAD) {
        return Err(corrupt("a stack has a ring that is not empty"));
    }
    let header = head_of(operation.segment, tail)?;
    let ordinal = (header.ordinal() + 1) & 0xFFFF_FFFF;
    operation.write(tail, Header::new(ordinal, 0, 0).0);
    Ok(())
}
