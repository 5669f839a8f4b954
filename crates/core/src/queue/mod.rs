//! The queue: a ring of pages between a put lock and a get lock.
//!
//! | at             | word     | guarded by | meaning                                            |
//! | -------------- | -------- | ---------- | -------------------------------------------------- |
//! | 0              | lock     |            | the put lock                                       |
//! | `cell::EVENT`  | items    |            | changes with every item put or come back           |
//! | `SEQUENCE`     | sequence | get lock   | around changes of what is in flight                |
//! | `TAIL`         | tail     | put lock   | where the next record goes                         |
//! | `GET_LOCK`     | lock     |            | the get lock                                       |
//! | `HEAD`         | head     | get lock   | the oldest record                                  |
//! | `ROOM`         | room     |            | changes with every item taken                      |
//! | `RETURNED`     | returned | get lock   | a stack of blocks served before the ring           |
//! | `REQUEUED`     | requeued | get lock   | items back from a lease, by when each is due: a treap of blocks |
//! | `STACKED`      | stacked  | get lock   | how many blocks are on the stack                   |
//! | `LEASED`       | leased   | get lock   | how many items are out on a lease                  |
//! | `DONE`         | done     | get lock   | items done with, by `task_done` and for the dead   |
//! | `SURPLUS`      | surplus  | get lock   | items done with by others than who took them       |
//! | `MAXIMUM`      | maximum  | put lock   | how many items there may be, or 0                  |
//! | `CLOSING`      | closing  | put lock   | odd after `shutdown`; more with each, and each `reopen` |
//! | `FINISHED`     | finished |            | changes with `DONE`, and with every item taken on a lease |
//! | `PAGES`        | page     | put lock   | any page of the circle                             |
//! | `ORDER`        | order    | once       | which item is taken first: an `Order`; `COUNTED`   |
//! | `TREE`         | tree     | get lock   | the block of a priority queue's words              |
//! | `TREE_ROOM`    | room     | get lock   | how many words fit there                           |
//! | `FILLED`       | filled   | get lock   | how many are there                                 |
//! | `TURN`         | lock     |            | the user-level lock of who works on the tree       |
//! | `REQUEUED_COUNT` | count  | get lock   | how many items are requeued                        |
//! | `DUE_EPOCH`    | epoch    | get lock   | counts the boots of the machine at which items were requeued |
//! | `DUE_BOOT`     | boot     | get lock   | the last of these                                  |
//! | `MAXBYTES`     | maximum  | once       | how many bytes the items may count, or 0: `bytes`  |
//! | `PUT_BYTES`    | bytes    | put lock   | of items put                                       |
//! | `GOT_BYTES`    | bytes    | get lock   | of items taken and done with                       |
//! | `LEASED_BYTES` | bytes    | get lock   | of items out on a lease                            |
//!
//! A page is a unit of the heap; pages form a circle by their first word, changed under the put
//! lock. A record: `ordinal << 32 | kind << 24 | length`, then the bytes, filled to whole words.
//! The kinds below `WORD_KINDS` say what the bytes are; others are the codec's. At the tail stands
//! the head of a record to come, with its ordinal, so that the difference of the two ordinals is
//! the number of items. One store to the tail publishes an item, one to the head takes it, and
//! what is behind a store before it means nothing.

mod batch;
mod bytes;
mod clear;
mod doom;
mod end;
mod front;
mod item;
mod lease;
mod page;
mod peek;
mod requeue;
mod tail;
mod tree;

pub use batch::{Item, Items, Run, add_record, get_run, get_word, put_run, starts_with_word};
pub use bytes::{LEAST_BYTES, bytes, bytes_of, maximum_bytes, never_fits, of_block, of_fresh};
pub use clear::{clear, free_cleared};
pub use doom::crumble;
pub use end::{End, end, end_later};
pub use front::{
    Place, get, get_alone, get_alone_but, get_but, look, look_at, put_back, put_back_later,
    take_at, task_done, task_done_later,
};
pub use item::{
    Fresh, Got, Put, attempts, contents, fill, length_linked, prepare, prepare_linked, reserve,
};
pub use lease::{Lease, enroll, finish, give_back, lease, settle, taken, withdraw};
pub use page::{Bounds, create, drop_pages, lay_out};
pub use peek::{LONGEST_SEEN, Look, Seen, peek};
pub use requeue::{When, drop_requeued, has_requeued, promote, requeue, transfer, until_due};
pub use tail::{put, put_alone};
pub use tree::{Sift, block_of, end_turn, filled, insert, try_turn, turn, word};

