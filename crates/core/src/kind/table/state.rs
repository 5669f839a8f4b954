//! The table behind dicts and sets: keys and values in shards, in order of insertion.
//!
//! An object of kind `TABLE`; its lock is the user's (`get_lock()`), its event is everybody's. In the
//! payload are the shards, a line each, and which one a key belongs to its hash says:
//!
//! | at | word     | guarded by  | meaning                                                      |
//! | -- | -------- | ----------- | ------------------------------------------------------------ |
//! |  0 | lock     |             | the shard's lock: every change                               |
//! |  8 | sequence | the lock    | odd during a change; half of it counts the changes           |
//! | 16 | block    | the lock    | `block | log2(slots)`; 0: nothing was ever put here          |
//! | 24 | count    | the lock    | how many entries there are                                   |
//! | 32 | used     | the lock    | places of the order that were given out                      |
//! | 40 | first    | the lock    | no entry is before this place                                |
//! | 48 | recent   | all locks   | the block of recent changes (`recent`); 0: never watched     |
//!
//! The block holds the *index*, by hash with open addressing, and the *order*, by insertion. When
//! the order is full both are built anew aside, and one record exchanges the blocks. A word of the
//! index: `entry << 16 | fingerprint`; `EMPTY` was never used, `DELETED` was. A word of the order:
//! an entry, or 0.
//!
//! An entry is a block of its own. It never moves, and but for its value and its place it never
//! changes. Another value in the entry comes with another entry, or in place of the old one under the
//! sequence, where there is room.
//!
//! | at | word  | meaning                                                                       |
//! | -- | ----- | ----------------------------------------------------------------------------- |
//! |  0 | shape | as in every block                                                             |
//! |  8 | stamp | its turn of insertion, in the whole space; below zero if it was put first     |
//! | 16 | value | a value word; a block's offset; or `INLINE | kind << 8 | length << 16`         |
//! | 24 | meta  | `place in the order << 32 | HAS_ORIGINAL | tag << 26 | length of the key`      |
//! | 32 | key   | its bytes; then the original, `length << 8 | kind` and bytes; then the value   |
//!
//! Readers take no lock: they copy out under the sequence. Freed blocks stay mapped, so what they
//! follow meanwhile may be nonsense but is memory.

use crate::change::lock;
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, Stop, corrupt};
use crate::heap;
use crate::memory::layout::{GRAIN, LINE, WORD};
use crate::memory::segment::Segment;
use crate::object::{self, Writer};
use crate::offset::{LockWord, Object};
use crate::process::membership_cache::ObjectId;
use crate::space::Caller;
use crate::sync::{Ordering, fence};

pub const SHARDS: u64 = 8;
/// Bytes of payload.
pub const LENGTH: u64 = SHARDS * LINE;
const _: () = assert!(LENGTH == object::least(object::TABLE));

pub(super) const SEQUENCE: u64 = 8;
pub(super) const BLOCK: u64 = 16;
pub(super) const COUNT: u64 = 24;
pub(super) const USED: u64 = 32;
pub(super) const FIRST: u64 = 40;
pub(super) const RECENT: u64 = 48;

pub(super) const EMPTY: u64 = 0;
pub(super) const DELETED: u64 = 1;

/// A key: two are the same if tag and bytes are. Tags are below 32; what they mean is the
/// binding's affair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key<'a> {
    pub tag: u8,
    pub bytes: &'a [u8],
}

/// The longest key.
pub const KEY_MOST: usize = (1 << 26) - 1;

impl Key<'_> {
    /// Which shard it belongs to, `hash % SHARDS`, and where it is there.
    #[inline]
    pub fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(self.bytes, u64::from(self.tag))
    }
}

/// Who uses which table: the thread may hold its lock.
pub type Table = Writer;

/// Makes an empty table. Returns the object and our membership row.
///
/// # Errors
/// `Full`.
pub fn create(caller: Caller) -> Result<(ObjectId, u64)> {
    object::create(caller, object::TABLE, LENGTH, |_| {})
}

/// A shard of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard(pub(super) u64);

impl Shard {
    pub(super) fn of(object: Object, hash: u64) -> Shard {
        Shard::at(object, hash % SHARDS)
    }

    pub(super) fn at(object: Object, index: u64) -> Shard {
        Shard(object::payload(object) + index * LINE)
    }

