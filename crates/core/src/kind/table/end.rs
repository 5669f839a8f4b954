//! Both ends of the order: the key that was put in first or last, taken out or put there.

use super::change::{next_stamp, place_of};
use super::entry::{self, Entry, OwnOriginal};
use super::grow::{grow, make_room_in_front, shrink};
use super::read::{Probe, Token, plainly, probe};
use super::recent::Changed;
use super::removal::{detach, form_of, leave, unlink};
use super::state::{FIRST, Key, Shard, Storage, Table, USED};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::segment::Segment;
use crate::object::EVENT;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, pin};
use crate::sync::Ordering;
use crate::value::{self, Form, Taken, tidy};

/// An end of the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    First,
    Last,
}

impl End {
    /// The entry of a shard that is nearest to this end.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn of(
        self,
        segment: &Segment,
        shard: Shard,
        storage: Storage,
    ) -> Result<Option<Entry>> {
        let read = |at| segment.word(shard.0 + at).load(Ordering::Acquire);
        let used = read(USED).min(storage.room());
        let first = read(FIRST).min(used);
        let at = |place| segment.word(storage.place(place)).load(Ordering::Acquire);
        let word = match self {
            End::First => (first..used).map(at).find(|&word| word != 0),
            End::Last => (first..used).rev().map(at).find(|&word| word != 0),
        };
        word.map(|word| Entry::at(segment, word)).transpose()
    }

    /// Whether a stamp is nearer to this end than another.
    pub(super) fn is_nearer(self, stamp: i64, than: i64) -> bool {
        match self {
            End::First => stamp < than,
            End::Last => stamp > than,
        }
    }
}

/// A key that was taken out, its original form, and its value.
pub type Pair<'a> = ((u8, Vec<u8>), OwnOriginal, Taken<'a>);

/// The key at an end, looked at.
pub struct Seen {
    pub key: (u8, Vec<u8>),
    pub original: OwnOriginal,
    /// The form of its value.
    pub form: Form,
    /// Its turn of insertion, and the state of its shard.
    pub stamp: i64,
    pub token: Token,
}

/// What taking out the key at an end came to.
pub enum Popped<'a> {
    Nothing,
    Taken(Pair<'a>),
    /// It was not to be taken, and stays.
    Left(Seen),
}

/// The entry at an end, under the locks of all shards.
struct Found {
    shard: Shard,
    storage: Storage,
    slot: u64,
    hash: u64,
    entry: Entry,
    seen: Seen,
}

/// The entry that is nearest to an end of all shards, whose locks are held, and its stamp; None: the
/// table is empty.
fn nearest(segment: &Segment, table: Table, end: End) -> Result<Option<(i64, Shard, Entry)>> {
    let mut nearest: Option<(i64, Shard, Entry)> = None;
    for shard in Shard::all(table.object) {
        let Some(storage) = shard.store(segment)? else {
            continue;
        };
        let Some(entry) = end.of(segment, shard, storage)? else {
            continue;
        };
        let stamp = entry.stamp(segment);
        if nearest.is_none_or(|(other, ..)| end.is_nearer(stamp, other)) {
            nearest = Some((stamp, shard, entry));
        }
    }
    Ok(nearest)
}

fn lock_all(operation: &mut Operation, table: Table) -> Attempt<()> {
    for shard in Shard::all(table.object) {
        shard.lock(operation, table)?;
    }
    Ok(())
}

/// Takes the locks of all shards and finds what is at an end; None: the table is empty.
fn find(operation: &mut Operation, table: Table, end: End) -> Attempt<Option<Found>> {
    lock_all(operation, table)?;
    let segment = operation.segment;
    let Some((stamp, shard, entry)) = nearest(segment, table, end)? else {
        return Ok(None);
    };
    let (tag, bytes) = entry.key(segment)?;
    let original = entry.original(segment)?;
    let key = Key { tag, bytes: &bytes };
    let storage = shard.store(segment)?;
    let storage = storage.ok_or_else(|| corrupt("a table changed under its locks"))?;
    let hash = key.hash();
    let Probe::There(slot, entry) = probe(segment, plainly(segment), storage, &key, hash)? else {
        return Err(corrupt("an entry is not in its index").into());
    };
    let seen = Seen {
        key: (tag, bytes),
        original,
        form: form_of(segment, entry)?,
        stamp,
        token: Token(operation.read(shard.sequence())),
    };
    Ok(Some(Found {
        shard,
        storage,
        slot,
        hash,
        entry,
        seen,
    }))
}

/// Takes out the key at an end; None: the table is empty.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn pop_end<'a>(caller: Caller<'a, '_>, table: Table, end: End) -> Result<Option<Pair<'a>>> {
    match pop_end_if(caller, table, end, |_| true)? {
        Popped::Taken(pair) => Ok(Some(pair)),
        _ => Ok(None),
    }
}

