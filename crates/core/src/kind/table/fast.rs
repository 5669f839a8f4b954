//! Looks and changes by the fast path.

use super::change::{Item, Room, insert};
use super::entry::{self, Entry, Inline};
use super::grow::is_sparse;
use super::read::{Probe, plainly, probe};
use super::recent::Changed;
use super::removal::unlink;
use super::state::{COUNT, Key, Shard, Storage};
use crate::change::fast::FastOperation;
use crate::change::operation::Operation;
use crate::error::Attempt;
use crate::heap;
use crate::memory::segment::Segment;
use crate::object::{EVENT, linked};
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::space::reading::Reading;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::value::{NewValue, SHORT_MOST};

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
    fn new(segment: &'a Segment, object: Object, key: &Key) -> Option<Look<'a>> {
        let hash = key.hash();
        let shard = Shard::of(object, hash);
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
pub struct OptimisticRead<'a> {
    pub value: Seen,
    look: Look<'a>,
}

pub enum Seen {
    Word(u64),
    Inline(Inline),
}

impl OptimisticRead<'_> {
    /// Whether what was read so far is right.
    #[inline(always)]
    pub fn holds(&self) -> bool {
        self.look.holds()
    }
}

/// Whether there is such a key, if one look without a lock tells. The caller has the GIL.
#[inline]
pub fn is_known(segment: &Segment, object: Object, key: &Key) -> Option<bool> {
    let look = Look::new(segment, object, key)?;
    look.holds().then_some(look.entry.is_some())
}

/// The value of a key, if it is no block, and if one look without a lock finds it. The caller has the
/// GIL, and runs no Python code as long as it has the result.
#[inline]
pub fn peek<'a>(segment: &'a Segment, object: Object, key: &Key) -> Option<OptimisticRead<'a>> {
    let look = Look::new(segment, object, key)?;
    let entry = look.entry?;
    let word = entry.value(segment);
    let value = match entry.inline(segment, word).ok()? {
        Some(inline) => Seen::Inline(inline),
        None if linked(segment, word).ok()?.is_none() => Seen::Word(word),
        None => return None,
    };
    Some(OptimisticRead { value, look })
}

/// Stores a value that is no block: where the value of its key is, if that is none either and there is
/// room, or in a new entry, if it may. False: `store` is due, and nothing has changed.
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
    object: Object,
    item: &Item,
    may_insert: bool,
) -> bool {
    // SAFETY: as the caller promised.
    match unsafe { Place::find(segment, participant, object, &item.key) } {
        Some((place, Probe::There(_, entry))) => place.store(entry, &item.value),
        Some((place, Probe::Vacant(slot))) if may_insert => {
            let hash = place.hash;
            place.fast.keep_lock();
            insert_under(segment, participant, object, hash, slot, item).unwrap_or(false)
        }
        _ => false,
    }
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
    object: Object,
    key: &Key,
    next: impl FnOnce(u64) -> Option<u64>,
) -> Option<u64> {
    // SAFETY: as the caller promised.
    match unsafe { Place::find(segment, participant, object, key) }? {
        (place, Probe::There(_, entry)) => place.replace(entry, |_, old| {
            (!entry::is_inline(old)).then(|| next(old))?
        }),
        _ => None,
    }
}

/// Takes out a key whose value is no block, where neither the heap nor a smaller index has to be seen to.
/// False: `remove` is due, and nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `remove`.
#[inline]
pub unsafe fn remove_fast(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    key: &Key,
) -> bool {
    // SAFETY: as the caller promised.
    match unsafe { Place::find(segment, participant, object, key) } {
        Some((place, Probe::There(slot, entry))) => {
            let count = place.fast.read(place.shard.0 + COUNT).saturating_sub(1);
            if place.plain_value(entry).is_none() || is_sparse(place.storage, count) {
                return false;
            }
            let hash = place.hash;
            place.fast.keep_lock();
            remove_under(segment, participant, object, hash, slot, entry).unwrap_or(false)
        }
        _ => false,
    }
}

/// Where a key is, or would go, under its shard's lock.
struct Place<'a> {
    fast: FastOperation<'a>,
    segment: &'a Segment,
    object: Object,
    hash: u64,
    shard: Shard,
    storage: Storage,
}

