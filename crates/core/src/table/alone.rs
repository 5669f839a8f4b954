//! The shortest changes, by the one thread that nothing stands in the way of.

use super::entry;
use super::read::{Probe, plainly, probe};
use super::{Key, Shard, Table};
use crate::alone::Alone;
use crate::cell::{EVENT, linked};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::sync::{Ordering, fence};

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