use crate::cell;
use crate::error::{Attempt, Result, corrupt};
use crate::layout::{self, UNIT, WORD, block};
use crate::link;
use crate::operation::Operation;
use crate::participant::Participant;
use crate::reading::Reading;
use crate::roster::ObjectId;
use crate::segment::Segment;
use crate::space::{Blocks, Patience, Space};
use crate::sync::Ordering;

pub const ITEMS: u64 = cell::EVENT;
const SEQUENCE: u64 = cell::SEQUENCE;
const TAIL: u64 = cell::DATA;
const GET_LOCK: u64 = cell::PAYLOAD;
const HEAD: u64 = GET_LOCK + 8;
pub const ROOM: u64 = GET_LOCK + 16;
const RETURNED: u64 = GET_LOCK + 24;
const REQUEUED: u64 = GET_LOCK + 32;
const LEASED: u64 = GET_LOCK + 40;
const DONE: u64 = GET_LOCK + 48;
const SURPLUS: u64 = GET_LOCK + 56;
const MAXIMUM: u64 = GET_LOCK + 64;
const CLOSING: u64 = GET_LOCK + 72;
pub const FINISHED: u64 = GET_LOCK + 80;
/// Each change of a queue changes one of these event words.
pub const EVENTS: [u64; 3] = [ITEMS, ROOM, FINISHED];
const PAGES: u64 = GET_LOCK + 88;
const ORDER: u64 = GET_LOCK + 96;
const TREE: u64 = GET_LOCK + 104;
const TREE_ROOM: u64 = GET_LOCK + 112;
const FILLED: u64 = GET_LOCK + 120;
const TURN: u64 = GET_LOCK + 128;
const STACKED: u64 = GET_LOCK + 136;
const REQUEUED_COUNT: u64 = GET_LOCK + 144;
const DUE_EPOCH: u64 = GET_LOCK + 152;
const DUE_BOOT: u64 = GET_LOCK + 160;
const MAXBYTES: u64 = GET_LOCK + 168;
const PUT_BYTES: u64 = GET_LOCK + 176;
const GOT_BYTES: u64 = GET_LOCK + 184;
const LEASED_BYTES: u64 = GET_LOCK + 192;
/// Bytes of payload.
pub const LENGTH: u64 = cell::least(cell::QUEUE);
const _: () = assert!(LEASED_BYTES + WORD == GET_LOCK + LENGTH);

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
const A_WORD: u64 = 1;
/// The kind of a block that holds a value word.
pub const VALUE_WORD: u8 = A_WORD as u8;
const A_BLOCK: u64 = 2;
const A_JUMP: u64 = 3;

/// Kinds below this one are records' own.
pub const WORD_KINDS: u8 = 16;

/// Bytes of an item that lies in the ring itself; larger ones lie in blocks.
pub const INLINE: u64 = 4096;

/// The first record of a page, after the block's head and the next page.
pub const FIRST_RECORD: u64 = block::LARGE + WORD;
/// What must be left of a page after a record: a jump.
pub const JUMP_ROOM: u64 = 2 * WORD;

/// At the start of a block's payload: the next on the stack, the kind and length of what follows, how
/// often the item was leased, and where it stands among those that are requeued. What follows is at a
/// multiple of 16, for the buffers in it.
const BLOCK_HEAD: u64 = link::ITEM_HEAD;
/// The next on the stack; of a requeued item what is due before it.
const LEFT: u64 = 0;
/// The lower half: how often it was leased. The upper: the ordinal of the tail when it was requeued.
const ATTEMPTS: u64 = 2 * WORD;
/// When it is due.
const DUE: u64 = 3 * WORD;
/// What is due after it.
const RIGHT: u64 = 4 * WORD;

/// Where the payload of an item's block starts, checked as data of a peer.
fn payload_of(segment: &Segment, block: u64) -> Result<u64> {
    segment.check_range(block, block::SMALL)?;
    let payload = crate::heap::payload(segment, block);
    segment.check_range(payload, BLOCK_HEAD)?;
    Ok(payload)
}

/// Who uses which queue.
#[derive(Clone, Copy)]
pub struct Queue {
    pub cell: u64,
    pub object: ObjectId,
}

impl Queue {
    /// One that rows name already: nothing is recorded of which object it is.
    fn at(cell: u64) -> Queue {
        let object = ObjectId::default();
        Queue { cell, object }
    }
}

