//! The queue: a ring of pages between a put lock and a get lock.
//!
//! | at               | word     | guarded by | meaning                                                         |
//! | ---------------- | -------- | ---------- | --------------------------------------------------------------- |
//! | 0                | lock     |            | the put lock                                                    |
//! | `object::EVENT`  | items    |            | changes with every item put or come back                        |
//! | `SEQUENCE`       | sequence | get lock   | around changes of what is in flight                             |
//! | `TAIL`           | tail     | put lock   | where the next record goes                                      |
//! | `GET_LOCK`       | lock     |            | the get lock                                                    |
//! | `HEAD`           | head     | get lock   | the oldest record                                               |
//! | `ROOM`           | room     |            | changes with every item taken                                   |
//! | `RETURNED`       | returned | get lock   | a stack of blocks served before the ring                        |
//! | `REQUEUED`       | requeued | get lock   | items back from a lease, by when each is due: a treap of blocks |
//! | `STACKED`        | stacked  | get lock   | how many blocks are on the stack                                |
//! | `LEASED`         | leased   | get lock   | how many items are out on a lease                               |
//! | `DONE`           | done     | get lock   | items done with, by `task_done` and for the dead                |
//! | `SURPLUS`        | surplus  | get lock   | items done with by others than who took them                    |
//! | `MAXIMUM`        | maximum  | put lock   | how many items there may be, or 0                               |
//! | `CLOSING`        | closing  | put lock   | odd after `shutdown`; more with each, and each `reopen`         |
//! | `FINISHED`       | finished |            | changes with `DONE`, and with every item taken on a lease       |
//! | `PAGES`          | page     | put lock   | any page of the circle                                          |
//! | `ORDER`          | order    | once       | which item is taken first: an `Order`; `COUNTED`                |
//! | `TREE`           | tree     | get lock   | the block of a priority queue's words                           |
//! | `TREE_ROOM`      | room     | get lock   | how many words fit there                                        |
//! | `FILLED`         | filled   | get lock   | how many are there                                              |
//! | `TURN`           | lock     |            | the user-level lock of who works on the tree                    |
//! | `REQUEUED_COUNT` | count    | get lock   | how many items are requeued                                     |
//! | `DUE_EPOCH`      | epoch    | get lock   | counts the boots of the machine at which items were requeued    |
//! | `DUE_BOOT`       | boot     | get lock   | the last of these                                               |
//! | `MAXBYTES`       | maximum  | once       | how many bytes the items may count, or 0: `bytes`               |
//! | `PUT_BYTES`      | bytes    | put lock   | of items put                                                    |
//! | `GOT_BYTES`      | bytes    | get lock   | of items taken and done with                                    |
//! | `LEASED_BYTES`   | bytes    | get lock   | of items out on a lease                                         |
//!
//! A page is a unit of the heap; pages form a circle by their first word, changed under the put
//! lock. A record: `ordinal << 32 | kind << 24 | length`, then the bytes, filled to whole words.
//! The kinds below `WORD_KINDS` say what the bytes are; others are the codec's. At the tail is
//! the head of a record to come, with its ordinal, so that the difference of the two ordinals is
//! the number of items. One store to the tail publishes an item, one to the head takes it, and
//! what is behind a store before it means nothing.

use crate::error::{Result, corrupt};
use crate::memory::layout::{self, UNIT, WORD, block};
use crate::memory::segment::Segment;
use crate::object::kind::Readiness;
use crate::object::{self, link};
use crate::offset::{EventAt, LockAt, Object};
use crate::process::membership_cache::ObjectId;
use crate::space::Caller;
use crate::space::reading::Reading;
use crate::sync::Ordering;

pub const ITEMS: EventAt = object::EVENT;
pub(super) const SEQUENCE: u64 = object::SEQUENCE;
pub(super) const TAIL: u64 = object::DATA;
pub const GET_LOCK: LockAt = LockAt(object::PAYLOAD);
pub(super) const HEAD: u64 = GET_LOCK.0 + 8;
pub const ROOM: EventAt = EventAt(GET_LOCK.0 + 16);
pub(super) const RETURNED: u64 = GET_LOCK.0 + 24;
pub(super) const REQUEUED: u64 = GET_LOCK.0 + 32;
pub(super) const LEASED: u64 = GET_LOCK.0 + 40;
pub(super) const DONE: u64 = GET_LOCK.0 + 48;
pub(super) const SURPLUS: u64 = GET_LOCK.0 + 56;
pub(super) const MAXIMUM: u64 = GET_LOCK.0 + 64;
pub(super) const CLOSING: u64 = GET_LOCK.0 + 72;
pub const FINISHED: EventAt = EventAt(GET_LOCK.0 + 80);
/// Each change of a queue changes one of these event words.
pub const EVENTS: [EventAt; 3] = [ITEMS, ROOM, FINISHED];
pub(super) const PAGES: u64 = GET_LOCK.0 + 88;
pub(super) const ORDER: u64 = GET_LOCK.0 + 96;
pub(super) const TREE: u64 = GET_LOCK.0 + 104;
pub(super) const TREE_ROOM: u64 = GET_LOCK.0 + 112;
pub(super) const FILLED: u64 = GET_LOCK.0 + 120;
pub(super) const TURN: LockAt = LockAt(GET_LOCK.0 + 128);
pub(super) const STACKED: u64 = GET_LOCK.0 + 136;
pub(super) const REQUEUED_COUNT: u64 = GET_LOCK.0 + 144;
pub(super) const DUE_EPOCH: u64 = GET_LOCK.0 + 152;
pub(super) const DUE_BOOT: u64 = GET_LOCK.0 + 160;
pub(super) const MAXBYTES: u64 = GET_LOCK.0 + 168;
pub(super) const PUT_BYTES: u64 = GET_LOCK.0 + 176;
pub(super) const GOT_BYTES: u64 = GET_LOCK.0 + 184;
pub(super) const LEASED_BYTES: u64 = GET_LOCK.0 + 192;
/// Bytes of payload.
pub const LENGTH: u64 = object::least(object::QUEUE);
const _: () = assert!(LEASED_BYTES + WORD == GET_LOCK.0 + LENGTH);

