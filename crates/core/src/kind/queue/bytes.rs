//! Queues that are bounded in bytes: how many bytes their items count.
//!
//! | word           | guarded by | changes                                                         |
//! | -------------- | ---------- | --------------------------------------------------------------- |
//! | `MAXBYTES`     | once       |                                                                 |
//! | `PUT_BYTES`    | put lock   | grows by an item's bytes when it is put, or moved here          |
//! | `GOT_BYTES`    | get lock   | grows by them when it is taken, its lease ends, or it moves on; |
//! |                |            | shrinks when an item that was taken is put back                 |
//! | `LEASED_BYTES` | get lock   | the bytes of the items that are out on a lease                  |
//!
//! So `PUT_BYTES - GOT_BYTES` is what the items there and those on a lease count together. Each
//! changes in the record that moves the item. The flag `COUNTED` of `ORDER` says that a queue counts;
//! of one that does not, the functions here say that each item counts 0 bytes.
//!
//! What an item counts follows from its contents alone, so it is the same in the ring, in a block, and
//! in a tree: the bytes of the record that it would be in the ring, which are those that it is stored
//! in, filled to whole words, and a word more.

use super::item::{NewItem, Put, contents, shape};
use super::ring::First;
use super::state::{
    COUNTED, GOT_BYTES, LEASED, LEASED_BYTES, MAXBYTES, ORDER, PUT_BYTES, payload_of, read,
};
use crate::change::operation::Operation;
use crate::error::{Result, corrupt};
use crate::memory::layout::{WORD, align_up};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::seed::{Bug, seeded};

/// The least that an item counts, one of a word.
pub const LEAST_BYTES: u64 = 2 * WORD;

pub(super) fn is_counted(segment: &Segment, object: Object) -> bool {
    read(segment, object + ORDER) & COUNTED != 0
}

/// How many bytes the items may count, or 0.
pub fn maximum_bytes(segment: &Segment, object: Object) -> u64 {
    read(segment, object + MAXBYTES)
}

/// How many bytes the items count, those on a lease included; 0 for a queue that does not count them.
pub fn bytes(segment: &Segment, object: Object) -> u64 {
    loop {
        let got = read(segment, object + GOT_BYTES);
        let put = read(segment, object + PUT_BYTES);
        if got == read(segment, object + GOT_BYTES) {
            // Below 0 if an item was taken before its putter has counted it.
            return put.wrapping_sub(got).cast_signed().max(0).cast_unsigned();
        }
    }
}

/// What an item of so many bytes of contents counts.
pub fn bytes_of(length: u64) -> u64 {
    align_up(length, WORD).saturating_add(WORD)
}

/// Why an item of so many bytes of contents can never be put, if that is so.
pub fn never_fits(segment: &Segment, object: Object, length: u64) -> Option<Put> {
    if !is_counted(segment, object) || bytes_of(length) <= maximum_bytes(segment, object) {
        return None;
    }
    Some(match super::state::is_closing(segment, object) {
        true => Put::ShutDown,
        false => Put::TooLarge,
    })
}

/// How many bytes more may be put now. The put lock is held.
pub(super) fn room(segment: &Segment, object: Object) -> u64 {
    maximum_bytes(segment, object).saturating_sub(bytes(segment, object))
}

/// What an item counts that is about to be put; in a queue that does not count, 0.
///
/// # Errors
/// `Corrupt`.
pub fn of_new(segment: &Segment, object: Object, item: &NewItem) -> Result<u64> {
    match item {
        NewItem::Block(block) => of_block(segment, object, block.block()),
        _ if is_counted(segment, object) => Ok(bytes_of(shape(item).1)),
        _ => Ok(0),
    }
}

/// What an item counts that is being taken.
///
/// # Errors
/// `Corrupt`.
pub(super) fn of_first(segment: &Segment, object: Object, first: &First) -> Result<u64> {
    match first {
        First::Block(block) => of_block(segment, object, *block),
        _ if !is_counted(segment, object) => Ok(0),
        First::Word(_) => Ok(bytes_of(WORD)),
        First::Ring(front) => Ok(bytes_of(front.length())),
    }
}

