//! Taking: the oldest record of the ring, or what is served before it.

use super::bytes::{self, Count};
use super::first::first;
use super::item::{Got, reserve, set_contents};
use super::ring::{First, Front, front};
use super::state::{
    A_BLOCK, A_WORD, BLOCK_HEAD, CLOSING, COUNTED, DONE, GET_LOCK, GOT_BYTES, HEAD, ITEMS, ORDER,
    Queue, REQUEUED, RETURNED, ROOM, SURPLUS, TAIL, WORD_KINDS, page_of, read,
};
use super::tail::stack;
use super::tree::Sift;
use super::{due, lease, page};
use crate::change::fast::FastOperation;
use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::{WORD, align_up, block};
use crate::memory::segment::Segment;
use crate::object::holding::{self, Row};
use crate::offset::Object;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

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

/// Takes the oldest item if it lies in the ring itself, on the fast path; `Some(None)`
/// if there is none, None if `get` is due. `row` counts what this process takes.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// One record moves the head on and counts the item as ours.
#[inline]
pub unsafe fn get_fast<'a>(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    row: Row,
    buffer: &mut [u8],
) -> Option<Option<Got<'a>>> {
    // SAFETY: as the caller promised.
    unsafe { get_fast_but(segment, participant, object, row, |_, _| false, buffer) }
}

/// As `get_fast`, but of an item whose kind and length `keep` names `get_but` is due.
///
/// # Safety
/// As `put_fast`.
///
/// # Crash
/// As `get_fast`.
#[inline(always)]
pub unsafe fn get_fast_but<'a>(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    row: Row,
    keep: impl Fn(u8, u64) -> bool,
    buffer: &mut [u8],
) -> Option<Option<Got<'a>>> {
    let at = |offset: u64| segment.word(object + offset).load(Ordering::Relaxed);
    // Before the lock: empty is what a loop that polls finds most.
    let is_stacked = at(RETURNED) != 0 || at(REQUEUED) != 0;
    if !is_stacked && read(segment, object + HEAD) == read(segment, object + TAIL) {
        return (at(CLOSING) & 1 == 0).then_some(None);
    }
    // SAFETY: as the caller promised.
    let mut record = unsafe { FastOperation::begin(segment, participant, object + GET_LOCK) }?;
    let order = at(ORDER);
    if at(RETURNED) != 0 || at(REQUEUED) != 0 || at(SURPLUS) != 0 {
        return None;
    }
    let front = front(segment, object).ok()??;
    if front.kind() == A_BLOCK || keep(front.kind() as u8, front.length()) {
        return None;
    }
    if page::is_left(segment, object, front.record) {
        return None; // `get` drops some pages
    }
    let got = copy_out(segment, &front, buffer).ok()?;
    record.write(object + HEAD, front.end());
    record.write(
        row.at + holding::AMOUNT,
        row.amount(segment).wrapping_add(1),
    );
    if order & COUNTED != 0 {
        let bytes = bytes::bytes_of(front.length());
        record.write(object + GOT_BYTES, at(GOT_BYTES).wrapping_add(bytes));
    }
    crate::memory::crash_point!("queue.got");
    record.commit(object + ROOM);
    Some(Some(got))
}

/// Takes the first item: one that came back, or the oldest, or with `sift` the least, as the
/// turn's holder works it out. None: there is none.
///
/// # Errors
/// `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record; a block is ours by it. An item taken is lost with us; `lease` is for who minds.
pub fn get<'a>(
    caller: Caller<'a, '_>,
    queue: Queue,
    row: Row,
    sift: Option<&Sift>,
    buffer: &mut [u8],
) -> Result<Option<Got<'a>>> {
    let never = |_| false;
    get_but(caller, queue, row, sift, never, buffer)
}

/// The kind and length of the oldest item, if it lies in the ring itself; by the time it is taken
/// there may be another.
pub fn look(segment: &Segment, object: Object) -> Option<(u8, u64)> {
    let front = front(segment, object).ok()??;
    let kind = u8::try_from(front.kind()).ok()?;
    (kind >= WORD_KINDS).then(|| (kind, front.length()))
}

