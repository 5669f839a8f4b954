//! Putting and getting.

use super::tree::{self, Sift};
use super::{
    A_BLOCK, A_JUMP, A_WORD, BLOCK_HEAD, CLOSING, DONE, FIRST_RECORD, GET_LOCK, HEAD, Header,
    INLINE, ITEMS, JUMP_ROOM, MAXIMUM, ORDER, Order, Queue, RETURNED, ROOM, STACKED, SURPLUS, TAIL,
    WORD_KINDS, counts, head_of, lease, page, page_of, read,
};
use crate::alone::Alone;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::holding::{self, Row};
use crate::layout::{UNIT, WORD, align_up, block};
use crate::lock::{self, Tried};
use crate::operation::Operation;
use crate::participant::Participant;
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::{Ordering, compiler_fence};
use crate::unfinished::Unfinished;
use crate::wait;

/// An item about to be put: a value word, bytes with the codec's kind, or a filled block.
pub enum Fresh<'a> {
    Word(u64),
    Bytes(u8, &'a [&'a [u8]]),
    Block(Unfinished<'a>),
}

/// An item taken: a value word; so many bytes of the codec's kind, copied into the caller's buffer
/// of at least `INLINE`; or a block, ours until it is dropped.
pub enum Got<'a> {
    Word(u64),
    Bytes(u8, usize),
    Block(Unfinished<'a>),
}

/// What an attempt to put came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    Done,
    Full,
    ShutDown,
}

/// Puts an item's bytes into a block, with nothing held.
///
/// # Errors
/// `Full`.
pub fn prepare<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    kind: u8,
    parts: &[&[u8]],
) -> Result<Fresh<'a>> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let kind = u64::from(kind);
    let room = BLOCK_HEAD + align_up(length, WORD);
    let fresh = Unfinished::allocate(space, participant, patience, room, kind)?;
    let payload = fresh.payload();
    set_contents(&space.segment, payload, kind, length);
    let mut at = payload + BLOCK_HEAD;
    for part in parts {
        space.segment.copy_in(at, part);
        at += part.len() as u64;
    }
    Ok(Fresh::Block(fresh))
}

/// Says what follows the head of a block.
pub(super) fn set_contents(segment: &Segment, payload: u64, kind: u64, length: u64) {
    let word = segment.word(payload + WORD);
    word.store(kind << 56 | length, Ordering::Relaxed);
}

/// What follows the head of a block: its kind, where it is and how long.
///
/// # Errors
/// `Corrupt` if it reaches beyond what there is.
pub fn contents(segment: &Segment, payload: u64) -> Result<(u8, u64, u64)> {
    segment.check_range(payload, BLOCK_HEAD)?;
    let word = segment.word(payload + WORD).load(Ordering::Relaxed);
    let (kind, length) = ((word >> 56) as u8, word & 0x00FF_FFFF_FFFF_FFFF);
    segment.check_range(payload + BLOCK_HEAD, align_up(length, WORD))?;
    Ok((kind, payload + BLOCK_HEAD, length))
}

/// Where an item goes.
enum Room {
    At {
        tail: u64,
        record: u64,
    },
    None(Put),
    /// Behind a page that is to be added first.
    NewPage,
}

/// Whether one more item may be put, wherever it goes; why not. The put lock is held.
#[inline]
pub(super) fn room_for(segment: &Segment, cell: u64) -> Result<Option<Put>> {
    let at = |offset| segment.word(cell + offset).load(Ordering::Relaxed);
    if at(CLOSING) != 0 {
        return Ok(Some(Put::ShutDown));
    }
    let maximum = at(MAXIMUM);
    if maximum != 0 {
        let (items, leased) = counts(segment, cell);
        if items.saturating_add(leased) >= maximum {
            return Ok(Some(Put::Full));
        }
    }
    Ok(None)
}

/// The put lock is held.
#[inline]
fn room(segment: &Segment, cell: u64, size: u64) -> Result<Room> {
    if let Some(put) = room_for(segment, cell)? {
        return Ok(Room::None(put));
    }
    let tail = segment.word(cell + TAIL).load(Ordering::Relaxed);
    head_of(segment, tail)?;
    let page = page_of(tail);
    if tail + size + JUMP_ROOM <= page + UNIT {
        return Ok(Room::At { tail, record: tail });
    }
    let next = page::next(segment, tail)?;
    if next == page || next == page_of(read(segment, cell + HEAD)) {
        return Ok(Room::NewPage);
    }
    let record = next + FIRST_RECORD;
    Ok(Room::At { tail, record })
}