/// Which item is taken first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The one put first.
    Fifo = 0,
    /// The one put last.
    Lifo = 1,
    /// The least.
    Least = 2,
}

/// What a record's bytes are: a value word, a block that holds the item, the place to go on.
pub(super) const A_WORD: u64 = 1;
/// The kind of a block that holds a value word.
pub const VALUE_WORD: u8 = A_WORD as u8;
pub(super) const A_BLOCK: u64 = 2;
pub(super) const A_JUMP: u64 = 3;

/// Kinds below this one are records' own.
pub const WORD_KINDS: u8 = 16;

/// Bytes of an item that lies in the ring itself; larger ones lie in blocks.
pub const INLINE: u64 = 4096;

/// The first record of a page, after the block's head and the next page.
pub const FIRST_RECORD: u64 = block::LARGE + WORD;
/// What must be left of a page after a record: a jump.
pub const JUMP_ROOM: u64 = 2 * WORD;

/// At the start of a block's payload: the next on the stack, the kind and length of what follows, how
/// often the item was leased, and where it is among those that are requeued. What follows is at a
/// multiple of 16, for the buffers in it.
pub(super) const BLOCK_HEAD: u64 = link::ITEM_HEAD;
/// The next on the stack; of a requeued item what is due before it.
pub(super) const LEFT: u64 = 0;
/// The lower half: how often it was leased. The upper: the ordinal of the tail when it was requeued.
pub(super) const ATTEMPTS: u64 = 2 * WORD;
/// When it is due.
pub(super) const DUE: u64 = 3 * WORD;
/// What is due after it.
pub(super) const RIGHT: u64 = 4 * WORD;

/// Where the payload of an item's block starts, checked as data of a peer.
pub(super) fn payload_of(segment: &Segment, block: u64) -> Result<u64> {
    segment.check_range(block, block::SMALL)?;
    let payload = crate::heap::payload(segment, block);
    segment.check_range(payload, BLOCK_HEAD)?;
    Ok(payload)
}

/// Who uses which queue.
#[derive(Clone, Copy)]
pub struct Queue {
    pub object: Object,
    pub id: ObjectId,
}

impl Queue {
    /// One that rows name already: nothing is recorded of which object it is.
    pub(super) fn at(object: Object) -> Queue {
        let id = ObjectId::default();
        Queue { object, id }
    }
}

pub(super) fn read(segment: &Segment, word: u64) -> u64 {
    segment.word(word).load(Ordering::Acquire) // pairs with the publishing stores, Release
}

/// Which item is taken first; written once.
pub(super) fn order_of(segment: &Segment, object: Object) -> u64 {
    read(segment, object + ORDER) & !COUNTED
}

pub(super) fn page_of(at: u64) -> u64 {
    at / UNIT * UNIT
}

/// The head of the record at `at`, as data of a peer: within its page, with room for a jump.
pub(super) fn head_of(segment: &Segment, at: u64) -> Result<Header> {
    let wrong = || corrupt(format!("a queue leads to {at:#x}, which holds no record"));
    if !at.is_multiple_of(WORD) || at - page_of(at) < FIRST_RECORD {
        return Err(wrong());
    }
    segment.check_range(page_of(at), UNIT)?;
    let header = Header(segment.word(at).load(Ordering::Relaxed));
    if at + header.size().max(JUMP_ROOM) > page_of(at) + UNIT {
        return Err(wrong());
    }
    Ok(header)
}

/// The first word of a record.
#[derive(Clone, Copy)]
pub(super) struct Header(pub(super) u64);

impl Header {
    pub(super) fn new(ordinal: u64, kind: u64, length: u64) -> Header {
        Header(ordinal << 32 | kind << 24 | length)
    }

    pub(super) fn ordinal(self) -> u64 {
        self.0 >> 32
    }

    pub(super) fn kind(self) -> u64 {
        self.0 >> 24 & 0xFF
    }

