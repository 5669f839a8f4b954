//! Building a shard's index and order anew: with more room, or with less.

use super::entry::{self, Entry};
use super::read::{Token, fingerprint, first_slot};
use super::recent::Changed;
use super::state::{BLOCK, COUNT, EMPTY, FIRST, Key, Shard, Storage, Table, USED, bytes, room};
use crate::error::{Error, Result, corrupt};
use crate::memory::layout::{GRAIN, block, kind};
use crate::memory::segment::Segment;
use crate::process::participant::Participant;
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, Space};
use crate::sync::Ordering;

const FEWEST: u64 = 8;

/// Slots for so many entries, for a third of them again, lest changes build it anew too often, and
/// for `more`.
fn slots_for(entries: u64, more: u64) -> u64 {
    let want = entries + entries / 3 + more;
    let mut slots = FEWEST;
    while room(slots) < want {
        slots *= 2;
    }
    slots
}

/// Whether so few entries are left in so large an index that a smaller one is due: one that in turn
/// is far from full and from sparse, so that many changes pay for each that is built.
pub(super) fn is_sparse(storage: Storage, count: u64) -> bool {
    storage.slots > FEWEST && count <= storage.slots / 4
}

/// Gives a shard room for `more` entries, unless it has that by now. What `rebuild` gives.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// As `rebuild`.
pub(super) fn grow(
    caller: Caller,
    table: Table,
    shard: Shard,
    more: u64,
) -> Result<Option<Rebuilt>> {
    let segment = &caller.space.segment;
    // A look without the lock; what it finds is looked at again.
    let count = shard.store(segment)?.map_or(0, |storage| {
        let at = |place| segment.word(storage.place(place)).load(Ordering::Relaxed);
        (0..storage.room()).filter(|&place| at(place) != 0).count() as u64
    });
    let slots = slots_for(count, more);
    let used = || segment.word(shard.0 + USED).load(Ordering::Relaxed);
    let is_due =
        |old: Option<Storage>| old.is_none_or(|old| used().saturating_add(more) > old.room());
    rebuild(caller, table, shard, (slots, false), is_due)
}

/// Gives a shard room in front of what is first, unless it has that by now: half of what is not
/// used.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// As `rebuild`.
pub(super) fn make_room_in_front(caller: Caller, table: Table, shard: Shard) -> Result<()> {
    let segment = &caller.space.segment;
    let read = |at: u64| segment.word(shard.0 + at).load(Ordering::Relaxed);
    let slots = slots_for(read(COUNT).min(segment.size() / GRAIN), 2);
    let is_due = |old: Option<Storage>| old.is_some() && read(FIRST) == 0;
    rebuild(caller, table, shard, (slots, true), is_due).map(drop)
}

/// Gives a shard whose index is sparse a smaller one: after taking keys out. That was done already,
/// so nothing is waited for and nothing raised: what fails, the next one taken out does.
///
/// # Crash
/// As `rebuild`.
pub(super) fn shrink(space: &Space, participant: &Participant, table: Table, shard: Shard) {
    let segment = &space.segment;
    let count = || segment.word(shard.0 + COUNT).load(Ordering::Relaxed);
    let is_sparse = |old: Option<Storage>| old.is_some_and(|old| is_sparse(old, count()));
    if !shard.store(segment).is_ok_and(is_sparse) {
        return;
    }
    let slots = slots_for(count(), 0);
    let caller = Caller::new(space, participant, &|_| Err(Error::Interrupted));
    let _ = rebuild(caller, table, shard, (slots, false), is_sparse);
}

/// The states of a shard before it was rebuilt and after: no key has changed in between.
pub(super) struct Rebuilt {
    pub(super) before: Token,
    pub(super) after: Token,
}

/// Gives a shard index and order of so many slots, with room in front or not, if `is_due` still
/// holds under its lock, and if all entries find room there. None: it was not done.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// The new block is pending until one record exchanges it for the old one; a death after that
/// may leave entries that say their old place, which nobody believes unseen.
fn rebuild(
    caller: Caller,
    table: Table,
    shard: Shard,
    (slots, in_front): (u64, bool),
    is_due: impl Fn(Option<Storage>) -> bool,
) -> Result<Option<Rebuilt>> {
    let segment = &caller.space.segment;
    let length = bytes(slots);
    let new_value = PendingBlock::allocate(caller, length, kind::PLAIN)?;
    segment.zero(new_value.payload(), length);
    // From here on it counts as what has contents: none, since nothing is left in it.
    let shape = segment.word(new_value.block() + block::SHAPE);
    shape.store(length | kind::TABLE << 56, Ordering::Relaxed);
    let log = u64::from(slots.trailing_zeros());
    let Some(new) = Storage::new(segment, new_value.block() | log)? else {
        return Ok(None);
    };
    let (mut buffer, mut is_clean) = (Vec::with_capacity(256), true);
    caller.run(|operation| {
        shard.lock(operation, table)?;
        let old = shard.store(segment)?;
        if !is_due(old) {
            return Ok(None); // another was here
        }
        let spare = new.room().saturating_sub(operation.read(shard.0 + COUNT));
        let start = if in_front { spare / 2 } else { 0 };
        let mut filled = start;
        if let Some(old) = old {
            if !std::mem::take(&mut is_clean) {
                segment.zero(new_value.payload(), length); // an earlier attempt was cut short
            }
            for place in 0..operation.read(shard.0 + USED).min(old.room()) {
                let word = segment.word(old.place(place)).load(Ordering::Relaxed);
                if word == 0 {
                    continue;
                }
                if filled >= new.room() {
                    return Ok(None); // it filled up meanwhile: again, with more room
                }
                let entry = Entry::at(segment, word)?;
                put(segment, new, entry, filled, &mut buffer)?;
                filled += 1;
            }
        }
        operation.write(shard.0 + BLOCK, new.word());
        operation.write(shard.0 + USED, filled);
        operation.write(shard.0 + FIRST, start);
        new_value.transfer(operation, old.map_or(0, |old| old.block));
        let before = Token(operation.read(shard.sequence()));
        shard.change(operation, Changed::Order);
        operation.commit();
        let after = Token(segment.word(shard.sequence()).load(Ordering::Relaxed));
        crate::memory::crash_point!("table.grown");
        for place in start..filled {
            let word = segment.word(new.place(place)).load(Ordering::Relaxed);
            let entry = Entry::at(segment, word)?;
            segment
                .word(entry.0 + entry::META)
                .store(entry.meta_at(segment, place), Ordering::Relaxed);
        }
        Ok(Some(Rebuilt { before, after }))
    })
}

/// Enters an entry into index and order, which nobody else sees yet.
fn put(
    segment: &Segment,
    storage: Storage,
    entry: Entry,
    place: u64,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let tag = entry.copy_key(segment, buffer)?;
    let hash = Key { tag, bytes: buffer }.hash();
    for number in 0..storage.slots {
        let slot = segment.word(storage.slot(first_slot(hash).wrapping_add(number)));
        if slot.load(Ordering::Relaxed) == EMPTY {
            slot.store(entry.0 << 16 | fingerprint(hash), Ordering::Relaxed);
            let order = segment.word(storage.place(place));
            order.store(entry.0, Ordering::Relaxed);
            return Ok(());
        }
    }
    Err(corrupt("an index is full"))
}