/// Fills a record behind the tail, which nobody sees before the tail moves on; where it then is.
#[inline]
fn fill(
    segment: &Segment,
    (tail, record): (u64, u64),
    (kind, length): (u64, u64),
    bytes: impl FnOnce(u64),
) -> u64 {
    let ordinal = Header(segment.word(tail).load(Ordering::Relaxed)).ordinal();
    bytes(record + WORD);
    let header = Header::new(ordinal, kind, length);
    let store = |at: u64, header: Header| segment.word(at).store(header.0, Ordering::Relaxed);
    let end = record + header.size();
    store(end, Header::new((ordinal + 1) & 0xFFFF_FFFF, 0, 0));
    store(record, header);
    if record != tail {
        segment.word(tail + WORD).store(record, Ordering::Relaxed);
        store(tail, Header::new(ordinal, A_JUMP, WORD));
    }
    end
}

/// The kind and length of what goes into the ring itself.
#[inline]
fn shape(item: &Fresh) -> (u64, u64) {
    match item {
        Fresh::Word(_) => (A_WORD, WORD),
        Fresh::Bytes(kind, parts) => {
            let length = parts.iter().map(|part| part.len() as u64).sum();
            (u64::from(*kind), length)
        }
        Fresh::Block(_) => (A_BLOCK, WORD),
    }
}

#[inline]
fn copy(segment: &Segment, item: &Fresh, mut at: u64) {
    match item {
        Fresh::Word(word) => segment.word(at).store(*word, Ordering::Relaxed),
        Fresh::Block(block) => segment.word(at).store(block.block(), Ordering::Relaxed),
        Fresh::Bytes(_, parts) => {
            for part in *parts {
                segment.copy_in(at, part);
                at += part.len() as u64;
            }
        }
    }
}

/// Puts an item that lies in the ring itself, if nothing stands in the way; None: `put` is due.
///
/// # Safety
/// No other thread of this process is in such a function of the same space meanwhile: it uses
/// the record set apart for the GIL's holder.
///
/// # Crash
/// The store to the tail commits; the wake owed is written before it.
#[inline]
pub unsafe fn put_alone(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    item: &Fresh,
) -> Option<Put> {
    let (kind, length) = shape(item);
    if length > INLINE || kind == A_BLOCK || read(segment, cell + ORDER) != Order::Fifo as u64 {
        return None;
    }
    let Ok(Tried::Acquired | Tried::Recovered) =
        lock::try_acquire(segment, cell, participant.me, 0)
    else {
        return None;
    };
    let size = WORD + align_up(length, WORD);
    let put = match room(segment, cell, size) {
        // A new page is `put`'s, which then drops those too many.
        Ok(Room::At { tail, record }) if tail == record => {
            if planted(Bug::TailBeforeRecord) {
                let end = record + WORD + align_up(length, WORD);
                segment.word(cell + TAIL).store(end, Ordering::Release);
            }
            let end = fill(segment, (tail, record), (kind, length), |at| {
                copy(segment, item, at);
            });
            let owed = segment.word(participant.lone_owed());
            owed.store(cell + ITEMS, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst); // owed before the change
            segment.word(cell + TAIL).store(end, Ordering::Release); // pairs with `read`
            compiler_fence(Ordering::SeqCst); // the change before unlock and wake
            crate::crash_point!("queue.put");
            lock::release(segment, cell);
            wait::notify(segment, cell + ITEMS);
            owed.store(0, Ordering::Release);
            return Some(Put::Done);
        }
        Ok(Room::None(put)) => Some(put),
        _ => None,
    };
    lock::release(segment, cell);
    put
}

/// Puts an item, if there is room for it.
///
/// # Errors
/// `Full` when a page is needed and there is none; `Interrupted` as `patience` says; `Corrupt`.
///
/// # Crash
/// The store to the tail commits, or for a block the record that ends our ownership with it.
pub fn put(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
    item: &Fresh,
) -> Result<Put> {
    let (segment, cell) = (&space.segment, queue.cell);
    let (kind, length) = shape(item);
    let stack = read(segment, cell + ORDER) == Order::Lifo as u64;
    if let (true, Fresh::Block(unfinished)) = (stack, item) {
        return push(space, participant, patience, queue, unfinished);
    }
    let size = WORD + align_up(length, WORD);
    if stack || length > INLINE {
        return Err(corrupt("an item that must be in a block is not")); // the caller's mistake
    }
    loop {
        let mut jumped = false;
        let put = space.run_as(participant, &mut *patience, |operation| {
            operation.lock(cell)?;
            let (tail, record) = match room(segment, cell, size)? {
                Room::At { tail, record } => (tail, record),
                Room::None(put) => return Ok(Some(put)),
                Room::NewPage => return Ok(None),
            };
            jumped = record != tail;
            let end = fill(segment, (tail, record), (kind, length), |at| {
                copy(segment, item, at);
            });
            operation.owe(cell + ITEMS);
            if let Fresh::Block(unfinished) = item {
                operation.write(cell + TAIL, end);
                unfinished.pass_on(operation, 0);
                operation.commit();
            } else {
                let tail = segment.word(cell + TAIL);
                operation.commit_with(|| tail.store(end, Ordering::Release));
            }
            crate::crash_point!("queue.put");
            Ok(Some(Put::Done))
        })?;
        match put {
            None => page::add(space, participant, &mut *patience, queue)?,
            Some(done) => {
                if jumped {
                    // The item is there: what fails now, a later put makes good.
                    let _ = page::trim(space, participant, &mut *patience, queue);
                }
                return Ok(done);
            }
        }
    }
}

