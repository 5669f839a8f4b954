//! Putting items.

use super::item::KIND_LINKED;
use super::order::Sorted;
use super::state::{Queue, full, full_saying, is_fifo, refused, shut_down};
use crate::codec::{self, Encoded, Links};
use crate::deadline::Limit;
use crate::error::raise;
use crate::object::waiter::{self, Deadline};
use crate::object::{Object, Use};
use crate::room;
use crate::value::reference::{self, Foreign};
use courtyard_core::lock::PROBE;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::pending_block;
use courtyard_core::queue::{self, INLINE, NewItem, Order, Put, ROOM};
use courtyard_core::sync::Ordering;
use pyo3::exceptions::{PyException, PyMemoryError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

impl Queue {
    /// Puts a small item, on the fast path; whether it did.
    #[inline(always)]
    pub fn quick_put(&self, base: &Object, item: &Encoded<'_, '_>) -> bool {
        let participant = base.handle.held().filter(|_| is_fifo(self));
        let Some(participant) = participant else {
            return false;
        };
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        let put = |new: &NewItem| {
            // SAFETY: the GIL is held from before this call until after it.
            unsafe { queue::put_fast(segment, participant, object, new) }
        };
        let put = match item {
            Encoded::Word(word) => put(&NewItem::Word(*word)),
            Encoded::Block(block) if block.links.is_empty() => {
                let put = |parts: &[&[u8]], _| Ok(put(&NewItem::Bytes(block.kind, parts)));
                block.with_parts(put).unwrap_or_default()
            }
            Encoded::Block(_) => None,
        };
        put == Some(Put::Done)
    }
}

/// Puts an item; `wait` says until when to wait for room. It is encoded once: that may run its own code.
///
/// # Errors
/// `queue.Full`, `ShutDown`, `SpaceFull`, what pickling raises; `ValueError`: it can never fit.
pub fn put(
    slf: &Bound<'_, Queue>,
    item: &Bound<'_, PyAny>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let _open = match slf.as_super().get().handle.held() {
        Some(_) => None,
        None => Some(require_open(slf, wait)?), // which says whether anything may be pickled
    };
    let encoded = codec::encode(item, Links::Keep);
    if let Ok(encoded) = &encoded
        && slf.get().quick_put(slf.as_super().get(), encoded)
    {
        return Ok(());
    }
    put_slowly(slf, item, encoded, wait)
}

/// As `put`, of an item that was encoded, by the general path.
///
/// # Errors
/// As `put`.
#[cold]
pub fn put_slowly(
    slf: &Bound<'_, Queue>,
    item: &Bound<'_, PyAny>,
    encoded: PyResult<Encoded<'_, '_>>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let put = encoded.and_then(|encoded| {
        let _open = require_open(slf, wait)?;
        put_encoded(slf, item, &encoded, wait)
    });
    put.or_else(|error| spare(slf, item, error))
}

fn require_open<'a>(slf: &'a Bound<'_, Queue>, wait: Option<Deadline>) -> PyResult<Use<'a>> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open_until(slf.py(), Limit::of(wait))?;
    open.ok_or_else(|| full(slf.py()))
}

fn put_encoded(
    slf: &Bound<'_, Queue>,
    item: &Bound<'_, PyAny>,
    encoded: &Encoded<'_, '_>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    match encoded {
        Encoded::Word(word) if slf.get().order == Order::Lifo => {
            let (kind, word) = (queue::VALUE_WORD, word.to_ne_bytes());
            put_parts(slf, item, (kind, None), &[&word], wait)
        }
        Encoded::Word(word) => put_new(slf, item, &NewItem::Word(*word), wait),
        Encoded::Block(block) => block.with_parts(|parts, _| {
            if block.links.is_empty() {
                return put_parts(slf, item, (block.kind, None), parts, wait);
            }
            let (py, space) = (slf.py(), slf.as_super().get().handle.space);
            let link_header =
                reference::pack(py, space, block.kind, &block.links, Foreign::Ticketed)?;
            let all = room::concat(&[&[link_header.bytes.as_slice()], parts])?;
            put_parts(
                slf,
                item,
                (KIND_LINKED, Some(&link_header.objects)),
                &all,
                wait,
            )
        }),
    }
}

