//! Storing a value under a key: one record.

use super::entry;
use super::entry::{Entry, Original, OwnOriginal, VALUE};
use super::grow::grow;
use super::read::{Probe, Token, fingerprint, plainly, probe};
use super::recent::Changed;
use super::state::{COUNT, Key, Shard, Storage, Table, USED};
use crate::change::operation::{Operation, class_for};
use crate::error::{Attempt, Result};
use crate::heap;
use crate::memory::layout::{WORD, block, kind, superblock};
use crate::memory::segment::Segment;
use crate::object::EVENT;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;
use crate::value::{self, NewValue, tidy};

/// What is stored where.
pub struct Item<'a> {
    pub key: Key<'a>,
    pub original: Original<'a>,
    pub value: NewValue<'a>,
}

/// On what condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Always,
    /// If there is no such key.
    Absent,
    /// If no other call changed anything in the key's shard since.
    Unchanged(Token),
}

/// What an attempt came to.
enum Done<T> {
    Yes(T),
    No,
    /// The shard has no room for one more.
    Grow,
    /// The key was first written in another way, which stays.
    Kept(OwnOriginal),
}

/// The block of a new entry: at hand in the magazine, or, for a very long key, ours already.
pub(super) struct Room<'a> {
    size: u64,
    large: Option<PendingBlock<'a>>,
}

impl<'a> Room<'a> {
    pub fn new(caller: Caller<'a, '_>, item: &Item, original: Original) -> Result<Room<'a>> {
        let size = Entry::size(&item.key, original, item.value.short())?;
        let large = match class_for(size) {
            Some(_) => None,
            None => Some(PendingBlock::allocate(caller, size, kind::PLAIN)?),
        };
        Ok(Room { size, large })
    }

    /// That of an entry for which the magazine has blocks; None: it takes a large one.
    pub(super) fn small(item: &Item) -> Result<Option<Room<'static>>> {
        let size = Entry::size(&item.key, item.original, item.value.short())?;
        Ok(class_for(size).map(|_| Room { size, large: None }))
    }

    /// Fills the entry, in memory that is nobody else's; `take` then makes it part of the record.
    pub(super) fn fill(
        &self,
        operation: &Operation,
        item: &Item,
        original: Original,
    ) -> Attempt<Entry> {
        let segment = operation.segment;
        let entry = match (&self.large, class_for(self.size)) {
            (Some(block), _) => Entry(block.block()),
            (None, Some(class)) => {
                let (count, magazine) = operation.stock(class);
                if count == 0 {
                    return Err(crate::error::Stop::Refill(class));
                }
                Entry::at(segment, operation.read(magazine + count * WORD))?
            }
            (None, None) => return Err(crate::error::corrupt("an entry without a size").into()),
        };
        segment.check_range(entry.0, self.size)?;
        entry.fill(segment, &item.key, original, self.size, 0);
        let word = match &item.value {
            NewValue::Word(word) => *word,
            NewValue::Block(block) => block.block(),
            NewValue::Bytes(kind, parts) => entry.fill_inline(segment, *kind, parts)?,
        };
        entry.set_value(segment, word);
        Ok(entry)
    }

    /// Writes the entries by which the filled block is linked.
    pub(super) fn take(&self, operation: &mut Operation) -> Attempt<()> {
        match (&self.large, class_for(self.size)) {
            (Some(block), _) => {
                let shape = self.size | kind::ENTRY << 56;
                operation.write(block.block() + block::SHAPE, shape);
                block.transfer(operation, 0);
            }
            (None, Some(class)) => {
                let block = operation.take(class)?;
                operation.write(block + block::SHAPE, self.size | kind::ENTRY << 56);
            }
            (None, None) => {}
        }
        Ok(())
    }
}

pub(super) fn next_stamp(segment: &Segment) -> i64 {
    let serials = segment.word(superblock::NEXT_SERIAL);
    serials.fetch_add(1, Ordering::Relaxed).wrapping_add(1) as i64
}

/// Where an entry is in the order: where it says, or, if a death left that stale, where it is.
pub(super) fn place_of(operation: &Operation, storage: Storage, entry: Entry) -> Option<u64> {
    let is_at =
        |place: u64| place < storage.room() && operation.read(storage.place(place)) == entry.0;
    let said = entry.place(operation.segment);
    if is_at(said) {
        return Some(said);
    }
    (0..storage.room()).find(|&place| is_at(place))
}