/// Puts a block on the stack.
fn push(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
    item: &Unfinished,
) -> Result<Put> {
    let (segment, cell) = (&space.segment, queue.cell);
    space.run_as(participant, patience, |operation| {
        operation.lock(cell)?;
        if let Some(put) = room_for(segment, cell)? {
            return Ok(put);
        }
        operation.lock(cell + GET_LOCK)?;
        stack(operation, cell, item.block());
        count_put(operation, cell)?;
        item.pass_on(operation, 0);
        operation.owe(cell + ITEMS);
        operation.commit();
        Ok(Put::Done)
    })
}

/// Writes the entries that put a block on the stack, and the sequence around them.
pub(super) fn stack(operation: &mut Operation, cell: u64, block: u64) {
    let next = operation.read(cell + RETURNED);
    operation.write(heap::payload(operation.segment, block), next);
    operation.write(cell + RETURNED, block);
    let stacked = operation.read(cell + STACKED);
    operation.write(cell + STACKED, stacked.wrapping_add(1));
    operation.sequence(cell + super::SEQUENCE);
}

/// Writes the entries that count an item put on the stack, where no record in the ring does:
/// the heads at head and tail go on by one, in one place, since the ring is empty.
pub(super) fn count_put(operation: &mut Operation, cell: u64) -> Result<()> {
    let tail = operation.read(cell + TAIL);
    if tail != operation.read(cell + HEAD) {
        return Err(corrupt("a stack has a ring that is not empty"));
    }
    let header = head_of(operation.segment, tail)?;
    let ordinal = (header.ordinal() + 1) & 0xFFFF_FFFF;
    operation.write(tail, Header::new(ordinal, 0, 0).0);
    Ok(())
}

/// The oldest record: where the head goes with it, where it is, and its head.
pub(super) struct Front {
    pub record: u64,
    header: Header,
}

impl Front {
    fn end(&self) -> u64 {
        self.record + self.header.size()
    }

    pub fn kind(&self) -> u64 {
        self.header.kind()
    }

    pub fn length(&self) -> u64 {
        self.header.length()
    }

    /// What stands in a record of one word.
    fn word(&self, segment: &Segment) -> u64 {
        segment.word(self.record + WORD).load(Ordering::Relaxed)
    }
}

/// The get lock is held.
#[inline]
pub(super) fn front(segment: &Segment, cell: u64) -> Result<Option<Front>> {
    let mut record = segment.word(cell + HEAD).load(Ordering::Relaxed);
    for _ in 0..2 {
        if record == read(segment, cell + TAIL) {
            return Ok(None);
        }
        let header = head_of(segment, record)?;
        if header.kind() != A_JUMP {
            return Ok(Some(Front { record, header }));
        }
        record = segment.word(record + WORD).load(Ordering::Relaxed);
    }
    Err(corrupt("a queue jumps in circles"))
}

/// What lies in the ring itself.
#[inline]
fn copy_out<'a>(segment: &Segment, front: &Front, buffer: &mut [u8]) -> Result<Got<'a>> {
    let kind = front.header.kind();
    if kind == A_WORD {
        return Ok(Got::Word(front.word(segment)));
    }
    let length = front.header.length() as usize;
    if kind < u64::from(WORD_KINDS) || length > buffer.len() {
        return Err(corrupt(format!(
            "a queue holds a record of kind {kind}, {length} bytes"
        )));
    }
    segment.copy_out(front.record + WORD, &mut buffer[..length]);
    Ok(Got::Bytes(kind as u8, length))
}

