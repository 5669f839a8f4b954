//! Taking keys out, one or all: each is one record.

use super::change::{When, place_of};
use super::entry::{Entry, OwnOriginal};
use super::grow::shrink;
use super::read::{Probe, Token, plainly, probe};
use super::{BLOCK, COUNT, DELETED, EMPTY, Key, SHARDS, Shard, Storage, Table, USED, doom};
use crate::cell::EVENT;
use crate::error::{Attempt, Result};
use crate::heap;
use crate::layout::{WORD, superblock};
use crate::operation::Operation;
use crate::participant::Participant;
use crate::pin;
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use crate::unfinished::Unfinished;
use crate::value::{self, Take, Taken, tidy};

/// Writes the entries that unlink an entry, but for what becomes of its blocks.
pub(super) fn unlink(
    operation: &mut Operation,
    shard: Shard,
    storage: Storage,
    slot: u64,
    entry: Entry,
) -> Result<()> {
    let after = storage.index + ((slot - storage.index) / WORD + 1) % storage.slots * WORD;
    let is_last = operation.read(after) == EMPTY;
    operation.write(slot, if is_last { EMPTY } else { DELETED });
    if let Some(place) = place_of(operation, storage, entry) {
        operation.write(storage.place(place), 0);
        // The end of the order is given out again, so that what is taken last costs nothing.
        let mut used = operation.read(shard.0 + USED).min(storage.room());
        if place + 1 == used {
            while used > 0 && operation.read(storage.place(used - 1)) == 0 {
                used -= 1;
            }
            operation.write(shard.0 + USED, used);
        }
    }
    let count = operation.read(shard.0 + COUNT);
    operation.write(shard.0 + COUNT, count.saturating_sub(1));
    Ok(())
}

/// Takes a key out; false: there is none, or the condition does not hold.
///
/// # Errors
/// `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record unlinks the entry and frees it.
pub fn remove(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    table: Table,
    key: &Key,
    when: When,
) -> Result<bool> {
    let (segment, hash) = (&space.segment, key.hash());
    let shard = Shard::of(table.cell, hash);
    let mut left = false;
    let removed = space.run_as(participant, &mut *patience, |operation| {
        shard.lock(operation, table)?;
        if let When::Unchanged(Token(sequence)) = when
            && operation.read(shard.sequence()) != sequence
        {
            return Ok(false);
        }
        let Some(storage) = shard.store(segment)? else {
            return Ok(false);
        };
        let Probe::There(slot, entry) = probe(segment, plainly(segment), storage, key, hash)?
        else {
            return Ok(false);
        };
        unlink(operation, shard, storage, slot, entry)?;
        left = value::discard(operation, entry.value(segment))?;
        heap::discard(operation, entry.0)?;
        operation.sequence(shard.sequence());
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(true)
    })?;
    if removed {
        shrink(space, participant, table, shard);
    }
    if left {
        tidy(space, participant, patience)?;
    }
    Ok(removed)
}

/// Writes the entries that make an entry's value ours; what it is: see `value::take`.
fn detach<'a>(
    space: &'a Space,
    participant: &'a Participant,
    operation: &mut Operation,
    entry: Entry,
    spare: &Unfinished,
) -> Attempt<Taken<'a>> {
    let segment = operation.segment;
    let word = entry.value(segment);
    if let Some(inline) = entry.inline(segment, word)? {
        let mut bytes = vec![0; inline.length as usize];
        segment.copy_out(inline.at, &mut bytes);
        return Ok(Taken::Bytes(inline.kind, bytes));
    }
    value::take(space, participant, operation, word, spare, &mut Vec::new())
}

/// Takes a key out and gives its value; None: there is none.
///
/// # Errors
/// As `remove`; `Full`.
///
/// # Crash
/// One record unlinks the entry and makes the value ours.
pub fn take<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    table: Table,
    key: &Key,
) -> Result<Option<Taken<'a>>> {
    match take_if(space, participant, patience, table, key, |_| true)? {
        Take::Taken(taken) => Ok(Some(taken)),
        _ => Ok(None),
    }
}