/// As `pop_end`, if `may` says so of what is there; else that, which stays.
///
/// # Errors
/// As `take`.
///
/// # Crash
/// As `take`.
pub fn pop_end_if<'a>(
    caller: Caller<'a, '_>,
    table: Table,
    end: End,
    may: impl Fn(&Seen) -> bool,
) -> Result<Popped<'a>> {
    let spare = PendingBlock::reserve(caller)?;
    let popped = caller.run(|operation| {
        let Some(found) = find(operation, table, end)? else {
            return Ok(Err(Popped::Nothing));
        };
        if !may(&found.seen) {
            return Ok(Err(Popped::Left(found.seen)));
        }
        unlink(
            operation,
            found.shard,
            found.storage,
            found.slot,
            found.entry,
        )?;
        heap::discard(operation, found.entry.0)?;
        let taken = detach(
            caller.space,
            caller.participant,
            operation,
            found.entry,
            &spare,
        )?;
        found.shard.change(operation, Changed::Key(found.hash));
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(Ok((found, taken)))
    })?;
    let (found, taken) = match popped {
        Ok(popped) => popped,
        Err(other) => return Ok(other),
    };
    shrink(caller.space, caller.participant, table, found.shard);
    let taken = taken.ours(spare);
    if let Taken::Bytes(..) = taken {
        pin::sweep(caller)?; // as in `take`
    }
    let Seen { key, original, .. } = found.seen;
    Ok(Popped::Taken((key, original, taken)))
}

/// Takes out the key at an end, if it is still the one that was seen, with its value; false: it is
/// not.
///
/// # Errors
/// As `remove`.
///
/// # Crash
/// As `remove`.
pub fn remove_end(caller: Caller, table: Table, end: End, seen: &Seen) -> Result<bool> {
    let segment = &caller.space.segment;
    let removed = caller.run(|operation| {
        let is_it =
            |found: &Found| (found.seen.stamp, found.seen.token) == (seen.stamp, seen.token);
        let Some(found) = find(operation, table, end)?.filter(is_it) else {
            return Ok(None);
        };
        unlink(
            operation,
            found.shard,
            found.storage,
            found.slot,
            found.entry,
        )?;
        let left = value::discard(operation, found.entry.value(segment))?;
        heap::discard(operation, found.entry.0)?;
        found.shard.change(operation, Changed::Key(found.hash));
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(Some((found.shard, left)))
    })?;
    let Some((shard, left)) = removed else {
        return Ok(false);
    };
    shrink(caller.space, caller.participant, table, shard);
    if left {
        tidy(caller)?;
    }
    Ok(true)
}

/// What an attempt to move an entry came to.
enum Moved {
    Yes,
    /// There is no such key.
    No,
    /// The order has no room at this end.
    Grow,
}

/// Puts a key at an end of the order, with its value; false: there is no such key.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record gives the entry another place and another stamp.
pub fn move_to_end(caller: Caller, table: Table, key: &Key, end: End) -> Result<bool> {
    let (segment, hash) = (&caller.space.segment, key.hash());
    let shard = Shard::of(table.object, hash);
    loop {
        let moved = caller.run(|operation| {
            match end {
                End::First => lock_all(operation, table)?, // it comes before what is in all of them
                End::Last => shard.lock(operation, table)?,
            }
            let Some(storage) = shard.store(segment)? else {
                return Ok(Moved::No);
            };
            let Probe::There(_, entry) = probe(segment, plainly(segment), storage, key, hash)?
            else {
                return Ok(Moved::No);
            };
            let stamp = match end {
                End::Last => next_stamp(segment),
                End::First => match nearest(segment, table, end)? {
                    Some((_, _, first)) if first == entry => return Ok(Moved::Yes),
                    Some((stamp, ..)) => stamp.wrapping_sub(1),
                    None => return Ok(Moved::No),
                },
            };
            if !put(operation, shard, storage, entry, end)? {
                return Ok(Moved::Grow);
            }
            if seeded(Bug::StampedLater) {
                shard.change(operation, Changed::Order);
                operation.commit();
            }
            operation.write(entry.0 + entry::STAMP, stamp as u64);
            shard.change(operation, Changed::Order);
            operation.queue_quiet_wake(table.object + EVENT);
            operation.commit();
            crate::memory::crash_point!("table.moved");
            Ok(Moved::Yes)
        })?;
        match (moved, end) {
            (Moved::Yes, _) => return Ok(true),
            (Moved::No, _) => return Ok(false),
            (Moved::Grow, End::Last) => {
                grow(caller, table, shard, 1)?;
            }
            (Moved::Grow, End::First) => {
                make_room_in_front(caller, table, shard)?;
            }
        }
    }
}

/// Writes the entries that give an entry the place at an end of its shard's order; false: there is
/// none.
fn put(
    operation: &mut Operation,
    shard: Shard,
    storage: Storage,
    entry: Entry,
    end: End,
) -> Result<bool> {
    let segment = operation.segment;
    if end.of(segment, shard, storage)? == Some(entry) {
        return Ok(true); // it is there: only its turn among all shards changes
    }
    let old = place_of(operation, storage, entry)
        .ok_or_else(|| corrupt("an entry stands nowhere in the order"))?;
    let place = match end {
        End::First => match operation
            .read(shard.0 + FIRST)
            .min(storage.room())
            .checked_sub(1)
        {
            None => return Ok(false),
            Some(place) => {
                operation.write(shard.0 + FIRST, place);
                place
            }
        },
        End::Last => {
            let used = operation.read(shard.0 + USED);
            if used >= storage.room() {
                return Ok(false);
            }
            operation.write(shard.0 + USED, used + 1);
            used
        }
    };
    operation.write(storage.place(place), entry.0);
    operation.write(storage.place(old), 0);
    operation.write(entry.0 + entry::META, entry.meta_at(segment, place));
    leave(operation, shard, storage, old);
    Ok(true)
}