/// Puts an item's bytes, in a block if they are many, or keep objects, or the queue is no ring.
fn put_parts(
    slf: &Bound<'_, Queue>,
    item: &Bound<'_, PyAny>,
    (kind, objects): (u8, Option<&[ObjectId]>),
    parts: &[&[u8]],
    wait: Option<Deadline>,
) -> PyResult<()> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let length = match objects {
        Some(objects) => queue::length_linked(objects, parts),
        None => parts.iter().map(|part| part.len() as u64).sum(),
    };
    if objects.is_none() && length <= INLINE && slf.get().order == Order::Fifo {
        return put_new(slf, item, &NewItem::Bytes(kind, parts), wait);
    }
    let open = base.handle.open(py)?;
    let space = base.handle.space;
    if let Some(put) = queue::never_fits(&space.segment, base.handle.object, length) {
        return Err(refused(slf, put, queue::bytes_of(length))); // before room is looked for, and waited for
    }
    space.check_fits(length).map_err(|error| raise(py, error))?; // no `get` would make room
    // A full space is like a full queue while a `get` could make room.
    let event = base.handle.object + ROOM;
    let limit = Limit::of(wait).begun();
    let shutdowns = queue::shutdowns(&space.segment, base.handle.object);
    let full = RefCell::new(FullSpace::new(base, length));
    let again = Cell::new(None);
    let mut attempt = || {
        let is_over = queue::is_over(&space.segment, base.handle.object, shutdowns);
        let new = open.copying_until(py, length, limit, |caller| match objects {
            Some(objects) => queue::prepare_linked(caller, kind, objects, parts),
            None => queue::prepare(caller, kind, parts),
        });
        let mut full = full.borrow_mut();
        let new = full.unless_hopeless(py, new)?;
        again.set(full.again);
        match new {
            None if is_over => Err(shut_down(slf, true)),
            new => Ok(new),
        }
    };
    let mut new =
        waiter::attempt_until(py, &base.handle, event, wait, PROBE, &again, &mut attempt)?;
    if new.is_none() && full.borrow().is_hopeless(0) {
        new = attempt()?; // who had the memory at the last attempt may have freed it since
    }
    match new {
        Some(new) => put_new(slf, item, &new, wait),
        None => Err(full.into_inner().too_late(py, 0)),
    }
}

/// How long a put goes on in a full space whose queue is empty, at least, and how long it pauses first.
const GRACE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(1);

/// What a put does in a full space: it waits for a `get`, or for the end of another process's lease. Even if
/// the queue has no item and nobody has a lease, memory may be about to become free: a process that has just
/// taken an item has not freed it yet, and one that is putting an item has its memory. So the put tries again
/// for a while after the last change. One that does not wait raises what one whose time is up does.
struct FullSpace<'a> {
    base: &'a Object,
    /// What the space raised at the last attempt.
    error: Option<PyErr>,
    /// Since when the queue has been empty, and how often something was taken by then.
    empty: Option<(Instant, u64)>,
    grace: Duration,
    /// When to try again although nobody took anything.
    again: Option<Instant>,
}