/// Stores a value under a key. False: the condition does not hold.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links the new entry or value and lets the old one go.
pub fn store(caller: Caller, table: Table, item: &Item, mut when: When) -> Result<bool> {
    let (segment, hash) = (&caller.space.segment, item.key.hash());
    let shard = Shard::of(table.object, hash);
    let mut kept: Option<OwnOriginal> = None;
    loop {
        let original = kept.as_ref().map_or(item.original, entry::borrow);
        let room = Room::new(caller, item, original)?;
        let done = caller.run(|operation| {
            // Another word or block for a key that is there needs no entry, and no memory for one.
            let filled = match item.value {
                NewValue::Bytes(..) => Some(room.fill(operation, item, original)?),
                _ => None,
            };
            shard.lock(operation, table)?;
            if let When::Unchanged(Token(sequence)) = when
                && operation.read(shard.sequence()) != sequence
            {
                return Ok(Done::No);
            }
            let Some(storage) = shard.store(segment)? else {
                return Ok(Done::Grow);
            };
            let mut left = false;
            match probe(segment, plainly(segment), storage, &item.key, hash)? {
                Probe::There(..) if when == When::Absent => return Ok(Done::No),
                Probe::There(_, old)
                    if matches!(item.value, NewValue::Bytes(..))
                        && !old.was(segment, original)? =>
                {
                    return Ok(Done::Kept(old.original(segment)?));
                }
                Probe::There(slot, old) => {
                    left = replace(operation, storage, slot, old, filled, &room, item)?;
                }
                Probe::Vacant(slot) => {
                    let new = match filled {
                        Some(new) => new,
                        None => room.fill(operation, item, original)?,
                    };
                    if !insert(operation, shard, storage, slot, hash, new)? {
                        return Ok(Done::Grow);
                    }
                    room.take(operation)?;
                    if let NewValue::Block(block) = &item.value {
                        block.transfer(operation, 0);
                    }
                }
            }
            shard.change(operation, Changed::Key(hash));
            operation.queue_quiet_wake(table.object + EVENT);
            operation.commit();
            crate::memory::crash_point!("table.stored");
            Ok(Done::Yes(left))
        })?;
        match done {
            Done::Yes(left) => {
                if left {
                    tidy(caller)?;
                }
                return Ok(true);
            }
            Done::No => return Ok(false),
            Done::Kept(original) => kept = Some(original),
            Done::Grow => {
                if let Some(rebuilt) = grow(caller, table, shard, 1)?
                    && when == When::Unchanged(rebuilt.before)
                {
                    when = When::Unchanged(rebuilt.after);
                }
            }
        }
    }
}

/// Writes the entries that link a new entry; false: there is no place for it.
pub(super) fn insert(
    operation: &mut Operation,
    shard: Shard,
    storage: Storage,
    slot: u64,
    hash: u64,
    new: Entry,
) -> Attempt<bool> {
    let used = operation.read(shard.0 + USED);
    if used >= storage.room() {
        return Ok(false);
    }
    let segment = operation.segment;
    // Under the lock, so that stamps rise with places.
    let stamp = next_stamp(segment);
    segment
        .word(new.0 + entry::STAMP)
        .store(stamp as u64, Ordering::Relaxed);
    segment
        .word(new.0 + entry::META)
        .store(new.meta_at(segment, used), Ordering::Relaxed);
    operation.write(slot, new.0 << 16 | fingerprint(hash));
    operation.write(storage.place(used), new.0);
    operation.write(shard.0 + USED, used + 1);
    let count = operation.read(shard.0 + COUNT);
    operation.write(shard.0 + COUNT, count.wrapping_add(1));
    if seeded(Bug::EntryLinkedFirst) {
        operation.commit();
    }
    Ok(true)
}

/// Writes the entries that give an entry another value: in its word, or with another entry.
/// Whether something is left to `tidy` after.
fn replace(
    operation: &mut Operation,
    storage: Storage,
    slot: u64,
    old: Entry,
    filled: Option<Entry>,
    room: &Room,
    item: &Item,
) -> Attempt<bool> {
    let segment = operation.segment;
    let value = old.value(segment);
    match (&item.value, filled) {
        (NewValue::Word(word), _) => {
            operation.write(old.0 + VALUE, *word);
            value::discard(operation, value)
        }
        (NewValue::Block(block), _) => {
            operation.write(old.0 + VALUE, block.block());
            block.transfer(operation, 0);
            value::discard(operation, value)
        }
        (NewValue::Bytes(..), None) => Err(crate::error::corrupt("an entry was not filled").into()),
        (NewValue::Bytes(..), Some(new)) => {
            exchange(operation, storage, slot, old, new)?;
            room.take(operation)?;
            heap::discard(operation, old.0)?;
            value::discard(operation, value)
        }
    }
}

/// Writes the entries that put an entry in another one's place.
pub(super) fn exchange(
    operation: &mut Operation,
    storage: Storage,
    slot: u64,
    old: Entry,
    new: Entry,
) -> Result<()> {
    let segment = operation.segment;
    let place = place_of(operation, storage, old)
        .ok_or_else(|| crate::error::corrupt("an entry stands nowhere in the order"))?;
    let put = |offset: u64, value: u64| {
        segment.word(new.0 + offset).store(value, Ordering::Relaxed);
    };
    put(entry::STAMP, old.stamp(segment) as u64);
    put(entry::META, new.meta_at(segment, place));
    let print = operation.read(slot) & 0xFFFF;
    operation.write(slot, new.0 << 16 | print);
    operation.write(storage.place(place), new.0);
    Ok(())
}