/// As `take`, if `may` says so of the value's kind; None stands for a word.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn take_if<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    table: Table,
    key: &Key,
    may: impl Fn(Option<u8>) -> bool,
) -> Result<Take<Taken<'a>>> {
    let (segment, hash) = (&space.segment, key.hash());
    let shard = Shard::of(table.cell, hash);
    let spare = Unfinished::reserve(space, participant, &mut *patience)?;
    let taken = space.run_as(participant, &mut *patience, |operation| {
        shard.lock(operation, table)?;
        let Some(storage) = shard.store(segment)? else {
            return Ok(Take::Nothing);
        };
        let Probe::There(slot, entry) = probe(segment, plainly(segment), storage, key, hash)?
        else {
            return Ok(Take::Nothing);
        };
        if !may(kind_of(segment, entry)?) {
            return Ok(Take::Left);
        }
        unlink(operation, shard, storage, slot, entry)?;
        heap::discard(operation, entry.0)?;
        let taken = detach(space, participant, operation, entry, &spare)?;
        operation.sequence(shard.sequence());
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(Take::Taken(taken))
    })?;
    let taken = match taken {
        Take::Taken(taken) => taken.ours(spare),
        other => return Ok(other),
    };
    shrink(space, participant, table, shard);
    if let Taken::Bytes(..) = taken {
        pin::sweep(space, participant, patience)?; // no pin was left, whose end would do so
    }
    Ok(Take::Taken(taken))
}

/// The codec's kind of an entry's value; None: it is a word.
fn kind_of(segment: &Segment, entry: Entry) -> Result<Option<u8>> {
    let word = entry.value(segment);
    match entry.inline(segment, word)? {
        Some(inline) => Ok(Some(inline.kind)),
        None => value::kind_of(segment, word),
    }
}

/// A key that was taken out, its original form, and its value.
pub type Last<'a> = ((u8, Vec<u8>), OwnOriginal, Taken<'a>);

/// The key that was put in last, looked at.
pub struct Seen {
    pub key: (u8, Vec<u8>),
    pub original: OwnOriginal,
    /// The kind of its value; None: a word.
    pub kind: Option<u8>,
    /// Its turn of insertion, and the state of its shard.
    pub stamp: u64,
    pub token: Token,
}

/// What taking out the key that was put in last came to.
pub enum Popped<'a> {
    Nothing,
    Taken(Last<'a>),
    /// It was not to be taken, and stays.
    Left(Seen),
}

/// The entry that was put in last, under the locks of all shards.
struct LastEntry {
    shard: Shard,
    storage: Storage,
    slot: u64,
    entry: Entry,
    seen: Seen,
}

/// Takes the locks of all shards and finds what was put in last; None: the table is empty.
fn find_last(operation: &mut Operation, table: Table) -> Attempt<Option<LastEntry>> {
    let segment = operation.segment;
    let mut last: Option<(u64, Shard, Storage, Entry)> = None;
    for shard in Shard::all(table.cell) {
        shard.lock(operation, table)?;
        let Some(storage) = shard.store(segment)? else {
            continue;
        };
        let used = operation.read(shard.0 + USED).min(storage.room());
        let at = |place| segment.word(storage.place(place)).load(Ordering::Relaxed);
        let Some(word) = (0..used).rev().map(at).find(|&word| word != 0) else {
            continue;
        };
        let entry = Entry::at(segment, word)?;
        let stamp = entry.stamp(segment);
        if last.is_none_or(|(other, ..)| stamp > other) {
            last = Some((stamp, shard, storage, entry));
        }
    }
    let Some((stamp, shard, storage, entry)) = last else {
        return Ok(None);
    };
    let (tag, bytes) = entry.key(segment)?;
    let original = entry.original(segment)?;
    let key = Key { tag, bytes: &bytes };
    let Probe::There(slot, entry) = probe(segment, plainly(segment), storage, &key, key.hash())?
    else {
        return Err(crate::error::corrupt("an entry is not in its index").into());
    };
    let seen = Seen {
        key: (tag, bytes),
        original,
        kind: kind_of(segment, entry)?,
        stamp,
        token: Token(operation.read(shard.sequence())),
    };
    Ok(Some(LastEntry {
        shard,
        storage,
        slot,
        entry,
        seen,
    }))
}