impl<'a> FullSpace<'a> {
    /// For an item of so many bytes.
    fn new(base: &'a Object, length: u64) -> FullSpace<'a> {
        FullSpace {
            base,
            error: None,
            empty: None,
            grace: GRACE + Duration::from_nanos(length.saturating_mul(4)), // 250 MB a second
            again: None,
        }
    }

    /// None instead of `SpaceFull` where waiting may help.
    fn unless_hopeless<T>(
        &mut self,
        py: Python<'_>,
        done: PyResult<Option<T>>,
    ) -> PyResult<Option<T>> {
        let (segment, object) = (&self.base.handle.space.segment, self.base.handle.object);
        let before = self.empty.take();
        (self.error, self.again) = (None, None);
        match done {
            Err(error) if error.is_instance_of::<PyMemoryError>(py) => self.error = Some(error),
            done => return done,
        }
        let leased = |participant| {
            let leased = queue::leased_by_others(segment, participant, Queue::queue(self.base));
            leased.is_ok_and(|leased| leased > 0)
        };
        if queue::counts(segment, object).0 > 0 || self.base.handle.held().is_some_and(leased) {
            return Ok(None);
        }
        let (now, taken) = (
            Instant::now(),
            segment.word((object + ROOM).0).load(Ordering::Relaxed),
        );
        let since = before.and_then(|(since, then)| (then == taken).then_some(since));
        let since = since.unwrap_or(now);
        if now - since > self.grace {
            return self.error.take().map_or(Ok(None), Err);
        }
        self.empty = Some((since, taken));
        self.again = Some(now + PAUSE.max((now - since) / 4));
        Ok(None)
    }

    /// Whether no `get` would make room. `own`: how many blocks the item itself is in.
    fn is_hopeless(&self, own: usize) -> bool {
        let segment = &self.base.handle.space.segment;
        self.empty.is_some() && pending_block::count(segment) <= own
    }

    /// What is raised when the time is up.
    fn too_late(self, py: Python<'_>, own: usize) -> PyErr {
        let is_hopeless = self.is_hopeless(own);
        match self.error {
            None => full(py),
            Some(error) if is_hopeless => error,
            Some(error) => {
                let why = error.value(py);
                full_saying(py, format!("no item was taken in time to make room; {why}"))
            }
        }
    }
}

/// Puts what lies in the ring itself, or in a block that is made.
///
/// # Errors
/// As `put`.
pub fn put_new(
    slf: &Bound<'_, Queue>,
    item: &Bound<'_, PyAny>,
    new: &NewItem,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let open = base.handle.open(py)?;
    let (space, queue) = (base.handle.space, Queue::queue(base));
    let event = base.handle.object + ROOM;
    let limit = Limit::of(wait).begun();
    let shutdowns = queue::shutdowns(&space.segment, queue.object);
    let mut full = FullSpace::new(base, 0);
    let again = Cell::new(None);
    let done = waiter::attempt_until(py, &base.handle, event, wait, PROBE, &again, || {
        let is_over = queue::is_over(&space.segment, queue.object, shutdowns);
        let Some(sorted) = Sorted::take(slf, limit)? else {
            return Ok(None);
        };
        let sift = sorted.map(|sorted| Ok::<_, PyErr>((sorted.place(item)?, sorted)));
        let sift = sift.transpose()?;
        let done = open.waiting_until(py, limit, |caller| match &sift {
            Some((sift, _)) => queue::insert(caller, queue, new, sift),
            None => queue::put(caller, queue, new),
        });
        let done = done.map(|put| put.filter(|&put| put != Put::Full));
        let done = full.unless_hopeless(py, done)?;
        again.set(full.again);
        Ok(done.or(is_over.then_some(Put::ShutDown)))
    })?;
    match done {
        Some(Put::Done) => Ok(()),
        None if full.error.is_some() => {
            Err(full.too_late(py, matches!(new, NewItem::Block(_)).into()))
        }
        put => {
            let put = put.unwrap_or(Put::Full);
            let item = queue::of_new(&space.segment, queue.object, new);
            Err(refused(slf, put, item.unwrap_or(0)))
        }
    }
}

/// What multiprocessing does with an item that it cannot pickle: its queues have a hook for it.
fn spare(slf: &Bound<'_, Queue>, item: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let hook = intern!(slf.py(), "_on_queue_feeder_error");
    let is_ours = error.is_instance_of::<PyValueError>(slf.py()) || {
        let value = error.value(slf.py());
        let module = value.get_type().getattr("__module__")?.to_string();
        module == "_queue" || module == "queue" || module.starts_with("courtyard")
    };
    if is_ours || !error.is_instance_of::<PyException>(slf.py()) {
        return Err(error); // what a signal handler raises is nothing about the item
    }
    note(slf, &error);
    if !slf.get_type().hasattr(hook)? {
        return Err(error);
    }
    slf.call_method1(hook, (error, item)).map(drop)
}

/// Notes at what pickling an item raised which queue it was for.
#[cold]
fn note(slf: &Bound<'_, Queue>, error: &PyErr) {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    let class = slf.get_type().name();
    let class = class.map_or_else(|_| "queue".into(), |class| class.to_string());
    let title = match handle.shown_name(py) {
        Some(name) => format!("{class} {name}"),
        None => format!("a {class}"),
    };
    let said = format!("nothing was put into {title}: the item could not be stored");
    let _ = error.value(py).call_method1("add_note", (said,)); // an exception of any kind
}