/// As `get`, but an item whose kind `keep` names comes in a block, so that `put_back` can give it
/// back.
///
/// # Errors
/// As `get`; `Full` where there is no room for that block, and then nothing is taken.
///
/// # Crash
/// As `get`.
#[allow(clippy::too_many_arguments)]
pub fn get_but<'a>(
    caller: Caller<'a, '_>,
    queue: Queue,
    row: Row,
    sift: Option<&Sift>,
    keep: impl Fn(u8) -> bool,
    buffer: &mut [u8],
) -> Result<Option<Got<'a>>> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let need = |front: &Front| {
        let kind = u8::try_from(front.kind()).ok()?;
        (kind >= WORD_KINDS && keep(kind)).then(|| front.length())
    };
    // Of what is seen there, which may be another item: then once more.
    let mut room = look(segment, object).and_then(|(kind, length)| keep(kind).then_some(length));
    loop {
        let spare = room.map(|length| reserve(caller, length));
        let (spare, full) = match spare.transpose() {
            Err(full @ Error::Full(_)) => (None, Some(full)), // the first may need none
            spare => (spare?, None),
        };
        let mut more = None;
        let got = take(caller, queue, row, sift, |front| {
            let Some(need) = need(front) else {
                return Ok(Some(Some(copy_out(segment, front, buffer)?)));
            };
            let Some(spare) = spare.as_ref().filter(|_| room >= Some(need)) else {
                more = Some(need);
                return Ok(None);
            };
            set_contents(segment, spare.payload(), front.kind(), front.length());
            let length = align_up(need, WORD);
            segment.copy_within(front.record + WORD, spare.payload() + BLOCK_HEAD, length);
            Ok(Some(None))
        })?;
        match (got, more, full) {
            (None, Some(need), Some(full)) if Some(need) >= room => return Err(full),
            (None, Some(need), _) => room = Some(need),
            (None, None, _) => return Ok(None),
            (Some(got), ..) => return Ok(got.or(spare.map(Got::Block))),
        }
    }
}

/// Takes the first item; `copy` copies one that lies in the ring: `Some(None)` if that comes not in
/// what it returns, None if it cannot, and then nothing is taken.
fn take<'a>(
    caller: Caller<'a, '_>,
    queue: Queue,
    row: Row,
    sift: Option<&Sift>,
    mut copy: impl FnMut(&Front) -> Result<Option<Option<Got<'a>>>>,
) -> Result<Option<Option<Got<'a>>>> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let block = PendingBlock::reserve(caller)?;
    let mut is_left = false;
    let got = caller.run(|operation| {
        if !seeded(Bug::GetWithoutLock) {
            operation.lock(object + GET_LOCK)?;
        }
        let page = page_of(read(operation.segment, object + HEAD));
        let first = first(operation, object, sift)?;
        let Some(first) = first else {
            return Ok(None);
        };
        let bytes = bytes::of_first(segment, object, &first)?;
        let got = match first {
            First::Word(word) => Ok(Some(Got::Word(word))),
            First::Block(item) => {
                block.transfer(operation, item);
                Err(())
            }
            First::Ring(front) => match copy(&front)? {
                None => return Ok(None),
                Some(got) => Ok(got),
            },
        };
        is_left = page_of(operation.read(object + HEAD)) != page;
        if seeded(Bug::GetInTwo) {
            operation.commit();
        }
        lease::count(operation, object, row);
        bytes::count(operation, object, Count::Got, bytes);
        operation.queue_wake(object + ROOM);
        operation.commit();
        crate::memory::crash_point!("queue.got");
        Ok(Some(got))
    })?;
    if is_left {
        page::drop_pages(caller.space, caller.participant, queue);
    }
    Ok(got.map(|got| got.unwrap_or(Some(Got::Block(block)))))
}

/// Gives an item back that we took, first in line: it is not done with.
///
/// # Errors
/// `Interrupted` as the wait policy says: then it is lost with its block; `Corrupt`.
///
/// # Crash
/// One record ends our ownership of its block.
pub fn put_back(caller: Caller, queue: Queue, row: Row, item: &PendingBlock) -> Result<()> {
    let object = queue.object;
    caller
        .space
        .segment
        .check_range(item.block(), block::SMALL)?;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        stack(operation, object, item.block());
        item.transfer(operation, 0);
        if seeded(Bug::BackInTwo) {
            operation.commit();
        }
        lease::uncount(operation, object, row);
        bytes::count_block(operation, object, Count::Back, item.block())?;
        operation.queue_wake(object + ITEMS);
        operation.commit();
        crate::memory::crash_point!("queue.back");
        Ok(())
    })
}

