//! Taking keys out, one or all: each is one record.

use super::change::{When, place_of};
use super::destroy;
use super::entry::Entry;
use super::grow::shrink;
use super::read::{Probe, Token, plainly, probe};
use super::recent::{self, Changed};
use super::state::{BLOCK, COUNT, DELETED, EMPTY, FIRST, Key, SHARDS, Shard, Storage, Table, USED};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::heap;
use crate::memory::layout::{WORD, superblock};
use crate::memory::segment::Segment;
use crate::object::EVENT;
use crate::process::participant::Participant;
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, Space, pin};
use crate::value::{self, Form, Take, Taken, tidy};

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
        leave(operation, shard, storage, place);
    }
    let count = operation.read(shard.0 + COUNT);
    operation.write(shard.0 + COUNT, count.saturating_sub(1));
    Ok(())
}

/// Writes the entries by which the order begins behind a place that is empty now, or ends before it,
/// if it was the first or the last: so that finding either costs the same, however many were taken.
pub(super) fn leave(operation: &mut Operation, shard: Shard, storage: Storage, place: u64) {
    let mut used = operation.read(shard.0 + USED).min(storage.room());
    let first = operation.read(shard.0 + FIRST).min(used);
    let is_empty = |operation: &Operation, place| operation.read(storage.place(place)) == 0;
    if place + 1 == used {
        while used > first && is_empty(operation, used - 1) {
            used -= 1;
        }
        if used == first {
            used = 0; // all places are given out again
            operation.write(shard.0 + FIRST, 0);
        }
        operation.write(shard.0 + USED, used);
    } else if place == first {
        let next = (first..used).find(|&place| !is_empty(operation, place));
        operation.write(shard.0 + FIRST, next.unwrap_or(used));
    }
}

/// Takes a key out; false: there is none, or the condition does not hold.
///
/// # Errors
/// `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record unlinks the entry and frees it.
pub fn remove(caller: Caller, table: Table, key: &Key, when: When) -> Result<bool> {
    let (segment, hash) = (&caller.space.segment, key.hash());
    let shard = Shard::of(table.object, hash);
    let mut left = false;
    let removed = caller.run(|operation| {
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
        shard.change(operation, Changed::Key(hash));
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(true)
    })?;
    if removed {
        shrink(caller.space, caller.participant, table, shard);
    }
    if left {
        tidy(caller)?;
    }
    Ok(removed)
}

/// Writes the entries that make an entry's value ours; what it is: see `value::take`.
pub(super) fn detach<'a>(
    space: &'a Space,
    participant: &'a Participant,
    operation: &mut Operation,
    entry: Entry,
    spare: &PendingBlock,
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
pub fn take<'a>(caller: Caller<'a, '_>, table: Table, key: &Key) -> Result<Option<Taken<'a>>> {
    match take_if(caller, table, key, |_| true)? {
        Take::Taken(taken) => Ok(Some(taken)),
        _ => Ok(None),
    }
}

/// As `take`, if `may` says so of the value's form.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn take_if<'a>(
    caller: Caller<'a, '_>,
    table: Table,
    key: &Key,
    may: impl Fn(Form) -> bool,
) -> Result<Take<Taken<'a>>> {
    let space = caller.space;
    let (segment, hash) = (&space.segment, key.hash());
    let shard = Shard::of(table.object, hash);
    let spare = PendingBlock::reserve(caller)?;
    let taken = caller.run(|operation| {
        shard.lock(operation, table)?;
        let Some(storage) = shard.store(segment)? else {
            return Ok(Take::Nothing);
        };
        let Probe::There(slot, entry) = probe(segment, plainly(segment), storage, key, hash)?
        else {
            return Ok(Take::Nothing);
        };
        if !may(form_of(segment, entry)?) {
            return Ok(Take::Left);
        }
        unlink(operation, shard, storage, slot, entry)?;
        heap::discard(operation, entry.0)?;
        let taken = detach(space, caller.participant, operation, entry, &spare)?;
        shard.change(operation, Changed::Key(hash));
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(Take::Taken(taken))
    })?;
    let taken = match taken {
        Take::Taken(taken) => taken.ours(spare),
        other => return Ok(other),
    };
    shrink(space, caller.participant, table, shard);
    if let Taken::Bytes(..) = taken {
        pin::sweep(caller)?; // no pin was left, whose end would do so
    }
    Ok(Take::Taken(taken))
}

/// The form of an entry's value.
pub(super) fn form_of(segment: &Segment, entry: Entry) -> Result<Form> {
    let word = entry.value(segment);
    match entry.inline(segment, word)? {
        Some(inline) => Ok(Some((inline.kind, inline.length))),
        None => value::form_of(segment, word),
    }
}

/// Takes all keys out.
///
/// # Errors
/// As `remove`.
///
/// # Crash
/// One record unlinks index and order of every shard and defers the freeing of them with their
/// entries; the next sweep goes on taking them apart.
pub fn clear(caller: Caller, table: Table) -> Result<()> {
    caller.run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        for shard in Shard::all(table.object) {
            shard.lock(operation, table)?;
        }
        let turn = recent::turn(operation.segment, table.object)?;
        for index in 0..SHARDS {
            let shard = Shard::at(table.object, index);
            destroy::defer_storage(operation, shard.0 + BLOCK, shard.0 + USED)?;
            operation.write(shard.0 + COUNT, 0);
            operation.write(shard.0 + USED, 0);
            operation.write(shard.0 + FIRST, 0);
            shard.change_in(operation, Changed::Many, turn);
        }
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(())
    })?;
    tidy(caller)
}
