//! Many small items at once: put by one store and taken by one record.

use super::bytes;
use super::page;
use super::ring::front;
use super::state::{
    A_WORD, CLOSING, COUNTED, GET_LOCK, GOT_BYTES, HEAD, Header, INLINE, ITEMS, JUMP_ROOM, MAXIMUM,
    ORDER, Order, PUT_BYTES, REQUEUED, RETURNED, ROOM, SURPLUS, TAIL, WORD_KINDS, counts, head_of,
    page_of, read,
};
use super::tail::commit_put;
use crate::change::fast::FastOperation;
use crate::change::lock::{self, Tried};
use crate::error::Result;
use crate::memory::layout::{UNIT, WORD};
use crate::memory::segment::Segment;
use crate::object::holding::{self, Row};
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::sync::Ordering;

/// A record of a run to be put, at the end of those before: a value word, or bytes of the codec's kind
/// that are to lie in the ring; false: they are too many for it.
#[inline]
pub fn add_record(records: &mut Vec<u8>, item: Item) -> bool {
    match item {
        Item::Word(word) => {
            let head = Header::new(0, A_WORD, WORD).0;
            let bytes = [head.to_ne_bytes(), word.to_ne_bytes()];
            records.extend_from_slice(bytes.as_flattened());
        }
        Item::Bytes(_, bytes) if bytes.len() as u64 > INLINE => return false,
        Item::Bytes(kind, bytes) => {
            let head = Header::new(0, u64::from(kind), bytes.len() as u64).0;
            records.extend_from_slice(&head.to_ne_bytes());
            records.extend_from_slice(bytes);
            records.resize(records.len().next_multiple_of(WORD as usize), 0);
        }
    }
    true
}

/// Puts as many of the records as the page has room for, on the fast path; how many bytes of
/// them.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// The store to the tail commits all; the queued wake is written before it. In a queue that counts bytes
/// one record does both.
pub unsafe fn put_run(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    records: &[u8],
) -> usize {
    let order = read(segment, object + ORDER);
    if order & !COUNTED != Order::Fifo as u64 || !participant.is_ours() {
        return 0;
    }
    if order & COUNTED != 0 {
        // SAFETY: as the caller promised.
        return unsafe { put_counted_run(segment, participant, object, records) }.unwrap_or(0);
    }
    let Ok(Tried::Acquired | Tried::Recovered) =
        lock::try_acquire(segment, object.lock(), participant.me, 0)
    else {
        return 0;
    };
    let (put, end) = fill(segment, object, records, u64::MAX).unwrap_or_default();
    if put == 0 {
        lock::release(segment, object.lock());
        return 0;
    }
    commit_put(segment, participant, object, end);
    put
}

/// As `put_run`, into a queue that counts bytes; None where the fast path does not apply.
unsafe fn put_counted_run(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    records: &[u8],
) -> Option<usize> {
    // SAFETY: as the caller promised.
    let mut record = unsafe { FastOperation::begin(segment, participant, object.lock()) }?;
    let room = bytes::room(segment, object);
    let (put, end) = fill(segment, object, records, room).ok()?;
    if put == 0 {
        return None;
    }
    // What items count are the bytes of their records.
    let bytes = record.read(object + PUT_BYTES).wrapping_add(put as u64);
    record.write(object + PUT_BYTES, bytes);
    record.write(object + TAIL, end);
    crate::memory::crash_point!("queue.put");
    record.commit(object + ITEMS);
    Some(put)
}

/// The head of the first of these records, its bytes, and all behind it.
#[inline]
fn split(records: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (head, rest) = records.split_first_chunk()?;
    let head = Header(u64::from_ne_bytes(*head));
    let (bytes, rest) = rest.split_at_checked((head.size() - WORD) as usize)?;
    Some((head, bytes, rest))
}

/// Fills records behind the tail, at most `room` bytes of them; how many, and where they end. The put
/// lock is held.
fn fill(segment: &Segment, object: Object, records: &[u8], room: u64) -> Result<(usize, u64)> {
    let at = |offset: u64| segment.word(object + offset).load(Ordering::Relaxed);
    let tail = at(TAIL);
    let mut ordinal = head_of(segment, tail)?.ordinal();
    if at(CLOSING) & 1 != 0 {
        return Ok((0, tail));
    }
    let mut most = u64::MAX;
    if at(MAXIMUM) != 0 {
        let (items, leased) = counts(segment, object);
        most = at(MAXIMUM).saturating_sub(items.saturating_add(leased));
    }
    let end = (page_of(tail) + UNIT - JUMP_ROOM).min(tail.saturating_add(room));
    let store = |at: u64, word: u64| segment.word(at).store(word, Ordering::Relaxed);
    let (mut record, mut rest) = (tail, records);
    // Words are faster one by one, longer ones all at once: what is behind the head at the tail means
    // nothing.
    let is_copied = split(records).is_some_and(|(head, ..)| head.kind() != A_WORD);
    let room = (end.saturating_sub(tail) / WORD * WORD) as usize;
    if is_copied && room > WORD as usize {
        let bytes = &records[..records.len().min(room)];
        segment.copy_in(tail + WORD, &bytes[WORD as usize..]);
    }
    while let Some((head, bytes, behind)) = split(rest) {
        if record + head.size() > end || most == 0 {
            break;
        }
        match bytes.first_chunk() {
            _ if is_copied => {}
            Some(word) if head.kind() == A_WORD => store(record + WORD, u64::from_ne_bytes(*word)),
            _ => segment.copy_in(record + WORD, bytes),
        }
        store(record, Header::new(ordinal, head.kind(), head.length()).0);
        ordinal = (ordinal + 1) & 0xFFFF_FFFF;
        (record, rest, most) = (record + head.size(), behind, most - 1);
    }
    if record != tail {
        store(record, Header::new(ordinal, 0, 0).0);
    }
    Ok(((record - tail) as usize, record))
}

