//! Pages: making a queue with its first, adding one, dropping those too many.

use super::state::{
    COUNTED, FIRST_RECORD, HEAD, Header, LENGTH, MAXBYTES, MAXIMUM, ORDER, Order, PAGES, Queue,
    TAIL, page_of, read,
};
use crate::change::operation::Purpose;
use crate::error::{Error, Result};
use crate::heap;
use crate::memory::layout::{UNIT, WORD, block};
use crate::memory::segment::Segment;
use crate::object;
use crate::object::rows::KIND as TABLE_KIND;
use crate::offset::Object;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::space::pending_block::PendingBlock;
use crate::space::reading::Reading;
use crate::space::{Caller, Space, at_once};
use crate::sync::Ordering;

/// Empty pages that a queue keeps, and how many more are dropped at a time.
const SPARE: u64 = 2;
const DROPPED: u64 = 8;

/// How much a queue may hold; 0: any number.
#[derive(Clone, Copy, Default)]
pub struct Bounds {
    pub items: u64,
    pub bytes: u64,
}

impl From<u64> for Bounds {
    fn from(items: u64) -> Bounds {
        Bounds { items, bytes: 0 }
    }
}

/// Makes a queue. Returns the object and our membership row.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// The record that lists the queue ends our ownership of its page.
pub fn create(caller: Caller, bounds: impl Into<Bounds>, order: Order) -> Result<(ObjectId, u64)> {
    let segment = &caller.space.segment;
    let page = allocate(caller, Purpose::Store)?;
    let first = page.block() + FIRST_RECORD;
    let bounds = bounds.into();
    object::create_with(
        caller,
        object::QUEUE,
        LENGTH,
        |object| lay_out(segment, object, first, bounds, order),
        &[&page],
    )
}

/// Writes the words of a queue that nobody sees yet; its first record goes to `first`, on a page
/// that is its only one.
pub fn lay_out(
    segment: &Segment,
    object: Object,
    first: u64,
    bounds: impl Into<Bounds>,
    order: Order,
) {
    let Bounds { items, bytes } = bounds.into();
    let counted = if bytes == 0 { 0 } else { COUNTED };
    let page = page_of(first);
    let words = [
        (page + block::LARGE, page),
        (first, Header::new(0, 0, 0).0),
        (object + HEAD, first),
        (object + TAIL, first),
        (object + MAXIMUM, items),
        (object + MAXBYTES, bytes),
        (object + ORDER, order as u64 | counted),
        (object + PAGES, page),
    ];
    for (word, value) in words {
        segment.word(word).store(value, Ordering::Relaxed);
    }
}

pub(super) fn allocate<'a>(caller: Caller<'a, '_>, purpose: Purpose) -> Result<PendingBlock<'a>> {
    PendingBlock::allocate_units(purpose, caller, 1, TABLE_KIND)
}

/// The page after the one in which `at` lies, as data of a peer.
///
/// # Errors
/// `Corrupt`.
pub(super) fn next(segment: &Segment, at: u64) -> Result<u64> {
    let link = page_of(at) + block::LARGE;
    segment.check_range(link, WORD)?;
    let page = segment.word(link).load(Ordering::Relaxed);
    segment.check_range(page, UNIT)?;
    Ok(page_of(page))
}

/// The page that the tail may move on to; None: one is to be added first. Another empty one stays
/// behind it, for consumers that find no memory left: see `afford`.
///
/// # Errors
/// `Corrupt`.
#[inline]
pub(super) fn next_empty(segment: &Segment, object: Object, tail: u64) -> Result<Option<u64>> {
    let used = [page_of(tail), page_of(read(segment, object + HEAD))];
    let first = next(segment, tail)?;
    let second = next(segment, first)?;
    Ok((!used.contains(&first) && !used.contains(&second)).then_some(first))
}