    pub(super) fn all(object: Object) -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(move |index| Shard::at(object, index))
    }

    pub(super) fn lock_word(self) -> LockWord {
        LockWord(self.0)
    }

    pub(super) fn sequence(self) -> u64 {
        self.0 + SEQUENCE
    }

    /// Takes the shard's lock, unless another owner holds the table's.
    pub(super) fn lock(self, operation: &mut Operation, table: Table) -> Attempt<()> {
        operation.lock(self.lock_word())?;
        fence(Ordering::SeqCst); // lock, then look: pairs with `quiesce`
        let word = operation
            .segment
            .word(table.object.0)
            .load(Ordering::Acquire);
        if word != 0
            && lock::is_held(operation.segment, word)?
            && !object::is_mine(operation.segment, operation.participant, table)
        {
            return Err(Stop::Busy(table.object.lock()));
        }
        Ok(())
    }

    /// What it has for storage now; the lock is held, or what comes of it is checked after.
    #[inline(always)]
    pub(super) fn store(self, segment: &Segment) -> Result<Option<Storage>> {
        Storage::new(
            segment,
            segment.word(self.0 + BLOCK).load(Ordering::Acquire),
        )
    }
}

/// Index and order of a shard.
#[derive(Clone, Copy)]
pub(super) struct Storage {
    pub(super) block: u64,
    /// The first word of the index.
    pub(super) index: u64,
    pub(super) slots: u64,
}

/// How many order words the block of a storage being freed still has to be searched for entries: the
/// first word of its payload, 0 as long as it lives.
pub(super) const LEFT: u64 = 0;
pub(super) const HEAD: u64 = WORD;

impl Storage {
    /// As a shard's word names it: data of a peer.
    #[inline(always)]
    pub(super) fn new(segment: &Segment, word: u64) -> Result<Option<Storage>> {
        if word == 0 {
            return Ok(None);
        }
        let (block, log) = (word / GRAIN * GRAIN, word % GRAIN);
        segment.check_range(block, LINE)?;
        if log < 2 {
            return Err(corrupt(format!("a table has 2^{log} slots")));
        }
        let payload = heap::payload(segment, block);
        segment.check_range(payload, bytes(1 << log))?;
        let index = payload + HEAD;
        let slots = 1 << log;
        Ok(Some(Storage {
            block,
            index,
            slots,
        }))
    }

    pub(super) fn word(self) -> u64 {
        self.block | u64::from(self.slots.trailing_zeros())
    }

    pub(super) fn left(self) -> u64 {
        self.index - HEAD + LEFT
    }

    pub(super) fn slot(self, number: u64) -> u64 {
        self.index + (number & (self.slots - 1)) * WORD
    }

    /// How many entries it takes: more, and the index would be slow.
    pub(super) fn room(self) -> u64 {
        room(self.slots)
    }

    pub(super) fn place(self, number: u64) -> u64 {
        self.index + (self.slots + number) * WORD
    }
}

pub(super) fn room(slots: u64) -> u64 {
    slots / 8 * 7 + slots % 8 * 7 / 8
}

/// Bytes of payload for so many slots.
pub(super) fn bytes(slots: u64) -> u64 {
    HEAD + (slots + room(slots)) * WORD
}

/// How many entries there are: for who can do with a number that a change half made gives.
pub fn count(segment: &Segment, object: Object) -> u64 {
    let read = |shard: Shard| segment.word(shard.0 + COUNT).load(Ordering::Acquire);
    Shard::all(object).map(read).fold(0, u64::wrapping_add)
}

/// A number that changes with every change.
pub fn version(segment: &Segment, object: Object) -> u64 {
    let read = |shard: Shard| segment.word(shard.sequence()).load(Ordering::Acquire);
    Shard::all(object).map(read).fold(0, u64::wrapping_add)
}

/// Waits until no change that began before the user's lock was taken is under way: after taking it.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
pub fn quiesce(caller: Caller, object: Object) -> Result<()> {
    fence(Ordering::SeqCst); // the user's lock, then the shards': pairs with `Shard::lock`
    for shard in Shard::all(object) {
        if caller.space.segment.word(shard.0).load(Ordering::SeqCst) != 0 {
            caller.run(|operation| operation.lock(shard.lock_word()).map(drop))?;
        }
    }
    Ok(())
}
