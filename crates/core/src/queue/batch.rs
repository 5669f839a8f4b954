//! Many small items at once: put by one store and taken by one record.

use super::front::front;
use super::{
    A_WORD, CLOSING, GET_LOCK, HEAD, Header, INLINE, ITEMS, JUMP_ROOM, MAXIMUM, ORDER, Order,
    REQUEUED, RETURNED, ROOM, SURPLUS, TAIL, WORD_KINDS, counts, head_of, page, page_of, read,
};
use crate::alone::Alone;
use crate::error::Result;
use crate::holding::{self, Row};
use crate::layout::{UNIT, WORD};
use crate::lock::{self, Tried};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::sync::{Ordering, compiler_fence};
use crate::wait;

/// Bytes of a record of one word.
const RECORD: u64 = 2 * WORD;

/// Puts as many of the words as the page has room for, if nothing stands in the way; how many.
///
/// # Safety
/// As `put_alone`.
///
/// # Crash
/// The store to the tail commits all; the wake owed is written before it.
pub unsafe fn put_words(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    words: &[u64],
) -> usize {
    if read(segment, cell + ORDER) != Order::Fifo as u64 || !participant.is_ours() {
        return 0;
    }
    let Ok(Tried::Acquired | Tried::Recovered) =
        lock::try_acquire(segment, cell, participant.me, 0)
    else {
        return 0;
    };
    let (put, end) = fill(segment, cell, words).unwrap_or_default();
    if put == 0 {
        lock::release(segment, cell);
        return 0;
    }
    let owed = segment.word(participant.lone_owed());
    owed.store(cell + ITEMS, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst); // owed before the change
    segment.word(cell + TAIL).store(end, Ordering::Release); // pairs with `read`
    compiler_fence(Ordering::SeqCst); // the change before unlock and wake
    crate::crash_point!("queue.put");
    lock::release(segment, cell);
    wait::notify(segment, cell + ITEMS);
    owed.store(0, Ordering::Release);
    put
}

/// Fills records behind the tail; how many, and where they end. The put lock is held.
fn fill(segment: &Segment, cell: u64, words: &[u64]) -> Result<(usize, u64)> {
    let at = |offset: u64| segment.word(cell + offset).load(Ordering::Relaxed);
    let tail = at(TAIL);
    let mut ordinal = head_of(segment, tail)?.ordinal();
    if at(CLOSING) != 0 {
        return Ok((0, tail));
    }
    let mut room = (page_of(tail) + UNIT - JUMP_ROOM - tail) / RECORD;
    if at(MAXIMUM) != 0 {
        let (items, leased) = counts(segment, cell);
        room = room.min(at(MAXIMUM).saturating_sub(items.saturating_add(leased)));
    }
    let store = |at: u64, word: u64| segment.word(at).store(word, Ordering::Relaxed);
    let (mut record, mut put) = (tail, 0);
    for &word in words.iter().take(room as usize) {
        let next = (ordinal + 1) & 0xFFFF_FFFF;
        store(record + WORD, word);
        store(record + RECORD, Header::new(next, 0, 0).0);
        store(record, Header::new(ordinal, A_WORD, WORD).0);
        (record, ordinal) = (record + RECORD, next);
        put += 1;
    }
    Ok((put, record))
}

/// Whether the oldest item seems to be a word; by the time it is taken there may be another.
#[inline]
pub fn starts_with_word(segment: &Segment, cell: u64) -> bool {
    let head = read(segment, cell + HEAD);
    head != read(segment, cell + TAIL)
        && head_of(segment, head).is_ok_and(|header| header.kind() == A_WORD)
}

/// Takes as many of the oldest items into `words` as are words on one page, if nothing stands in
/// the way; how many. `row` counts what this process takes.
///
/// # Safety
/// As `put_alone`.
///
/// # Crash
/// One record moves the head on and counts the items as ours.
#[inline]
pub unsafe fn get_words(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    row: Row,
    words: &mut [u64],
) -> usize {
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { Alone::begin(segment, participant, cell + GET_LOCK) }) else {
        return 0;
    };
    let at = |offset: u64| segment.word(cell + offset).load(Ordering::Relaxed);
    if at(RETURNED) != 0 || at(REQUEUED) != 0 || at(SURPLUS) != 0 {
        return 0;
    }
    let Ok(Some(front)) = front(segment, cell) else {
        return 0;
    };
    if page::is_left(segment, cell, front.record) {
        return 0; // `get` drops some pages
    }
    let (tail, mut place, mut got) = (read(segment, cell + TAIL), front.record, 0);
    while got < words.len() && place != tail {
        match head_of(segment, place) {
            Ok(header) if header.kind() == A_WORD => {
                words[got] = segment.word(place + WORD).load(Ordering::Relaxed);
                (place, got) = (place + header.size(), got + 1);
            }
            _ => break,
        }
    }
    if got == 0 {
        return 0;
    }
    record.write(cell + HEAD, place);
    let taken = row.amount(segment).wrapping_add(got as u64);
    record.write(row.at + holding::AMOUNT, taken);
    crate::crash_point!("queue.got");
    record.commit(cell + ROOM);
    got
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
/// As `put_alone`.
///
/// # Crash
/// One record moves the head on and counts the items as ours.
pub unsafe fn get_run(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    row: Row,
    max: usize,
    keep: impl Fn(u8) -> bool,
    buffer: &mut [u8; UNIT as usize],
) -> Run {
    let at = |offset: u64| segment.word(cell + offset).load(Ordering::Relaxed);
    let is_stacked = at(RETURNED) != 0 || at(REQUEUED) != 0;
    if !is_stacked && read(segment, cell + HEAD) == read(segment, cell + TAIL) {
        return Run::Empty;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { Alone::begin(segment, participant, cell + GET_LOCK) }) else {
        return match participant.is_ours() {
            true => Run::Busy,
            false => Run::Other, // a child forked meanwhile
        };
    };
    if at(RETURNED) != 0 || at(REQUEUED) != 0 {
        return Run::Other;
    }
    let first = match front(segment, cell) {
        Ok(Some(front)) => front.record,
        Ok(None) => return Run::Empty,
        Err(_) => return Run::Other,
    };
    let (tail, mut place, mut count) = (read(segment, cell + TAIL), first, 0);
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
    record.write(cell + HEAD, place);
    // What others called done before is not ours to call done.
    let set_off = at(SURPLUS).min(count as u64);
    if set_off > 0 {
        record.write(cell + SURPLUS, at(SURPLUS) - set_off);
    }
    let taken = row.amount(segment).wrapping_add(count as u64 - set_off);
    record.write(row.at + holding::AMOUNT, taken);
    crate::crash_point!("queue.got");
    record.commit(cell + ROOM);
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

    fn next(&mut self) -> Option<Item<'a>> {
        let (head, rest) = self.0.split_first_chunk()?;
        let header = Header(u64::from_ne_bytes(*head));
        let length = header.length() as usize;
        let bytes = rest.get(..length)?; // they were copied under the lock, and checked before
        self.0 = rest.get(length.next_multiple_of(WORD as usize)..)?;
        if header.kind() == A_WORD {
            let word = bytes.first_chunk()?;
            return Some(Item::Word(u64::from_ne_bytes(*word)));
        }
        Some(Item::Bytes(header.kind() as u8, bytes))
    }
}