/// Takes out the key that was put in last; None: the table is empty.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn pop_last<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    table: Table,
) -> Result<Option<Last<'a>>> {
    match pop_last_if(space, participant, patience, table, |_| true)? {
        Popped::Taken(last) => Ok(Some(last)),
        _ => Ok(None),
    }
}

/// As `pop_last`, if `may` says so of what is there; else that, which stays.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn pop_last_if<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    table: Table,
    may: impl Fn(&Seen) -> bool,
) -> Result<Popped<'a>> {
    let spare = Unfinished::reserve(space, participant, &mut *patience)?;
    let popped = space.run_as(participant, &mut *patience, |operation| {
        let Some(last) = find_last(operation, table)? else {
            return Ok(Err(Popped::Nothing));
        };
        if !may(&last.seen) {
            return Ok(Err(Popped::Left(last.seen)));
        }
        unlink(operation, last.shard, last.storage, last.slot, last.entry)?;
        heap::discard(operation, last.entry.0)?;
        let taken = detach(space, participant, operation, last.entry, &spare)?;
        operation.sequence(last.shard.sequence());
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(Ok((last, taken)))
    })?;
    let (last, taken) = match popped {
        Ok(popped) => popped,
        Err(other) => return Ok(other),
    };
    shrink(space, participant, table, last.shard);
    let taken = taken.ours(spare);
    if let Taken::Bytes(..) = taken {
        pin::sweep(space, participant, patience)?; // as in `take`
    }
    let Seen { key, original, .. } = last.seen;
    Ok(Popped::Taken((key, original, taken)))
}

/// Takes out the key that was put in last, if it is still the one that was seen, with its value;
/// false: it is not.
///
/// # Errors
/// As `remove`.
///
/// # Crash
/// As `remove`.
pub fn remove_last(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    table: Table,
    seen: &Seen,
) -> Result<bool> {
    let segment = &space.segment;
    let removed = space.run_as(participant, &mut *patience, |operation| {
        let last = find_last(operation, table)?;
        let is_it =
            |last: &LastEntry| (last.seen.stamp, last.seen.token) == (seen.stamp, seen.token);
        let Some(last) = last.filter(is_it) else {
            return Ok(None);
        };
        unlink(operation, last.shard, last.storage, last.slot, last.entry)?;
        let left = value::discard(operation, last.entry.value(segment))?;
        heap::discard(operation, last.entry.0)?;
        operation.sequence(last.shard.sequence());
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(Some((last.shard, left)))
    })?;
    let Some((shard, left)) = removed else {
        return Ok(false);
    };
    shrink(space, participant, table, shard);
    if left {
        tidy(space, participant, patience)?;
    }
    Ok(true)
}

/// Takes all keys out.
///
/// # Errors
/// As `remove`.
///
/// # Crash
/// One record unlinks index and order of every shard and dooms them with their entries; the next
/// sweep goes on taking them apart.
pub fn clear(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    table: Table,
) -> Result<()> {
    space.run_as(participant, &mut *patience, |operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        for shard in Shard::all(table.cell) {
            shard.lock(operation, table)?;
        }
        for index in 0..SHARDS {
            let shard = Shard::at(table.cell, index);
            doom::condemn_storage(operation, shard.0 + BLOCK, shard.0 + USED)?;
            operation.write(shard.0 + COUNT, 0);
            operation.write(shard.0 + USED, 0);
            operation.sequence(shard.sequence());
        }
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(())
    })?;
    tidy(space, participant, patience)
}