/// As `put_back`, without waiting: what a lock stands in the way of is done by whoever of this process
/// comes by. We stay a member of the queue until then.
///
/// # Crash
/// As `put_back`; until it is done the item is ours, and lost with us.
pub fn put_back_later(
    space: &Space,
    participant: &Participant,
    queue: Queue,
    row: Row,
    item: PendingBlock,
) {
    let Queue { object, id } = queue;
    let held = item.into_row();
    let numbers = [held, object.0, id.row, id.serial, row.number, row.at];
    space.now_or_later(participant, &PUT_BACK, numbers);
}

static PUT_BACK: Job = Job {
    run: |caller, &[held, object, row, serial, number, at]| {
        let (object, id) = (Object(object), ObjectId { row, serial });
        let (queue, row) = (Queue { object, id }, Row { number, at });
        let item = PendingBlock::from_row(caller.space, caller.participant, held);
        let done = put_back(caller, queue, row, &item);
        if matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
            item.into_row(); // it is begun again
        }
        done
    },
    inherit: |_, _| {},
};

/// Where an item lies in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    record: u64,
    end: u64,
    ordinal: u64,
}

impl Place {
    fn of(front: &Front) -> Place {
        Place {
            record: front.record,
            end: front.end(),
            ordinal: front.header.ordinal(),
        }
    }
}

/// Copies the first item without taking it, if it lies in the ring itself; what it is, and where it
/// lies for `take_at`.
///
/// # Errors
/// As `get`.
pub fn look_at<'a>(
    caller: Caller<'a, '_>,
    object: Object,
    buffer: &mut [u8],
) -> Result<Option<(Got<'a>, Place)>> {
    let segment = &caller.space.segment;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        if !is_ring_first(operation, object)? {
            return Ok(None);
        }
        let Some(front) = front(segment, object)?.filter(|front| front.kind() != A_BLOCK) else {
            return Ok(None);
        };
        let got = copy_out(segment, &front, buffer)?;
        Ok(Some((got, Place::of(&front))))
    })
}

/// Takes the item that lies there, if it is still the first; false: it is not.
///
/// # Errors
/// As `get`.
///
/// # Crash
/// One record moves the head on and counts the item as ours.
pub fn take_at(caller: Caller, queue: Queue, row: Row, place: Place) -> Result<bool> {
    let object = queue.object;
    caller.run(|operation| {
        if !seeded(Bug::GetWithoutLock) {
            operation.lock(object + GET_LOCK)?;
        }
        // The ordinal, too, as the head may have gone all the way round.
        let front = front(operation.segment, object)?.filter(|front| Place::of(front) == place);
        let Some(front) = front.filter(|front| front.kind() != A_BLOCK) else {
            return Ok(false);
        };
        if !is_ring_first(operation, object)? {
            return Ok(false);
        }
        let bytes = bytes::of_first(operation.segment, object, &First::Ring(front))?;
        operation.write(object + HEAD, place.end);
        lease::count(operation, object, row);
        bytes::count(operation, object, Count::Got, bytes);
        operation.queue_wake(object + ROOM);
        operation.commit();
        crate::memory::crash_point!("queue.got");
        Ok(true)
    })
}

/// Whether the ring is served next.
fn is_ring_first(operation: &Operation, object: Object) -> Attempt<bool> {
    Ok(operation.read(object + RETURNED) == 0 && !due::is_due(operation, object)?)
}

/// Counts items as done with; false if that would be more than were put.
///
/// # Errors
/// As `get`.
///
/// # Crash
/// One record.
pub fn task_done(caller: Caller, queue: Queue, row: Row) -> Result<bool> {
    let object = queue.object;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        if super::state::unfinished(operation.segment, object) == 0 {
            return Ok(false);
        }
        let done = operation.read(object + DONE);
        operation.write(object + DONE, done.wrapping_add(1) & 0xFFFF_FFFF);
        lease::uncount(operation, object, row);
        operation.queue_wake(object + super::state::FINISHED);
        operation.commit();
        Ok(true)
    })
}

/// As `task_done`, by who cannot wait: where that takes waiting it is done later.
pub fn task_done_later(space: &Space, participant: &Participant, queue: Queue, row: Row) {
    let numbers = [queue.object.0, row.number, row.at, 0, 0, 0];
    space.now_or_later(participant, &TASK_DONE, numbers);
}

/// The queue is ours until this is done: memberships are given back behind it.
static TASK_DONE: Job = Job {
    run: |caller, &[object, number, at, ..]| {
        let (queue, row) = (Queue::at(Object(object)), Row { number, at });
        task_done(caller, queue, row).map(drop)
    },
    inherit: |_, _| {},
};
