//! The list behind lists and deques: value words in a ring.
//!
//! An object of kind `LIST`; its lock, the user's (`get_lock()`) and every writer's, guards all of it.
//! In the payload is the *root*:
//!
//! | at | word     | meaning                                                  |
//! | -- | -------- | -------------------------------------------------------- |
//! |  0 | block    | the ring's block; 0: none                                |
//! |  8 | capacity | words of the ring                                        |
//! | 16 | start    | which of them is the first element                       |
//! | 24 | length   | how many elements there are                              |
//! | 32 | most     | as many as there may be, + 1; 0: any number            |
//!
//! The ring's block: `first | left | words`. The two say which elements a block that is being freed
//! still names; as long as a list has it they are 0.
//!
//! What is outside of the elements means nothing, so new ones are written there, and one record
//! makes them count. Elements in place change by a record, and so does what is between a change inside
//! and the nearer end. All else (sorting, what leaves every other) is built aside, and one record
//! exchanges the rings.
//!
//! Readers take no lock: they copy out under the object's sequence.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{LINE, WORD, block};
use crate::memory::segment::Segment;
use crate::object::{self, Writer, guard};
use crate::offset::Object;
use crate::sync::{Ordering, fence};

/// Bytes of payload.
pub const LENGTH: u64 = LINE;
const _: () = assert!(LENGTH == object::least(object::LIST));

pub(super) const BLOCK: u64 = 0;
pub(super) const CAPACITY: u64 = 8;
pub(super) const START: u64 = 16;
pub(super) const COUNT: u64 = 24;
pub(super) const MOST: u64 = 32;

/// In a ring's block: the first element that it still names, and how many.
pub(super) const FIRST: u64 = 0;
pub(super) const LEFT: u64 = WORD;
pub(super) const HEAD: u64 = 2 * WORD;

/// Who uses which list: the thread may hold its lock.
pub type List = Writer;

pub(super) const fn root(object: Object) -> u64 {
    object::payload(object)
}

pub(super) const fn sequence(object: Object) -> u64 {
    object.0 + object::SEQUENCE
}

/// Takes the list's lock.
pub(super) fn lock(operation: &mut Operation, list: List) -> Attempt<()> {
    guard(operation, list)?;
    // The last change's sequence before what we write outside of the elements: pairs with the
    // readers' Acquire fence.
    fence(Ordering::Release);
    Ok(())
}

/// The ring as it is.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    pub(super) block: u64,
    /// The first word of the ring.
    pub(super) words: u64,
    pub(super) capacity: u64,
    pub(super) start: u64,
    pub(super) count: u64,
}

impl Ring {
    /// As the root says: data of a peer; without the lock, perhaps of no one moment.
    #[inline]
    pub(super) fn read(segment: &Segment, object: Object) -> Result<Ring> {
        let read = |at: u64| segment.word(root(object) + at).load(Ordering::Relaxed);
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
    pub(super) fn turn(self, by: u64) -> u64 {
        let at = self.start + by;
        if at >= self.capacity {
            at - self.capacity
        } else {
            at
        }
    }

    /// Where an element's word is, or the next one's.
    #[inline]
    pub(super) fn word(self, index: u64) -> u64 {
        self.words + self.turn(index) * WORD
    }

    /// The element with that index, which counts from the end if it is negative.
    #[inline]
    pub(super) fn index(self, index: i64) -> Option<u64> {
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
pub(super) fn words_of(segment: &Segment, block: u64, capacity: u64) -> Result<u64> {
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
pub fn count(segment: &Segment, object: Object) -> u64 {
    segment.word(root(object) + COUNT).load(Ordering::Acquire)
}

/// A number that changes with every change.
pub fn version(segment: &Segment, object: Object) -> u64 {
    segment.word(sequence(object)).load(Ordering::Acquire)
}

/// Whether a ring that large is worth exchanging for a smaller one.
pub(super) fn is_too_large(capacity: u64, count: u64) -> bool {
    capacity > 64 && count < capacity / 4
}