fn read(segment: &Segment, word: u64) -> u64 {
    segment.word(word).load(Ordering::Acquire) // pairs with the publishing stores, Release
}

/// Which item is taken first; written once.
fn order_of(segment: &Segment, cell: u64) -> u64 {
    read(segment, cell + ORDER) & !bytes::COUNTED
}

fn page_of(at: u64) -> u64 {
    at / UNIT * UNIT
}

/// The head of the record at `at`, as data of a peer: within its page, with room for a jump.
fn head_of(segment: &Segment, at: u64) -> Result<Header> {
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
struct Header(u64);

impl Header {
    fn new(ordinal: u64, kind: u64, length: u64) -> Header {
        Header(ordinal << 32 | kind << 24 | length)
    }

    fn ordinal(self) -> u64 {
        self.0 >> 32
    }

    fn kind(self) -> u64 {
        self.0 >> 24 & 0xFF
    }

    fn length(self) -> u64 {
        self.0 & 0xFF_FFFF
    }

    /// Bytes of the whole record.
    fn size(self) -> u64 {
        WORD + layout::align_up(self.length(), WORD)
    }
}

/// How many items ever were put before the place `at`, modulo 2³².
fn ordinal(segment: &Segment, at: u64) -> u64 {
    match segment.check_range(at, WORD) {
        Ok(()) => Header(segment.word(at).load(Ordering::Relaxed)).ordinal(),
        Err(_) => 0,
    }
}

fn distance(from: u64, to: u64) -> u64 {
    u64::from((to as u32).wrapping_sub(from as u32))
}

/// Items that can be taken, now or when they are due, and those out on a lease, as they stood together at one moment.
pub fn counts(segment: &Segment, cell: u64) -> (u64, u64) {
    let at = |offset| read(segment, cell + offset);
    loop {
        let _reading = Reading::new(segment); // the page of the head may go
        let (sequence, head, tail) = (at(SEQUENCE), at(HEAD), at(TAIL));
        let ring = distance(ordinal(segment, head), ordinal(segment, tail));
        let (stacked, leased, filled) = (at(STACKED), at(LEASED), at(FILLED));
        let requeued = at(REQUEUED_COUNT);
        if (sequence, head, tail) == (at(SEQUENCE), at(HEAD), at(TAIL)) {
            // Odd: somebody is inside a change, perhaps dead; each word by itself is right.
            let items = ring.saturating_add(stacked).saturating_add(filled);
            let items = items.saturating_add(requeued);
            return (items, leased);
        }
    }
}

/// Items put and not done with yet.
pub fn unfinished(segment: &Segment, cell: u64) -> u64 {
    let _reading = Reading::new(segment);
    let tail = read(segment, cell + TAIL);
    distance(read(segment, cell + DONE), ordinal(segment, tail))
}

pub fn maximum(segment: &Segment, cell: u64) -> u64 {
    read(segment, cell + MAXIMUM)
}

pub fn is_closing(segment: &Segment, cell: u64) -> bool {
    read(segment, cell + CLOSING) & 1 != 0
}

/// How often the queue was shut down.
pub fn shutdowns(segment: &Segment, cell: u64) -> u64 {
    read(segment, cell + CLOSING).div_ceil(2)
}

/// Whether the queue is shut down, or was since there were so many `shutdowns`: calls that wait end then,
/// also if it slept while the queue was reopened.
pub fn is_over(segment: &Segment, cell: u64, shutdowns: u64) -> bool {
    let closing = read(segment, cell + CLOSING);
    closing & 1 != 0 || closing.div_ceil(2) != shutdowns
}

/// Sets how many items there may be.
///
/// # Errors
/// `Interrupted` as `patience` says; `System`.
pub fn set_maximum(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
    maximum: u64,
) -> Result<()> {
    space.run_as(participant, patience, |operation| {
        operation.lock(queue.cell)?;
        operation.write(queue.cell + MAXIMUM, maximum);
        operation.owe(queue.cell + ROOM);
        operation.commit();
        Ok(())
    })
}

/// From now on nothing can be put; who waits is told.
///
/// # Errors
/// As `set_maximum`.
pub fn shut_down(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
) -> Result<()> {
    space.run_as(participant, patience, |operation| {
        operation.lock(queue.cell)?;
        let closing = operation.read(queue.cell + CLOSING);
        operation.write(queue.cell + CLOSING, closing.wrapping_add(1) | 1);
        for event in EVENTS {
            operation.owe(queue.cell + event);
        }
        operation.commit();
        Ok(())
    })
}

/// From now on items can be put again.
///
/// # Errors
/// As `set_maximum`.
pub fn reopen(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
) -> Result<()> {
    space.run_as(participant, patience, |operation| {
        operation.lock(queue.cell)?;
        let closing = operation.read(queue.cell + CLOSING);
        operation.write(queue.cell + CLOSING, closing.wrapping_add(1) & !1);
        operation.owe(queue.cell + ITEMS);
        operation.owe(queue.cell + ROOM);
        operation.commit();
        Ok(())
    })
}

/// A number that changes with the queue's blocks, and the blocks that it consists of.
///
/// # Errors
/// `Corrupt`.
pub fn blocks(segment: &Segment, root: u64, cell: u64) -> Result<Blocks> {
    let at = |offset| read(segment, cell + offset);
    let version = || {
        at(TAIL)
            .wrapping_add(at(HEAD).rotate_left(32))
            .wrapping_add(at(RETURNED).rotate_left(16))
            .wrapping_add(at(REQUEUED).rotate_left(8))
            .wrapping_add(at(SEQUENCE))
            .wrapping_add(at(PUT_BYTES)) // a multiple of 8: whether it is odd is the sequence's
            .wrapping_sub(at(GOT_BYTES).wrapping_mul(3))
    };
    let first_version = version();
    let mut found = bytes::Found::new(segment, cell);
    let mut all = Blocks {
        blocks: vec![root],
        ..Blocks::default()
    };
    let most = segment.size() / UNIT;
    let (first, mut page) = (at(PAGES), at(PAGES));
    while page != 0 {
        segment.check_range(page, block::LARGE + WORD)?;
        all.blocks.push(page);
        page = read(segment, page + block::LARGE);
        if page == first {
            break;
        }
        if all.blocks.len() as u64 > most {
            return Err(corrupt("the pages of a queue have no end"));
        }
    }
    let mut stacked = at(RETURNED);
    while stacked != 0 {
        let payload = payload_of(segment, stacked)?;
        link::add(segment, &mut all, stacked)?;
        found.add_block(stacked)?;
        if all.blocks.len() as u64 > segment.size() / layout::LINE {
            return Err(corrupt("the stack of a queue has no end"));
        }
        stacked = read(segment, payload);
    }
    for block in requeue::blocks(segment, cell, usize::MAX)? {
        link::add(segment, &mut all, block)?;
        found.add_block(block)?;
    }
    if at(TREE) != 0 {
        all.blocks.push(at(TREE));
        for index in 0..at(FILLED) {
            match tree::block_of(segment, tree::word(segment, cell, index)?)? {
                None => found.add(WORD),
                Some(block) => {
                    link::add(segment, &mut all, block)?;
                    found.add_block(block)?;
                }
            }
        }
    }
    let (mut head, tail) = (at(HEAD), at(TAIL));
    let (pages, mut jumps) = (all.blocks.len(), 0);
    while head != tail {
        let header = head_of(segment, head)?;
        let word = read(segment, head + WORD);
        match header.kind() {
            A_JUMP if jumps > pages => {
                return Err(corrupt("the records of a queue have no end"));
            }
            A_JUMP => (head, jumps) = (word, jumps + 1),
            kind => {
                if kind == A_BLOCK {
                    link::add(segment, &mut all, word)?;
                    found.add_block(word)?;
                } else {
                    found.add(header.length());
                }
                head += header.size();
            }
        }
        if all.blocks.len() as u64 > segment.size() / layout::LINE {
            return Err(corrupt("the records of a queue have no end"));
        }
    }
    if version() == first_version {
        found.prove()?; // else all of it was not there at one moment
    }
    all.version = first_version;
    Ok(all)
}

/// Writes the entries that free a queue's root and page, if that is all it consists of; false:
/// it must be taken apart.
///
/// # Errors
/// `Stop` as the heap has it.
pub fn dismantle(operation: &mut Operation, root: u64, cell: u64) -> Attempt<bool> {
    let read = |offset| operation.read(cell + offset);
    let page = read(PAGES);
    let is_empty = [RETURNED, REQUEUED, TREE]
        .iter()
        .all(|&word| read(word) == 0);
    if read(HEAD) != read(TAIL) || !is_empty || page == 0 {
        return Ok(false);
    }
    operation.segment.check_range(page, block::LARGE + WORD)?;
    if operation.read(page + block::LARGE) != page {
        return Ok(false);
    }
    crate::heap::discard(operation, page)?;
    crate::heap::discard(operation, root)?;
    Ok(true)
}
