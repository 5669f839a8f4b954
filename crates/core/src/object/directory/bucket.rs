//! How a name is found: buckets of names, whose number grows with that of the names.
//!
//! Linear hashing. There are `FIRST_ROWS + MORE_BUCKETS` buckets, each the first row + 1 of a chain
//! that goes on by `next`. With `level` the largest power of two that is not more than their
//! number, a hash leads to the bucket of its low bits: those below `2 * level` if there is such a
//! bucket, else those below `level`. So one more bucket takes its names from exactly one other,
//! and nothing else moves. The record that gives a name makes one, while there are more names than
//! buckets. All of it is guarded by the directory lock.

use super::row::{Missing, place};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{FIRST_ROWS, WORD, block, superblock};
use crate::memory::segment::Segment;
use crate::object::rows::{self, Place};
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;
use std::collections::HashSet;

/// The longest chain that a record has room to divide, beside what else it writes. With about as
/// many buckets as names, none is as long unless somebody chose the names for it: then there are
/// no more buckets, and looking names up takes longer.
const LONGEST: usize = 40;

fn count(operation: &Operation) -> u64 {
    FIRST_ROWS.saturating_add(operation.read(superblock::MORE_BUCKETS))
}

fn level(count: u64) -> u64 {
    1 << count.ilog2()
}

/// The number of the bucket that a hash leads to.
fn number(hash: u64, count: u64) -> u64 {
    let level = level(count);
    let wide = hash & (level << 1).wrapping_sub(1);
    if wide < count {
        wide
    } else {
        hash & (level - 1)
    }
}

fn bucket_at(operation: &Operation, number: u64) -> Result<u64> {
    match rows::place(operation.segment, superblock::BUCKETS, number, WORD)? {
        Place::At(at) => Ok(at),
        Place::Missing(_) => Err(corrupt(format!("there is no bucket {number} of names"))),
    }
}

/// The bucket that a hash leads to.
///
/// # Errors
/// `Corrupt`.
pub(super) fn bucket(operation: &Operation, hash: u64) -> Result<u64> {
    bucket_at(operation, number(hash, count(operation)))
}

/// A chain that is to be divided: the rows + 1 of its names, and to which half each goes.
fn chain(operation: &Operation, first: u64, level: u64) -> Result<Option<Vec<(u64, bool)>>> {
    let mut chain = Vec::new();
    let mut next = operation.read(first);
    while let Some(row) = next.checked_sub(1) {
        if chain.len() == LONGEST {
            return Ok(None);
        }
        let at = row_at(operation.segment, row)?;
        let hash = hash_in(operation.segment, operation.read(at))?;
        chain.push((next, hash & level != 0));
        next = operation.read(at + NEXT);
    }
    Ok(Some(chain))
}

/// Writes the entries that make one bucket more, if there are as many names as buckets.
///
/// # Errors
/// `Corrupt`; a segment of buckets that is missing.
pub(super) fn add_bucket(operation: &mut Operation) -> Attempt<std::result::Result<(), Missing>> {
    let count = count(operation);
    if operation.read(superblock::LIVE_NAMES) < count {
        return Ok(Ok(()));
    }
    let level = level(count);
    let new = place!(operation.segment, superblock::BUCKETS, count, WORD);
    let old = bucket_at(operation, count - level)?;
    let Some(chain) = chain(operation, old, level)? else {
        return Ok(Ok(()));
    };
    operation.write(superblock::MORE_BUCKETS, count + 1 - FIRST_ROWS);
    if seeded(Bug::BucketInTwo) {
        operation.commit();
    }
    let mut ends = [old, new];
    for (row, goes) in chain {
        let end = &mut ends[usize::from(goes)];
        lead(operation, *end, row);
        *end = row_at(operation.segment, row - 1)? + NEXT;
    }
    for end in ends {
        lead(operation, end, 0);
    }
    Ok(Ok(()))
}

/// Lets a word of a chain lead to a row, unless it does.
fn lead(operation: &mut Operation, word: u64, row: u64) {
    if operation.read(word) != row {
        operation.write(word, row);
    }
}

/// The rows of all names that are found by their hashes.
///
/// # Errors
/// `Corrupt` if one is in a bucket that its hash does not lead to.
pub(super) fn found(operation: &Operation) -> Result<HashSet<u64>> {
    let count = count(operation);
    let mut found = HashSet::new();
    for bucket in 0..count {
        let mut next = operation.read(bucket_at(operation, bucket)?);
        while let Some(row) = next.checked_sub(1) {
            let at = row_at(operation.segment, row)?;
            let hash = hash_in(operation.segment, operation.read(at))?;
            if number(hash, count) != bucket || !found.insert(row) {
                return Err(corrupt(format!(
                    "the name in row {row} is in bucket {bucket}, where nobody looks for it"
                )));
            }
            next = operation.read(at + NEXT);
        }
    }
    Ok(found)
}

pub(super) const NEXT: u64 = 3 * WORD;

pub(super) fn row_at(segment: &Segment, row: u64) -> Result<u64> {
    match rows::place(segment, superblock::NAMES, row, NAME_ROW)? {
        Place::At(at) => Ok(at),
        Place::Missing(_) => Err(corrupt(format!("there is no row {row} of names"))),
    }
}

/// The hash of the name in a block, as data of a peer.
pub(super) fn hash_in(segment: &Segment, block: u64) -> Result<u64> {
    segment.check_range(block, block::SMALL)?;
    let payload = segment.at(heap::payload(segment, block))?;
    Ok(payload.load(Ordering::Relaxed))
}

pub const NAME_ROW: u64 = 4 * WORD;
