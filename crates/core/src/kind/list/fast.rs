//! The fast path of the shortest changes: of values that are words, where there is room.

use super::end::End;
use super::most;
use super::state::{COUNT, List, Ring, START, is_too_large, root, sequence};
use crate::change::fast::FastOperation;
use crate::memory::segment::Segment;
use crate::object::{EVENT, linked};
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::space::reading::Reading;
use crate::sync::{Ordering, fence};

/// An element that is a word, if one look without a lock finds it. The caller has the GIL.
#[inline]
pub fn peek(segment: &Segment, object: Object, index: i64) -> Option<u64> {
    let sequence = segment.word(sequence(object));
    let _reading = Reading::alone(segment);
    let before = sequence.load(Ordering::Acquire); // pairs with apply's Release of even
    if before & 1 != 0 {
        return None;
    }
    let ring = Ring::read(segment, object).ok()?;
    let at = ring.word(ring.index(index)?);
    let word = segment.word(at).load(Ordering::Relaxed);
    if !matches!(linked(segment, word), Ok(None)) {
        return None;
    }
    fence(Ordering::Acquire); // pairs with apply's Release fence after odd
    (sequence.load(Ordering::Relaxed) == before).then_some(word)
}

/// Begins a record under the list's lock.
///
/// # Safety
/// As `FastOperation::begin`.
#[inline(always)]
unsafe fn begin<'a>(
    segment: &'a Segment,
    participant: &Participant,
    object: Object,
) -> Option<(FastOperation<'a>, Ring)> {
    // SAFETY: as the caller promised.
    let fast = unsafe { FastOperation::begin(segment, participant, object.lock()) }?;
    if fast.recovered {
        let owner = segment.word(object + crate::object::OWNER);
        owner.store(crate::object::RECOVERED, Ordering::Relaxed);
    }
    fence(Ordering::Release); // as in `lock`
    let ring = Ring::read(segment, object).ok()?;
    Some((fast, ring))
}

/// Appends a word, at either end; false says that `push` is due, and nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `push`.
#[inline]
pub unsafe fn append_fast(
    segment: &Segment,
    participant: &Participant,
    list: List,
    end: End,
    word: u64,
) -> bool {
    let object = list.object;
    // SAFETY: as the caller promised.
    let Some((mut fast, ring)) = (unsafe { begin(segment, participant, object) }) else {
        return false;
    };
    let most = most(segment, object).unwrap_or(u64::MAX);
    if ring.count >= ring.capacity || ring.count > most {
        return false;
    }
    let (at, mut start) = end.next(ring);
    let mut count = ring.count + 1;
    if ring.count == most {
        if most == 0 {
            return false;
        }
        let last = segment.word(end.opposite().last(ring));
        if !matches!(linked(segment, last.load(Ordering::Relaxed)), Ok(None)) {
            return false;
        }
        count = ring.count;
        start = end.opposite().without(Ring { start, ..ring });
    }
    segment.word(at).store(word, Ordering::Relaxed);
    if start != ring.start {
        fast.write(root(object) + START, start);
    }
    if count != ring.count {
        fast.write(root(object) + COUNT, count);
    }
    fast.commit_under(sequence(object), object + EVENT);
    true
}

/// Takes the word at either end; None says that `pop` is due, and nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `pop`.
#[inline]
pub unsafe fn pop_fast(
    segment: &Segment,
    participant: &Participant,
    list: List,
    end: End,
) -> Option<u64> {
    let object = list.object;
    // SAFETY: as the caller promised.
    let (mut fast, ring) = unsafe { begin(segment, participant, object) }?;
    if ring.count == 0 || is_too_large(ring.capacity, ring.count - 1) {
        return None;
    }
    let word = segment.word(end.last(ring)).load(Ordering::Relaxed);
    if !matches!(linked(segment, word), Ok(None)) {
        return None;
    }
    let start = end.without(ring);
    if start != ring.start {
        fast.write(root(object) + START, start);
    }
    fast.write(root(object) + COUNT, ring.count - 1);
    fast.commit_under(sequence(object), object + EVENT);
    Some(word)
}

/// Stores a word in place of another; false says that `set` is due, and nothing has changed.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `set`.
#[inline]
pub unsafe fn set_fast(
    segment: &Segment,
    participant: &Participant,
    list: List,
    index: i64,
    word: u64,
) -> bool {
    let object = list.object;
    // SAFETY: as the caller promised.
    let Some((mut fast, ring)) = (unsafe { begin(segment, participant, object) }) else {
        return false;
    };
    let Some(index) = ring.index(index) else {
        return false;
    };
    let at = ring.word(index);
    let old = segment.word(at).load(Ordering::Relaxed);
    if !matches!(linked(segment, old), Ok(None)) {
        return false;
    }
    fast.write(at, word);
    fast.commit_under(sequence(object), object + EVENT);
    true
}