    pub(super) fn length(self) -> u64 {
        self.0 & 0xFF_FFFF
    }

    /// Bytes of the whole record.
    pub(super) fn size(self) -> u64 {
        WORD + layout::align_up(self.length(), WORD)
    }
}

/// How many items ever were put before the place `at`, modulo 2³².
pub(super) fn ordinal(segment: &Segment, at: u64) -> u64 {
    match segment.check_range(at, WORD) {
        Ok(()) => Header(segment.word(at).load(Ordering::Relaxed)).ordinal(),
        Err(_) => 0,
    }
}

pub(super) fn distance(from: u64, to: u64) -> u64 {
    u64::from((to as u32).wrapping_sub(from as u32))
}

/// Items that can be taken, now or when they are due, and those out on a lease, as they were together
/// at one moment.
pub fn counts(segment: &Segment, object: Object) -> (u64, u64) {
    let (items, requeued, leased) = all_counts(segment, object);
    (items.saturating_add(requeued), leased)
}

/// Whether a `get` would wait.
pub(super) fn readiness(segment: &Segment, object: Object) -> Readiness {
    let is_closing = is_closing(segment, object); // before the look for items, as `get` does
    match all_counts(segment, object) {
        (0, 0, _) => is_closing.into(),
        (0, _, _) => Readiness::Later,
        _ => Readiness::Ready,
    }
}

/// Items in line, items put back for later or not yet in line again, and those out on a lease.
fn all_counts(segment: &Segment, object: Object) -> (u64, u64, u64) {
    let at = |offset| read(segment, object + offset);
    loop {
        let _reading = Reading::new(segment); // the page of the head may go
        let (sequence, head, tail) = (at(SEQUENCE), at(HEAD), at(TAIL));
        let ring = distance(ordinal(segment, head), ordinal(segment, tail));
        let (stacked, leased, filled) = (at(STACKED), at(LEASED), at(FILLED));
        let requeued = at(REQUEUED_COUNT);
        if (sequence, head, tail) == (at(SEQUENCE), at(HEAD), at(TAIL)) {
            // Odd: somebody is inside a change, perhaps dead; each word by itself is right.
            let items = ring.saturating_add(stacked).saturating_add(filled);
            return (items, requeued, leased);
        }
    }
}

/// Items put and not done with yet.
pub fn unfinished(segment: &Segment, object: Object) -> u64 {
    let place = || {
        (
            read(segment, object + SEQUENCE),
            read(segment, object + TAIL),
        )
    };
    let _reading = Reading::new(segment);
    loop {
        let (sequence, tail) = place();
        let open = distance(read(segment, object + DONE), ordinal(segment, tail));
        if (sequence, tail) == place() {
            return open;
        }
    }
}

pub fn maximum(segment: &Segment, object: Object) -> u64 {
    read(segment, object + MAXIMUM)
}

pub fn is_closing(segment: &Segment, object: Object) -> bool {
    read(segment, object + CLOSING) & 1 != 0
}

/// How often the queue was shut down.
pub fn shutdowns(segment: &Segment, object: Object) -> u64 {
    read(segment, object + CLOSING).div_ceil(2)
}

/// Whether the queue is shut down, or was since there were so many `shutdowns`: calls that wait end then,
/// also if it slept while the queue was reopened.
pub fn is_over(segment: &Segment, object: Object, shutdowns: u64) -> bool {
    let closing = read(segment, object + CLOSING);
    closing & 1 != 0 || closing.div_ceil(2) != shutdowns
}

/// Sets how many items there may be.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
pub fn set_maximum(caller: Caller, queue: Queue, maximum: u64) -> Result<()> {
    caller.run(|operation| {
        operation.lock(queue.object.lock())?;
        operation.write(queue.object + MAXIMUM, maximum);
        operation.queue_wake(queue.object + ROOM);
        operation.commit();
        Ok(())
    })
}

/// From now on nothing can be put; who waits is woken.
///
/// # Errors
/// As `set_maximum`.
pub fn shut_down(caller: Caller, queue: Queue) -> Result<()> {
    caller.run(|operation| {
        operation.lock(queue.object.lock())?;
        let closing = operation.read(queue.object + CLOSING);
        operation.write(queue.object + CLOSING, closing.wrapping_add(1) | 1);
        for event in EVENTS {
            operation.queue_wake(queue.object + event);
        }
        operation.commit();
        Ok(())
    })
}

/// From now on items can be put again.
///
/// # Errors
/// As `set_maximum`.
pub fn reopen(caller: Caller, queue: Queue) -> Result<()> {
    caller.run(|operation| {
        operation.lock(queue.object.lock())?;
        let closing = operation.read(queue.object + CLOSING);
        operation.write(queue.object + CLOSING, closing.wrapping_add(1) & !1);
        operation.queue_wake(queue.object + ITEMS);
        operation.queue_wake(queue.object + ROOM);
        operation.commit();
        Ok(())
    })
}

/// The flag of `ORDER` of a queue that counts bytes.
pub(super) const COUNTED: u64 = 1 << 8;