impl<'a> Place<'a> {
    /// None: the lock is held, or the table's, or the shard has no index.
    ///
    /// # Safety
    /// As `FastOperation::begin`.
    #[inline(always)]
    unsafe fn find(
        segment: &'a Segment,
        participant: &Participant,
        object: Object,
        key: &Key,
    ) -> Option<(Place<'a>, Probe)> {
        let hash = key.hash();
        let shard = Shard::of(object, hash);
        // SAFETY: as the caller promised.
        let fast = unsafe { FastOperation::begin(segment, participant, shard.lock_word()) }?;
        if cfg!(not(target_arch = "x86_64")) {
            // Lock, then look: pairs with `quiesce`. On x86 taking the lock is that fence.
            fence(Ordering::SeqCst);
        }
        if segment.word(object.0).load(Ordering::Acquire) != 0 {
            return None;
        }
        let storage = shard.store(segment).ok()??;
        let probe = probe(segment, plainly(segment), storage, key, hash).ok()?;
        let place = Place {
            fast,
            segment,
            object,
            hash,
            shard,
            storage,
        };
        Some((place, probe))
    }

    #[inline(always)]
    fn store(self, entry: Entry, value: &NewValue) -> bool {
        let segment = self.segment;
        let next = |fast: &mut FastOperation, _| match value {
            NewValue::Word(word) => Some(*word),
            NewValue::Bytes(kind, parts) => write_inline(segment, fast, entry, *kind, parts),
            NewValue::Block(_) => None,
        };
        self.replace(entry, next).is_some()
    }

    /// Lets `next` say which value word comes in the place of an entry's, or None.
    #[inline(always)]
    fn replace(
        mut self,
        entry: Entry,
        next: impl FnOnce(&mut FastOperation, u64) -> Option<u64>,
    ) -> Option<u64> {
        let old = self.plain_value(entry)?;
        let word = next(&mut self.fast, old)?;
        self.fast.write(entry.0 + entry::VALUE, word);
        self.shard.note(self.segment, Changed::Key(self.hash));
        self.fast
            .commit_under(self.shard.sequence(), self.object + EVENT);
        Some(word)
    }

    /// The value word of an entry, if it names no block.
    #[inline(always)]
    fn plain_value(&self, entry: Entry) -> Option<u64> {
        let word = entry.value(self.segment);
        let is_plain = entry::is_inline(word) || linked(self.segment, word).ok()?.is_none();
        is_plain.then_some(word)
    }
}

/// Links a new entry where a search under the shard's lock found no key, and releases the lock: false, or
/// a `Stop`, where the general path is due. It is given no `Place`: one whose address is needed would
/// be in memory, and replacing a value would take longer.
#[inline(never)]
fn insert_under(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    hash: u64,
    slot: u64,
    item: &Item,
) -> Attempt<bool> {
    let shard = Shard::of(object, hash);
    let Some(mut operation) = Operation::try_begin_under(segment, participant, shard.lock_word())
    else {
        return Ok(false);
    };
    if matches!(item.value, NewValue::Block(_)) || item.value.short() > SHORT_MOST {
        return Ok(false); // the value has a block of its own
    }
    let (Some(room), Some(storage)) = (Room::small(item)?, shard.store(segment)?) else {
        return Ok(false);
    };
    let new = room.fill(&operation, item, item.original)?;
    if !insert(&mut operation, shard, storage, slot, hash, new)? {
        return Ok(false); // the index grows first
    }
    room.take(&mut operation)?;
    shard.change(&mut operation, Changed::Key(hash));
    operation.queue_quiet_wake(object + EVENT);
    operation.commit();
    crate::memory::crash_point!("table.stored");
    Ok(true)
}

/// Unlinks an entry that a search under the shard's lock found, frees it, and releases the lock: false, or
/// a `Stop`, where the general path is due.
#[inline(never)]
fn remove_under(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    hash: u64,
    slot: u64,
    entry: Entry,
) -> Attempt<bool> {
    let shard = Shard::of(object, hash);
    let Some(mut operation) = Operation::try_begin_under(segment, participant, shard.lock_word())
    else {
        return Ok(false);
    };
    let Some(storage) = shard.store(segment)? else {
        return Ok(false);
    };
    unlink(&mut operation, shard, storage, slot, entry)?;
    heap::discard(&mut operation, entry.0)?;
    if operation.has_freed() > 0 {
        return Ok(false); // perhaps so much that some goes back to the system
    }
    shard.change(&mut operation, Changed::Key(hash));
    operation.queue_quiet_wake(object + EVENT);
    operation.commit();
    Ok(true)
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