/// Whether the oldest item seems to be a word; by the time it is taken there may be another.
#[inline]
pub fn starts_with_word(segment: &Segment, object: Object) -> bool {
    let head = read(segment, object + HEAD);
    head != read(segment, object + TAIL)
        && head_of(segment, head).is_ok_and(|header| header.kind() == A_WORD)
}

/// Takes the oldest item if it is a word, on the fast path. `row` counts what this process
/// takes.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// One record moves the head on and counts the item as ours.
#[inline]
pub unsafe fn get_word(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    row: Row,
) -> Option<u64> {
    // SAFETY: as the caller promised.
    let mut record = unsafe { FastOperation::begin(segment, participant, object + GET_LOCK) }?;
    let at = |offset: u64| segment.word(object + offset).load(Ordering::Relaxed);
    let order = at(ORDER);
    if at(RETURNED) != 0 || at(REQUEUED) != 0 || at(SURPLUS) != 0 {
        return None;
    }
    let front = front(segment, object).ok()??;
    if front.kind() != A_WORD || page::is_left(segment, object, front.record) {
        return None; // `get` drops some pages
    }
    let word = segment.word(front.record + WORD).load(Ordering::Relaxed);
    record.write(object + HEAD, front.end());
    let taken = row.amount(segment).wrapping_add(1);
    record.write(row.at + holding::AMOUNT, taken);
    if order & COUNTED != 0 {
        let bytes = bytes::bytes_of(WORD);
        record.write(object + GOT_BYTES, at(GOT_BYTES).wrapping_add(bytes));
    }
    crate::memory::crash_point!("queue.got");
    record.commit(object + ROOM);
    Some(word)
}

/// What an attempt to take several items came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    /// Their records, in so many bytes of the buffer.
    Taken(usize),
    Empty,
    /// A lock is held: in a moment it may not be.
    Busy,
    /// What comes first does not lie in the ring itself, or is to be kept: `get_but` is due.
    Other,
}

/// Takes at most `max` of the oldest items, as many as lie in the ring itself, on one page, and are of
/// no kind that `keep` names: their records come in the buffer, a page's length. `row` counts what
/// this process takes. Then `drop_pages` is due.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// One record moves the head on and counts the items as ours.
pub unsafe fn get_run(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    row: Row,
    max: usize,
    keep: impl Fn(u8) -> bool,
    buffer: &mut [u8; UNIT as usize],
) -> Run {
    let at = |offset: u64| segment.word(object + offset).load(Ordering::Relaxed);
    let is_stacked = at(RETURNED) != 0 || at(REQUEUED) != 0;
    if !is_stacked && read(segment, object + HEAD) == read(segment, object + TAIL) {
        return Run::Empty;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) =
        (unsafe { FastOperation::begin(segment, participant, object + GET_LOCK) })
    else {
        return match participant.is_ours() {
            true => Run::Busy,
            false => Run::Other, // a child forked meanwhile
        };
    };
    let order = at(ORDER);
    if at(RETURNED) != 0 || at(REQUEUED) != 0 {
        return Run::Other;
    }
    let first = match front(segment, object) {
        Ok(Some(front)) => front.record,
        Ok(None) => return Run::Empty,
        Err(_) => return Run::Other,
    };
    let (tail, mut place, mut count) = (read(segment, object + TAIL), first, 0);
    while count < max && place != tail {
        match head_of(segment, place) {
            Ok(header) if is_inline(header) && !keep(header.kind() as u8) => {
                (place, count) = (place + header.size(), count + 1);
            }
            _ => break,
        }
    }
    if count == 0 {
        return Run::Other;
    }
    let length = (place - first) as usize;
    segment.copy_out(first, &mut buffer[..length]);
    record.write(object + HEAD, place);
    // What others called done before is not ours to call done.
    let set_off = at(SURPLUS).min(count as u64);
    if set_off > 0 {
        record.write(object + SURPLUS, at(SURPLUS) - set_off);
    }
    let taken = row.amount(segment).wrapping_add(count as u64 - set_off);
    record.write(row.at + holding::AMOUNT, taken);
    if order & COUNTED != 0 {
        record.write(
            object + GOT_BYTES,
            at(GOT_BYTES).wrapping_add(length as u64),
        );
    }
    crate::memory::crash_point!("queue.got");
    record.commit(object + ROOM);
    Run::Taken(length)
}

/// Whether all of it lies in the record.
fn is_inline(header: Header) -> bool {
    header.kind() == A_WORD && header.length() == WORD
        || header.kind() >= u64::from(WORD_KINDS) && header.length() <= INLINE
}

/// An item of a run: a value word, or bytes of the codec's kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    Word(u64),
    Bytes(u8, &'a [u8]),
}

/// The items whose records these are, as `get_run` copied them.
pub struct Items<'a>(pub &'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (head, bytes, behind) = split(self.0)?;
        self.0 = behind;
        if head.kind() == A_WORD {
            return Some(Item::Word(u64::from_ne_bytes(*bytes.first_chunk()?)));
        }
        let bytes = bytes.get(..head.length() as usize)?;
        Some(Item::Bytes(head.kind() as u8, bytes))
    }
}
