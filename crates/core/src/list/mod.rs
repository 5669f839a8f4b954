//! The list behind lists and deques: value words in a ring.
//!
//! A cell of kind `LIST`; its lock, the user's (`get_lock()`) and every writer's, guards all of it.
//! In the payload stands the *root*:
//!
//! | at | word     | meaning                                                  |
//! | -- | -------- | -------------------------------------------------------- |
//! |  0 | block    | the ring's block; 0: none                                |
//! |  8 | capacity | words of the ring                                        |
//! | 16 | start    | which of them is the first element                       |
//! | 24 | length   | how many elements there are                              |
//! | 32 | most     | as many as there may be, + 1; 0: any number            |
//!
//! The ring's block: `first | left | words`. The two say which elements a block that is doomed still
//! names; as long as a list has it they are 0.
//!
//! What stands outside of the elements means nothing, so new ones are written there, and one record
//! makes them count. Elements in place change by a record, and so does what is between a change inside
//! and the nearer end. All else (sorting, what leaves every other) is built aside, and one record
//! exchanges the rings.
//!
//! Readers take no lock: they copy out under the cell's sequence.

mod alone;
mod batch;
mod doom;
mod end;
mod grow;
mod most;
mod read;
mod rebuild;
mod splice;

pub use alone::{append_alone, peek, pop_alone, set_alone};
pub use batch::Batch;
pub use doom::{blocks, condemn, crumble_cell, crumble_ring};
pub use end::{End, drop_end, extend, pop, pop_if, push, rotate};
pub use most::{bound, most, set_most};
pub use read::{Element, Places, Token, get, look, snapshot};
pub use rebuild::{Piece, clear, rebuild, set};
pub use splice::{replace, splice};

use crate::cell::{self, Writer, guard};
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::layout::{LINE, WORD, block};
use crate::operation::Operation;
use crate::participant::Participant;
use crate::roster::ObjectId;
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::{Ordering, fence};

/// Bytes of payload.
pub const LENGTH: u64 = LINE;
const _: () = assert!(LENGTH == cell::least(cell::LIST));

const BLOCK: u64 = 0;
const CAPACITY: u64 = 8;
const START: u64 = 16;
const COUNT: u64 = 24;
const MOST: u64 = 32;

/// In a ring's block: the first element that it still names, and how many.
const FIRST: u64 = 0;
const LEFT: u64 = WORD;
const HEAD: u64 = 2 * WORD;

/// Who uses which list: the thread may hold its lock.
pub type List = Writer;

/// Makes an empty list; with `most`, one that drops what goes beyond that. Returns the object and our
/// membership row.
///
/// # Errors
/// `Full`.
pub fn create(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    most: Option<u64>,
) -> Result<(ObjectId, u64)> {
    let fill = |at| set_most(&space.segment, at, most);
    cell::create(space, participant, patience, cell::LIST, LENGTH, fill)
}

const fn root(cell: u64) -> u64 {
    cell::payload(cell)
}

const fn sequence(cell: u64) -> u64 {
    cell + cell::SEQUENCE
}

/// Takes the list's lock.
fn lock(operation: &mut Operation, list: List) -> Attempt<()> {
    guard(operation, list)?;
    // The last change's sequence before what we write outside of the elements: pairs with the
    // readers' Acquire fence.
    fence(Ordering::Release);
    Ok(())
}

/// The ring as it stands.
#[derive(Clone, Copy)]
struct Ring {
    block: u64,
    /// The first word of the ring.
    words: u64,
    capacity: u64,
    start: u64,
    count: u64,
}

impl Ring {
    /// As the root says: data of a peer; without the lock, perhaps of no one moment.
    #[inline]
    fn read(segment: &Segment, cell: u64) -> Result<Ring> {
        let read = |at: u64| segment.word(root(cell) + at).load(Ordering::Relaxed);
        let (block, capacity) = (read(BLOCK), read(CAPACITY));
        let (start, count) = (read(START), read(COUNT));
        if block == 0 {
            return Ok(Ring {
                block: 0,
                words: 0,
                capacity: 0,
                start: 0,
                count: 0,
            });
        }
        let words = words_of(segment, block, capacity)?;
        if start >= capacity || count > capacity {
            return Err(corrupt(format!(
                "a ring of {capacity} words with {count} from {start} on"
            )));
        }
        Ok(Ring {
            block,
            words,
            capacity,
            start,
            count,
        })
    }

    /// Which word is that many after the first element, at most once around.
    fn turn(self, by: u64) -> u64 {
        let at = self.start + by;
        if at >= self.capacity {
            at - self.capacity
        } else {
            at
        }
    }

    /// Where an element's word stands, or the next one's.
    #[inline]
    fn word(self, index: u64) -> u64 {
        self.words + self.turn(index) * WORD
    }

    /// The element with that index, which counts from the end if it is negative.
    #[inline]
    fn index(self, index: i64) -> Option<u64> {
        let index = if index < 0 {
            index.checked_add_unsigned(self.count)?
        } else {
            index
        };
        u64::try_from(index)
            .ok()
            .filter(|&index| index < self.count)
    }
}

/// The first word of a ring of that capacity.
#[inline]
fn words_of(segment: &Segment, block: u64, capacity: u64) -> Result<u64> {
    segment.check_range(block, block::SMALL)?;
    let payload = heap::payload(segment, block);
    let bytes = capacity
        .checked_mul(WORD)
        .and_then(|bytes| bytes.checked_add(HEAD));
    segment.check_range(payload, bytes.unwrap_or(u64::MAX))?;
    if capacity == 0 {
        return Err(corrupt("a ring without words"));
    }
    Ok(payload + HEAD)
}

/// How many elements there are, at one moment.
pub fn count(segment: &Segment, cell: u64) -> u64 {
    segment.word(root(cell) + COUNT).load(Ordering::Acquire)
}

/// A number that changes with every change.
pub fn version(segment: &Segment, cell: u64) -> u64 {
    segment.word(sequence(cell)).load(Ordering::Acquire)
}