/// Takes the oldest item if it lies in the ring itself and nothing stands in the way; `Some(None)`
/// if there is none, None if `get` is due. `row` counts what this process takes.
///
/// # Safety
/// As `put_alone`.
///
/// # Crash
/// One record moves the head on and counts the item as ours.
#[inline]
pub unsafe fn get_alone<'a>(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    row: Row,
    buffer: &mut [u8],
) -> Option<Option<Got<'a>>> {
    let at = |offset: u64| segment.word(cell + offset).load(Ordering::Relaxed);
    // Before the lock: empty is what a loop that polls finds most.
    let is_empty = || read(segment, cell + HEAD) == read(segment, cell + TAIL) && at(RETURNED) == 0;
    if is_empty() {
        return (at(CLOSING) == 0).then_some(None);
    }
    // SAFETY: as the caller promised.
    let mut record = unsafe { Alone::begin(segment, participant, cell + GET_LOCK) }?;
    if at(RETURNED) != 0 || at(SURPLUS) != 0 {
        return None;
    }
    let front = front(segment, cell).ok()??;
    if front.header.kind() == A_BLOCK {
        return None;
    }
    let got = copy_out(segment, &front, buffer).ok()?;
    record.write(cell + HEAD, front.end());
    record.write(
        row.at + holding::AMOUNT,
        row.amount(segment).wrapping_add(1),
    );
    crate::crash_point!("queue.got");
    record.commit(cell + ROOM);
    Some(Some(got))
}

/// Takes the first item: one that came back, or the oldest, or with `sift` the least, as the
/// turn's holder works it out. None: there is none.
///
/// # Errors
/// `Interrupted` as `patience` says; `Corrupt`; `Full` if 64 threads take large items at once.
///
/// # Crash
/// One record; a block is ours by it. An item taken is lost with us; `lease` is for who minds.
pub fn get<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    queue: Queue,
    row: Row,
    sift: Option<&Sift>,
    buffer: &mut [u8],
) -> Result<Option<Got<'a>>> {
    let (segment, cell) = (&space.segment, queue.cell);
    let block = Unfinished::reserve(space, participant)?;
    let got = space.run_as(participant, patience, |operation| {
        if !planted(Bug::GetWithoutLock) {
            operation.lock(cell + GET_LOCK)?;
        }
        let got = match first(operation, cell, sift)? {
            None => return Ok(None),
            Some(First::Word(word)) => Some(Got::Word(word)),
            Some(First::Block(item)) => {
                block.pass_on(operation, item);
                None
            }
            Some(First::Ring(front)) => Some(copy_out(segment, &front, buffer)?),
        };
        if planted(Bug::GetInTwo) {
            operation.commit();
        }
        lease::count(operation, cell, row);
        operation.owe(cell + ROOM);
        operation.commit();
        crate::crash_point!("queue.got");
        Ok(Some(got))
    })?;
    Ok(got.map(|got| got.unwrap_or(Got::Block(block))))
}

/// The first item, as the record being written takes it.
pub(super) enum First {
    Word(u64),
    Block(u64),
    Ring(Front),
}

/// Writes the entries that take the first item out of the queue; the get lock is held.
pub(super) fn first(
    operation: &mut Operation,
    cell: u64,
    sift: Option<&Sift>,
) -> Attempt<Option<First>> {
    let segment = operation.segment;
    let returned = operation.read(cell + RETURNED);
    if returned != 0 {
        unstack(operation, cell, returned)?;
        return Ok(Some(First::Block(returned)));
    }
    if let Some(sift) = sift {
        let word = tree::remove(operation, cell, sift)?;
        let block = tree::block_of(segment, word)?;
        return Ok(Some(block.map_or(First::Word(word), First::Block)));
    }
    let Some(front) = front(segment, cell)? else {
        return Ok(None);
    };
    operation.write(cell + HEAD, front.end());
    if front.header.kind() != A_BLOCK {
        return Ok(Some(First::Ring(front)));
    }
    let item = front.word(segment);
    segment.check_range(item, block::LARGE + BLOCK_HEAD)?;
    Ok(Some(First::Block(item)))
}

/// Writes the entries that take the first block off the stack.
fn unstack(operation: &mut Operation, cell: u64, block: u64) -> Result<()> {
    let segment = operation.segment;
    segment.check_range(block, block::LARGE + BLOCK_HEAD)?;
    let next = operation.read(heap::payload(segment, block));
    operation.write(cell + RETURNED, next);
    let stacked = operation.read(cell + STACKED);
    operation.write(cell + STACKED, stacked.saturating_sub(1));
    operation.sequence(cell + super::SEQUENCE);
    Ok(())
}

/// Counts items as done with; false if that would be more than were put.
///
/// # Errors
/// As `get`.
///
/// # Crash
/// One record.
pub fn task_done(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    queue: Queue,
    row: Row,
) -> Result<bool> {
    let cell = queue.cell;
    space.run_as(participant, patience, |operation| {
        operation.lock(cell + GET_LOCK)?;
        if super::unfinished(operation.segment, cell) == 0 {
            return Ok(false);
        }
        let done = operation.read(cell + DONE);
        operation.write(cell + DONE, done.wrapping_add(1) & 0xFFFF_FFFF);
        lease::uncount(operation, cell, row);
        operation.owe(cell + super::FINISHED);
        operation.commit();
        Ok(true)
    })
}