/// Puts an empty page behind that of the tail, unless there are enough by now.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// One record links the page and ends our ownership.
pub(super) fn add(caller: Caller, queue: Queue) -> Result<()> {
    let segment = &caller.space.segment;
    let page = allocate(caller, Purpose::Store)?;
    let new = page.block();
    caller.run(|operation| {
        operation.lock(queue.object.lock())?;
        let tail = operation.read(queue.object + TAIL);
        if next_empty(segment, queue.object, tail)?.is_some() {
            return Ok(()); // another added it
        }
        let after = next(segment, tail)?;
        segment
            .word(new + block::LARGE)
            .store(after, Ordering::Relaxed);
        operation.write(page_of(tail) + block::LARGE, new);
        page.transfer(operation, 0);
        operation.commit();
        Ok(())
    })
}

/// Drops some of the empty pages behind that of the tail, but for a few.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`, `Corrupt`.
///
/// # Crash
/// Each leaves the circle and becomes free by one record.
pub(super) fn trim(caller: Caller, queue: Queue) -> Result<()> {
    for _ in 0..DROPPED {
        if !drop_one(caller, queue, SPARE)? {
            break;
        }
    }
    Ok(())
}

/// Allocates for a call that takes items out of a queue: where no memory is left, what an empty page of
/// the queue's own has taken.
///
/// # Errors
/// Those of `allocate`; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// As `trim`, and as `allocate`.
pub(super) fn afford<T>(
    caller: Caller,
    queue: Queue,
    mut allocate: impl FnMut() -> Result<T>,
) -> Result<T> {
    loop {
        match allocate() {
            Err(Error::Full(_)) if drop_one(caller, queue, 0)? => {}
            done => return done,
        }
    }
}

/// Drops the empty page that follows so many others; false: there is none.
fn drop_one(caller: Caller, queue: Queue, kept: u64) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(queue.object.lock())?;
        let Some(kept) = last_kept(operation.segment, queue.object, kept)? else {
            return Ok(false);
        };
        let extra = next(operation.segment, kept)?;
        let after = next(operation.segment, extra)?;
        operation.write(kept + block::LARGE, after);
        if operation.read(queue.object + PAGES) == extra {
            operation.write(queue.object + PAGES, kept);
        }
        heap::discard(operation, extra)?;
        operation.commit();
        Ok(true)
    })
}

/// After items were taken: drops pages that are empty now, but for a few, if that takes no waiting;
/// else it is left to the next.
///
/// # Crash
/// As each page, of which each leaves the circle and becomes free by one record.
pub fn drop_pages(space: &Space, participant: &Participant, queue: Queue) {
    if has_extra(&space.segment, queue.object) {
        let _ = trim(Caller::new(space, participant, &at_once()), queue);
    }
}

/// Whether taking an item leaves the head's page, and there are more empty ones than are kept. The
/// get lock is held.
#[inline]
pub(super) fn is_left(segment: &Segment, object: Object, record: u64) -> bool {
    page_of(record) != page_of(read(segment, object + HEAD)) && has_extra(segment, object)
}

/// Whether an empty page is too many, as one look without a lock tells.
#[cold]
fn has_extra(segment: &Segment, object: Object) -> bool {
    let _reading = Reading::new(segment); // putters drop pages, too
    matches!(last_kept(segment, object, SPARE), Ok(Some(_)))
}

/// The last of so many empty pages behind that of the tail, if another empty one follows. Right if the
/// put lock is held.
fn last_kept(segment: &Segment, object: Object, kept: u64) -> Result<Option<u64>> {
    // The head only moves on, towards the tail: what is empty now stays so under the put lock.
    let used = page_of(read(segment, object + HEAD));
    let tail = page_of(read(segment, object + TAIL));
    let mut page = tail;
    for _ in 0..kept {
        page = next(segment, page)?;
        if page == used || page == tail {
            return Ok(None);
        }
    }
    let extra = next(segment, page)?;
    Ok((extra != used && extra != tail).then_some(page))
}
