//! The shortest looks and changes, by the one thread that nothing stands in the way of.

use super::entry::{self, Entry, Inline};
use super::read::{Probe, plainly, probe};
use super::state::{Key, Shard};
use crate::change::fast::FastOperation;
use crate::memory::segment::Segment;
use crate::object::cell::{EVENT, linked};
use crate::process::participant::Participant;
use crate::space::reading::Reading;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::value::Fresh;

/// What one look at a shard without a lock found.
struct Look<'a> {
    sequence: &'a AtomicU64,
    before: u64,
    entry: Option<Entry>,
    _reading: Reading<'a>,
}

impl<'a> Look<'a> {
    /// None: somebody is at work there.
    #[inline(always)]
    fn new(segment: &'a Segment, cell: u64, key: &Key) -> Option<Look<'a>> {
        let hash = key.hash();
        let shard = Shard::of(cell, hash);
        let sequence = segment.word(shard.sequence());
        let reading = Reading::alone(segment);
        let before = sequence.load(Ordering::Acquire); // pairs with apply's Release of even
        if before & 1 != 0 {
            return None;
        }
        let entry = match shard.store(segment).ok()? {
            None => None,
            Some(storage) => match probe(segment, plainly(segment), storage, key, hash).ok()? {
                Probe::There(_, entry) => Some(entry),
                Probe::Vacant(_) => None,
            },
        };
        Some(Look {
            sequence,
            before,
            entry,
            _reading: reading,
        })
    }

    #[inline(always)]
    fn holds(&self) -> bool {
        fence(Ordering::Acquire); // pairs with apply's Release fence after odd
        self.sequence.load(Ordering::Relaxed) == self.before
    }
}

/// A value that is in its word or in its entry, as one look found it.
pub struct Glimpse<'a> {
    pub value: Seen,
    look: Look<'a>,
}

pub enum Seen {
    Word(u64),
    Inline(Inline),
}

impl Glimpse<'_> {
    /// Whether what was read so far is right.
    #[inline(always)]
    pub fn holds(&self) -> bool {
        self.look.holds()
    }
}

/// Whether there is such a key, if one look without a lock tells. The caller has the GIL.
#[inline]
pub fn is_known(segment: &Segment, cell: u64, key: &Key) -> Option<bool> {
    let look = Look::new(segment, cell, key)?;
    look.holds().then_some(look.entry.is_some())
}

/// The value of a key, if it is no block, and if one look without a lock finds it. The caller has the
/// GIL, and runs no Python code as long as it has the result.
#[inline]
pub fn peek<'a>(segment: &'a Segment, cell: u64, key: &Key) -> Option<Glimpse<'a>> {
    let look = Look::new(segment, cell, key)?;
    let entry = look.entry?;
    let word = entry.value(segment);
    let value = match entry.inline(segment, word).ok()? {
        Some(inline) => Seen::Inline(inline),
        None if linked(segment, word).ok()?.is_none() => Seen::Word(word),
        None => return None,
    };
    Some(Glimpse { value, look })
}

/// Stores a value that is no block under a key whose value is none, where it is, if there is room
/// and nothing stands in the way: false says that `store` is due, and nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `store`.
#[inline]
pub unsafe fn store_fast(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    key: &Key,
    value: &Fresh,
) -> bool {
    let next = |fast: &mut FastOperation, entry, _| match value {
        Fresh::Word(word) => Some(*word),
        Fresh::Bytes(kind, parts) => write_inline(segment, fast, entry, *kind, parts),
        Fresh::Block(_) => None,
    };
    // SAFETY: as the caller promised.
    unsafe { replace_fast(segment, participant, cell, key, next) }.is_some()
}

/// Stores what `next` makes of the value of a key, both of them a word and no block, under the same
/// conditions; that word. None, of `next` as well: nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `store`.
#[inline]
pub unsafe fn change_fast(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    key: &Key,
    next: impl FnOnce(u64) -> Option<u64>,
) -> Option<u64> {
    let next = |_: &mut FastOperation, _, old| (!entry::is_inline(old)).then(|| next(old))?;
    // SAFETY: as the caller promised.
    unsafe { replace_fast(segment, participant, cell, key, next) }
}

/// Lets `next` say which value word comes in the place of a key's, or None.
///
/// # Safety
/// As `FastOperation::begin`.
#[inline(always)]
unsafe fn replace_fast(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    key: &Key,
    next: impl FnOnce(&mut FastOperation, Entry, u64) -> Option<u64>,
) -> Option<u64> {
    let hash = key.hash();
    let shard = Shard::of(cell, hash);
    // SAFETY: as the caller promised.
    let mut fast = unsafe { FastOperation::begin(segment, participant, shard.0) }?;
    if cfg!(not(target_arch = "x86_64")) {
        // Lock, then look: pairs with `quiesce`. On x86 taking the lock is that fence.
        fence(Ordering::SeqCst);
    }
    if segment.word(cell).load(Ordering::Acquire) != 0 {
        return None;
    }
    let storage = shard.store(segment).ok()??;
    let Probe::There(_, entry) = probe(segment, plainly(segment), storage, key, hash).ok()? else {
        return None;
    };
    let old = entry.value(segment);
    if !entry::is_inline(old) && linked(segment, old).ok()?.is_some() {
        return None;
    }
    let word = next(&mut fast, entry, old)?;
    fast.write(entry.0 + entry::VALUE, word);
    fast.commit_under(shard.sequence(), cell + EVENT);
    Some(word)
}

/// Writes a value's bytes over those in an entry, as entries of the record; the value word that says
/// so. None: there is no room, in the entry or in the record.
#[inline]
fn write_inline(
    segment: &Segment,
    fast: &mut FastOperation,
    entry: Entry,
    kind: u8,
    parts: &[&[u8]],
) -> Option<u64> {
    let length = parts.iter().map(|part| part.len() as u64).sum();
    if !fast.has_room(length) {
        return None;
    }
    let mut at = entry.room_for(segment, length)?;
    for part in parts {
        fast.write_bytes(at, part);
        at += part.len() as u64;
    }
    Some(entry::inline_word(kind, length))
}
