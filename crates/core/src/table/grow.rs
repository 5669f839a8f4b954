//! Building a shard's index and order anew, with room.

use super::entry::{self, Entry};
use super::read::{fingerprint, first_slot};
use super::{BLOCK, EMPTY, Key, Shard, Storage, Table, USED, bytes, room};
use crate::error::{Result, corrupt};
use crate::layout::{block, kind};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use crate::unfinished::Unfinished;

const FEWEST: u64 = 8;

/// Slots for so many entries, and a third more.
fn slots_for(entries: u64) -> u64 {
    let want = entries + entries / 3;
    let mut slots = FEWEST;
    while room(slots) < want {
        slots *= 2;
    }
    slots
}

/// Gives a shard room for `more` entries, unless it has that by now.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// The new block is unfinished until one record exchanges it for the old one; a death after that
/// may leave entries that say their old place, which nobody believes unseen.
pub(super) fn grow(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    table: Table,
    shard: Shard,
    more: u64,
) -> Result<()> {
    let segment = &space.segment;
    // A look without the lock; what it finds is looked at again.
    let count = shard.store(segment)?.map_or(0, |storage| {
        let at = |place| segment.word(storage.place(place)).load(Ordering::Relaxed);
        (0..storage.room()).filter(|&place| at(place) != 0).count() as u64
    });
    let slots = slots_for(count + more);
    let length = bytes(slots);
    let fresh = Unfinished::allocate(space, participant, &mut *patience, length, kind::PLAIN)?;
    segment.zero(fresh.payload(), length);
    // From here on it counts as what has contents: none, since nothing is left in it.
    let shape = segment.word(fresh.block() + block::SHAPE);
    shape.store(length | kind::TABLE << 56, Ordering::Relaxed);
    let log = u64::from(slots.trailing_zeros());
    let Some(new) = Storage::new(segment, fresh.block() | log)? else {
        return Ok(());
    };
    let mut buffer = Vec::with_capacity(256);
    space.run_as(participant, patience, |operation| {
        shard.lock(operation, table)?;
        let old = shard.store(segment)?;
        let used = operation.read(shard.0 + USED);
        if let Some(old) = old
            && used.saturating_add(more) <= old.room()
        {
            return Ok(()); // another made room
        }
        let mut filled = 0;
        if let Some(old) = old {
            segment.zero(new.index, slots * 8); // an earlier attempt may have been cut short
            for place in 0..used.min(old.room()) {
                let word = segment.word(old.place(place)).load(Ordering::Relaxed);
                if word == 0 {
                    continue;
                }
                if filled >= new.room() {
                    return Ok(()); // it filled up meanwhile: again, with more room
                }
                let entry = Entry::at(segment, word)?;
                put(segment, new, entry, filled, &mut buffer)?;
                filled += 1;
            }
        }
        operation.write(shard.0 + BLOCK, new.word());
        operation.write(shard.0 + USED, filled);
        fresh.pass_on(operation, old.map_or(0, |old| old.block));
        operation.sequence(shard.sequence());
        operation.commit();
        crate::crash_point!("table.grown");
        for place in 0..filled {
            let word = segment.word(new.place(place)).load(Ordering::Relaxed);
            let entry = Entry::at(segment, word)?;
            segment
                .word(entry.0 + entry::META)
                .store(entry.meta_at(segment, place), Ordering::Relaxed);
        }
        Ok(())
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