/// What the item in a block counts; in a queue that does not count, 0.
///
/// # Errors
/// `Corrupt`.
pub fn of_block(segment: &Segment, object: Object, block: u64) -> Result<u64> {
    match is_counted(segment, object) {
        true => Ok(bytes_of(contents(segment, payload_of(segment, block)?)?.2)),
        false => Ok(0),
    }
}

/// Which count an item's bytes go to, or leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// It is put.
    Put,
    /// It is taken, or done with.
    Got,
    /// It was taken, and is back.
    Back,
    /// It goes out on a lease.
    Leased,
    /// Its lease ends.
    Unleased,
}

/// Writes the entry that counts so many bytes.
pub(super) fn count(operation: &mut Operation, object: Object, how: Count, bytes: u64) {
    if bytes == 0 {
        return;
    }
    if seeded(Bug::BytesOutOfStep) {
        operation.commit();
    }
    let (word, is_more) = match how {
        Count::Put => (object + PUT_BYTES, true),
        Count::Got => (object + GOT_BYTES, true),
        Count::Back => (object + GOT_BYTES, false),
        Count::Leased => (object + LEASED_BYTES, true),
        Count::Unleased => (object + LEASED_BYTES, false),
    };
    let before = operation.read(word);
    let after = match is_more {
        true => before.wrapping_add(bytes),
        false => before.wrapping_sub(bytes),
    };
    operation.write(word, after);
    if seeded(Bug::BytesOutOfStep) {
        operation.commit();
    }
}

/// As `count`, of the item in a block.
///
/// # Errors
/// `Corrupt`.
pub(super) fn count_block(
    operation: &mut Operation,
    object: Object,
    how: Count,
    block: u64,
) -> Result<()> {
    let bytes = of_block(operation.segment, object, block)?;
    count(operation, object, how, bytes);
    Ok(())
}

/// Writes the entry that counts all items as taken, but those on a lease.
pub(super) fn count_cleared(operation: &mut Operation, object: Object) {
    if is_counted(operation.segment, object) {
        let put = operation.read(object + PUT_BYTES);
        let leased = operation.read(object + LEASED_BYTES);
        operation.write(object + GOT_BYTES, put.wrapping_sub(leased));
    }
}

/// Writes the entry by which a queue that is taken apart counts no more.
pub(super) fn stop_counting(operation: &mut Operation, object: Object) {
    let order = operation.read(object + ORDER);
    if order & COUNTED != 0 {
        operation.write(object + ORDER, order & !COUNTED);
    }
}

/// What the items of a queue count, as they are found one by one.
pub(super) struct Found<'a> {
    segment: &'a Segment,
    object: Object,
    is_counted: bool,
    bytes: u64,
}

impl<'a> Found<'a> {
    pub fn new(segment: &'a Segment, object: Object) -> Found<'a> {
        let is_counted = is_counted(segment, object);
        Found {
            segment,
            object,
            is_counted,
            bytes: 0,
        }
    }

    /// An item of so many bytes of contents.
    pub fn add(&mut self, length: u64) {
        if self.is_counted {
            self.bytes = self.bytes.wrapping_add(bytes_of(length));
        }
    }

    /// The item in a block.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn add_block(&mut self, block: u64) -> Result<()> {
        let bytes = of_block(self.segment, self.object, block)?;
        self.bytes = self.bytes.wrapping_add(bytes);
        Ok(())
    }

    /// Compares all that was found with what the queue counts.
    ///
    /// # Errors
    /// `Corrupt` if they differ. That they were read at one moment is the caller's to know.
    pub fn prove(&self) -> Result<()> {
        let (segment, object) = (self.segment, self.object);
        if !self.is_counted {
            return Ok(());
        }
        let (put, got) = (
            read(segment, object + PUT_BYTES),
            read(segment, object + GOT_BYTES),
        );
        let (leased, items) = (
            read(segment, object + LEASED_BYTES),
            read(segment, object + LEASED),
        );
        let found = self.bytes.wrapping_add(leased);
        if put.wrapping_sub(got) != found || (leased == 0) != (items == 0) {
            return Err(corrupt(format!(
                "a queue counts {put} bytes put and {got} taken, and {leased} on leases of {items} \
                 items; those in it are {}",
                self.bytes
            )));
        }
        Ok(())
    }
}
