//! The shortest changes, by the one thread that nothing stands in the way of.

use super::entry;
use super::read::{Probe, plainly, probe};
use super::{Key, Shard, Table};
use crate::alone::Alone;
use crate::cell::{EVENT, linked};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::sync::{Ordering, fence};

/// The value of a key, if it is a word, and if one look without a lock finds it.
#[inline]
pub fn peek(segment: &Segment, cell: u64, key: &Key) -> Option<u64> {
    let hash = key.hash();
    let shard = Shard::of(cell, hash);
    let sequence = segment.word(shard.sequence());
    let before = sequence.load(Ordering::Acquire); // pairs with apply's Release of even
    if before & 1 != 0 {
        return None;
    }
    let storage = shard.store(segment).ok()??;
    let Ok(Probe::There(_, entry)) = probe(segment, plainly(segment), storage, key, hash) else {
        return None;
    };
    let word = entry.value(segment);
    if entry::is_inline(word) || !matches!(linked(segment, word), Ok(None)) {
        return None;
    }
    fence(Ordering::Acquire); // pairs with apply's Release fence after odd
    (sequence.load(Ordering::Relaxed) == before).then_some(word)
}

/// Stores a value word under a key whose value is no block, if nothing stands in the way: false says
/// that `store` is due, and nothing has changed.
///
/// # Safety
/// As `Alone::begin`.
///
/// # Crash
/// As `store`.
#[inline]
pub unsafe fn store_alone(
    segment: &Segment,
    participant: &Participant,
    table: Table,
    key: &Key,
    word: u64,
) -> bool {
    let hash = key.hash();
    let shard = Shard::of(table.cell, hash);
    // SAFETY: as the caller promised.
    let Some(mut alone) = (unsafe { Alone::begin(segment, participant, shard.0) }) else {
        return false;
    };
    if cfg!(not(target_arch = "x86_64")) {
        // Lock, then look: pairs with `quiesce`. On x86 taking the lock is that fence.
        fence(Ordering::SeqCst);
    }
    if segment.word(table.cell).load(Ordering::Acquire) != 0 {
        return false;
    }
    let Ok(Some(storage)) = shard.store(segment) else {
        return false;
    };
    let Ok(Probe::There(_, entry)) = probe(segment, plainly(segment), storage, key, hash) else {
        return false;
    };
    let old = entry.value(segment);
    if !entry::is_inline(old) && !matches!(linked(segment, old), Ok(None)) {
        return false;
    }
    alone.write(entry.0 + entry::VALUE, word);
    alone.commit_under(shard.sequence(), table.cell + EVENT);
    true
}
