//! Finding an entry, without a lock or under it.

use super::entry::{self, Entry, OwnOriginal};
use super::state::{DELETED, EMPTY, Key, Shard, Storage, Table};
use crate::change::operation::Operation;
use crate::error::{Result, corrupt};
use crate::memory::segment::Segment;
use crate::object::Stored;
use crate::object::sequence::{Read, read_under};
use crate::process::participant::Participant;
use crate::space::{Caller, Space};
use crate::sync::Ordering;
use crate::value::{self, Found};

/// Which state of a key's shard was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub u64);

/// Where a key is, or would go.
pub enum Probe {
    /// The slot that names it, and the entry.
    There(u64, Entry),
    /// A slot for it: one that was deleted, or else an empty one.
    Vacant(u64),
}

pub fn fingerprint(hash: u64) -> u64 {
    hash >> 48
}

pub fn first_slot(hash: u64) -> u64 {
    hash >> 3
}

/// Looks for a key in a shard's storage; `read` reads the words of its index.
///
/// # Errors
/// `Corrupt`; without the lock, also for what was read while it changed.
#[inline(always)]
pub fn probe(
    segment: &Segment,
    read: impl Fn(u64) -> u64,
    storage: Storage,
    key: &Key,
    hash: u64,
) -> Result<Probe> {
    let mut vacant = None;
    for number in 0..storage.slots {
        let slot = storage.slot(first_slot(hash).wrapping_add(number));
        let word = read(slot);
        match word {
            EMPTY => return Ok(Probe::Vacant(vacant.unwrap_or(slot))),
            DELETED => vacant = vacant.or(Some(slot)),
            word if word & 0xFFFF == fingerprint(hash) => {
                let entry = Entry::at(segment, word >> 16)?;
                if entry.is(segment, key) {
                    return Ok(Probe::There(slot, entry));
                }
            }
            _ => {}
        }
    }
    vacant
        .map(Probe::Vacant)
        .ok_or_else(|| corrupt("the index of a table has no end"))
}

/// Reads words as they are.
pub fn plainly(segment: &Segment) -> impl Fn(u64) -> u64 {
    |word| segment.word(word).load(Ordering::Relaxed)
}

/// Runs `read` on the key's entry, if there is one, under its shard's sequence.
fn at_key<T>(
    caller: Caller,
    table: Table,
    key: &Key,
    mut read: impl FnMut(Option<Entry>, &dyn Fn() -> bool) -> Result<Read<T>>,
) -> Result<T> {
    let (segment, hash) = (&caller.space.segment, key.hash());
    let shard = Shard::of(table.object, hash);
    let sequence = segment.word(shard.sequence());
    let lock = |operation: &mut Operation| operation.lock(shard.lock_word()).map(drop);
    let places = (shard.lock_word(), shard.sequence());
    read_under(caller, places, lock, || {
        let before = sequence.load(Ordering::Acquire);
        let still = || sequence.load(Ordering::SeqCst) == before;
        let entry = match shard.store(segment)? {
            None => None,
            Some(storage) => match probe(segment, plainly(segment), storage, key, hash)? {
                Probe::There(_, entry) => Some(entry),
                Probe::Vacant(_) => None,
            },
        };
        read(entry, &still)
    })
}

/// Whether there is such a key.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`.
pub fn contains(caller: Caller, table: Table, key: &Key) -> Result<bool> {
    at_key(caller, table, key, |entry, _| {
        Ok(Read::Copied(entry.is_some()))
    })
}

/// How a key was first written; None: there is no such key.
///
/// # Errors
/// As `contains`.
pub fn original_of(caller: Caller, table: Table, key: &Key) -> Result<Option<OwnOriginal>> {
    at_key(caller, table, key, |entry, _| {
        let original = entry.map(|entry| entry.original(&caller.space.segment));
        Ok(Read::Copied(original.transpose()?))
    })
}

/// Finds a key's value; None: there is none. Short ones are copied into `buffer`, large ones
/// pinned.
///
/// # Errors
/// As `contains`.
pub fn find<'a>(
    caller: Caller<'a, '_>,
    table: Table,
    key: &Key,
    buffer: &mut Vec<u8>,
) -> Result<(Option<Found<'a>>, Token)> {
    let segment = &caller.space.segment;
    let shard = Shard::of(table.object, key.hash());
    at_key(caller, table, key, |entry, still| {
        let token = Token(segment.word(shard.sequence()).load(Ordering::Acquire));
        let Some(entry) = entry else {
            return Ok(Read::Copied((None, token)));
        };
        let word = entry.value(segment);
        Ok(
            match value(caller.space, caller.participant, entry, word, still, buffer)? {
                Some(Found::Pinned(pinned)) => Read::Pinned((Some(Found::Pinned(pinned)), token)),
                Some(found) => Read::Copied((Some(found), token)),
                None => Read::Lost,
            },
        )
    })
}

/// An entry's value, a large one where it is. None: `still` does not hold any more.
///
/// # Errors
/// `Corrupt`.
pub fn value<'a>(
    space: &'a Space,
    participant: &'a Participant,
    entry: Entry,
    word: u64,
    still: &dyn Fn() -> bool,
    buffer: &mut Vec<u8>,
) -> Result<Option<Found<'a>>> {
    buffer.clear();
    match copy_inline(&space.segment, entry, word, buffer)? {
        Some(kind) => Ok(Some(Found::Bytes(kind))),
        None => value::find(space, participant, word, still, buffer),
    }
}

/// Copies an entry's value: its word, or its kind and, to the end of `buffer`, its bytes. None:
/// `still` does not hold any more.
///
/// # Errors
/// `Corrupt`.
pub fn copy(
    segment: &Segment,
    entry: Entry,
    word: u64,
    still: &dyn Fn() -> bool,
    buffer: &mut Vec<u8>,
) -> Result<Option<Stored<()>>> {
    match copy_inline(segment, entry, word, buffer)? {
        Some(kind) => Ok(Some(Stored::Bytes(kind, ()))),
        None => value::copy(segment, word, still, buffer),
    }
}

/// Copies a value that is in its entry to the end of `buffer`; its kind.
fn copy_inline(
    segment: &Segment,
    entry: Entry,
    word: u64,
    buffer: &mut Vec<u8>,
) -> Result<Option<u8>> {
    let Some(inline) = entry.inline(segment, word)? else {
        return Ok(None);
    };
    entry::append(segment, inline.at, inline.length, buffer)?;
    Ok(Some(inline.kind))
}
