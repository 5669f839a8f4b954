//! Taking items.

use super::back::{put_back, secure_bytes};
use super::item::{Held, KIND_LINKED, decode_block, decode_bytes, decode_seen, may_fail};
use super::order::Sorted;
use super::state::{Queue, empty, is_fifo, shut_down};
use crate::codec::{self, Buffers, pickle};
use crate::deadline::Limit;
use crate::error::raise;
use crate::object::waiter::{self, Deadline};
use crate::object::{Object, Use, keeping_tickets};
use crate::room;
use crate::value::reference;
use courtyard_core::error::Error;
use courtyard_core::holding::Row;
use courtyard_core::lock::PROBE;
use courtyard_core::participant::Participant;
use courtyard_core::queue::{self, Got, INLINE, ITEMS, Look, Order, Seen};
use pyo3::exceptions::{PyMemoryError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

thread_local! {
    /// Room to copy an item into; who decodes with it in hand leaves none to who comes meanwhile.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer to `work`.
#[inline]
pub fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let room = || vec![0; INLINE as usize].into_boxed_slice();
    let mut buffer = BUFFER.take().unwrap_or_else(room);
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}

/// An item taken, and the block that it came in, if it did.
pub struct Taken {
    pub item: Py<PyAny>,
    pub block: Option<Arc<Held>>,
    /// Whether it could not go back: it is its caller's.
    pub is_final: bool,
}

impl Taken {
    fn plain(item: Py<PyAny>) -> Taken {
        Taken {
            item,
            block: None,
            is_final: false,
        }
    }
}

/// Why no item was taken.
pub enum End {
    Empty,
    ShutDown,
    /// There is no room for the block by which it could go back.
    NoRoom,
}

impl Queue {
    /// Whether the oldest item seems to be one whose loading may fail.
    pub fn starts_uncertain(&self, base: &Object) -> bool {
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        base.handle.held().is_some()
            && queue::look(segment, object).is_some_and(|(kind, _)| may_fail(kind))
    }

    /// Takes a small item, on the fast path; `Some(None)` if there is none.
    #[inline(always)]
    pub fn quick_get(&self, py: Python<'_>, base: &Object) -> Option<Option<PyResult<Py<PyAny>>>> {
        if self.order != Order::Fifo {
            return None;
        }
        let participant = base.handle.held()?;
        let row = self.holding.known(participant)?;
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        if queue::starts_with_word(segment, object) {
            // Without what an item of bytes needs: a number costs a tenth less.
            // SAFETY: the GIL is held from before this call until after it.
            if let Some(word) = unsafe { queue::get_word(segment, participant, object, row) } {
                let item = codec::decode_word(py, word).map(Bound::unbind);
                return Some(Some(item.inspect_err(|_| {
                    let (kind, bytes) = (queue::VALUE_WORD, word.to_ne_bytes());
                    give_back(py, base, participant, row, kind, &bytes);
                })));
            }
        }
        let keep = |kind, _| may_fail(kind);
        with_buffer(|buffer| {
            // SAFETY: the GIL is held from before this call until after it.
            let got =
                unsafe { queue::get_fast_but(segment, participant, object, row, keep, buffer) }?;
            Some(got.map(|got| match got {
                Got::Word(word) => Ok(codec::decode_word(py, word)?.unbind()),
                Got::Bytes(kind, length) => {
                    let bytes = &buffer[..length];
                    decode_bytes(py, kind, bytes, Buffers::Own).inspect_err(|_| {
                        give_back(py, base, participant, row, kind, bytes);
                    })
                }
                Got::Block(_) => Err(PyRuntimeError::new_err("a block where none can be")),
            }))
        })
    }
}

/// Gives a plain item back that could not be decoded, as memory has run out.
#[cold]
fn give_back(
    py: Python<'_>,
    base: &Object,
    participant: &'static Participant,
    row: Row,
    kind: u8,
    bytes: &[u8],
) {
    room::scarce(|| {
        let held = secure_bytes(py, base, participant, kind, &[bytes]);
        if let Some(Ok(Some(block))) = held.map(Held::reclaim) {
            let space = base.handle.space;
            queue::put_back_later(space, participant, Queue::queue(base), row, block);
        }
    });
}

/// Takes a small item whose loading may fail, on the fast path, and loads it: with a block
/// at hand by which it can go back, which comes with it if `kept`. Its buffers are `whose`.
pub fn quick_get_kept(
    slf: &Bound<'_, Queue>,
    limit: Limit,
    whose: Buffers,
    kept: bool,
) -> Option<PyResult<Taken>> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    if this.order != Order::Fifo {
        return None;
    }
    let (_, room) = queue::look(segment, object).filter(|(kind, _)| may_fail(*kind))?;
    let row = this.holding.known(base.handle.held()?)?;
    let open = match base.handle.open(py) {
        Ok(open) => open,
        Err(error) => return Some(Err(error)),
    };
    let (space, participant) = (base.handle.space, open.participant);
    let spare = match open.waiting_until(py, limit, |caller| queue::reserve(caller, room)) {
        Ok(spare) => spare?,
        // The general way goes on in a full space.
        Err(error) if error.is_instance_of::<PyMemoryError>(py) => return None,
        Err(error) => return Some(Err(error)), // as a signal handler may raise
    };
    let keep = |kind, length| may_fail(kind) && length > room;
    with_buffer(|buffer| {
        // SAFETY: the GIL is held from before this call until after it.
        let got = unsafe { queue::get_fast_but(segment, participant, object, row, keep, buffer) }??;
        let (kind, bytes) = match got {
            Got::Bytes(kind, length) => (kind, &buffer[..length]),
            Got::Word(word) => {
                let item = codec::decode_word(py, word).map(Bound::unbind);
                return Some(item.map(Taken::plain));
            }
            Got::Block(_) => return None,
        };
        let spare = Held::new(space, participant, spare); // which knows of forks
        let item = decode_bytes(py, kind, bytes, whose);
        if item.is_ok() && !(kept && may_fail(kind)) {
            return Some(item.map(Taken::plain));
        }
        let held = spare.filled(kind, bytes);
        Some(match item {
            Ok(item) => Ok(Taken {
                item,
                block: Some(held),
                is_final: false,
            }),
            Err(error) => Err(put_back(slf, &open, row, vec![held], error)),
        })
    })
}

/// When the first of the items that were requeued is due; None: there are none.
///
/// # Errors
/// `CorruptError`; what a signal handler raises.
pub fn next_due(slf: &Bound<'_, Queue>, limit: Limit) -> PyResult<Option<Instant>> {
    let handle = &slf.as_super().get().handle;
    if !queue::has_requeued(&handle.space.segment, handle.object) {
        return Ok(None);
    }
    let open = handle.open(slf.py())?;
    let due = open.waiting_until(slf.py(), limit, |caller| {
        queue::until_due(caller, Queue::queue(slf.as_super().get()))
    })?;
    let now = Instant::now(); // the time to wait may be up: then it is tried again
    Ok(due.map_or(Some(now), |due| due.map(|(wait, _)| now + wait)))
}

/// Takes the first item; `wait` says until when to wait for one, and its buffers are `whose`.
///
/// # Errors
/// `queue.Empty`, `ShutDown`; what decoding raises, and then the item is where it was.
pub fn get(slf: &Bound<'_, Queue>, wait: Option<Deadline>, whose: Buffers) -> PyResult<Py<PyAny>> {
    match take(slf, wait, whose, false)? {
        Ok(taken) => Ok(taken.item),
        Err(End::ShutDown) => Err(shut_down(slf, false)),
        Err(_) => Err(empty(slf.py())),
    }
}

/// So often an item that could not go back is loaded anew since another was the first meanwhile.
const ATTEMPTS: u32 = 30;

/// As `get`, or why there is none; `more`: for somebody who has some, and must be able to give this
/// one back.
///
/// # Errors
/// What decoding raises, and then the item is where it was.
pub fn take(
    slf: &Bound<'_, Queue>,
    wait: Option<Deadline>,
    whose: Buffers,
    more: bool,
) -> PyResult<Result<Taken, End>> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let limit = Limit::of(wait);
    let Some(_open) = base.handle.open_until(py, limit)? else {
        return Ok(Err(End::Empty));
    };
    let (space, object) = (base.handle.space, base.handle.object);
    let (event, soonest, mut looked) = (object + ITEMS, Cell::new(None), false);
    let shutdowns = queue::shutdowns(&space.segment, object);
    let got = waiter::attempt_until(py, &base.handle, event, wait, PROBE, &soonest, || {
        // Before the look for items: those that were put before are seen then.
        let is_over = queue::is_over(&space.segment, object, shutdowns);
        if space.is_behind() {
            // An item of ours may be on its way back.
            base.handle
                .waiting_until(py, limit, |wait| space.catch_up(wait))?;
        }
        if !more && let Some(Some(item)) = this.quick_get(py, base) {
            return Ok(Some(Ok(Taken::plain(item?))));
        }
        if let Some(got) = quick_get_kept(slf, limit, whose, true) {
            return got.map(|taken| Some(Ok(taken)));
        }
        // Asked each time: signal handlers run while we wait, and may fork.
        let Some(open) = base.handle.open_until(py, limit)? else {
            return Ok(None);
        };
        let Some(row) = this.row(py, base, &open, limit)? else {
            return Ok(None);
        };
        for _ in 0..ATTEMPTS {
            let had_later = queue::has_requeued(&space.segment, object);
            let full = match general(slf, &open, row, limit, whose)? {
                Ok(Some(taken)) => return Ok(Some(Ok(taken))),
                Ok(None) => {
                    soonest.set(next_due(slf, limit)?);
                    if !is_over || soonest.get().is_some() {
                        return Ok(None);
                    }
                    if had_later {
                        // Another may have put it in its place by priority since we looked there.
                        soonest.set(Some(Instant::now()));
                        return Ok(None);
                    }
                    if look_for_leases(py, base, &mut looked, limit)? {
                        continue;
                    }
                    return Ok(Some(Err(End::ShutDown)));
                }
                Err(full) => full,
            };
            if more {
                return Ok(Some(Err(End::NoRoom)));
            }
            if !is_fifo(this) {
                return Err(raise(py, full));
            }
            if let Some(item) = load_and_take(slf, &open, row, limit, whose)? {
                return Ok(Some(Ok(Taken {
                    item,
                    block: None,
                    is_final: true,
                })));
            }
        }
        let what = "there is no room for an item to go back if it does not load, and others took \
                    one each time while it was loaded first";
        Err(raise(py, Error::Full(what.into())))
    })?;
    Ok(got.unwrap_or(Err(End::Empty)))
}

/// Before a queue is said to be shut down and empty: recovers the dead, once in a call, if items are out on
/// leases, which may be theirs. False: there is nothing to look for.
///
/// # Errors
/// What a signal handler raises.
pub fn look_for_leases(
    py: Python<'_>,
    base: &Object,
    looked: &mut bool,
    limit: Limit,
) -> PyResult<bool> {
    let (space, object) = (base.handle.space, base.handle.object);
    let (_, leased) = queue::counts(&space.segment, object);
    if *looked || leased == 0 {
        return Ok(false);
    }
    *looked = true;
    waiter::look_after(py, space, limit)?;
    Ok(true)
}

/// Takes the first item and loads it; `Ok(None)`: there is none. An error is why nothing was taken: no
/// room for the block by which it could go back.
///
/// # Errors
/// As `take`.
fn general(
    slf: &Bound<'_, Queue>,
    open: &Use<'_>,
    row: Row,
    limit: Limit,
    whose: Buffers,
) -> PyResult<Result<Option<Taken>, Error>> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let (space, participant) = (base.handle.space, open.participant);
    let queue = Queue::queue(base);
    let Some(sorted) = Sorted::take(slf, limit)? else {
        return Ok(Ok(None));
    };
    let sift = sorted.as_ref().map(|sorted| sorted.least(py));
    let sift = sift.transpose()?.flatten();
    with_buffer(|buffer| {
        let got = open.waiting_until(py, limit, |caller| {
            let sift = sift.as_ref();
            match queue::get_but(caller, queue, row, sift, may_fail, buffer) {
                Err(full @ Error::Full(_)) => Ok(Err(full)),
                got => got.map(Ok),
            }
        })?;
        drop(sorted); // decoding may run any code
        let got = match got {
            Some(Ok(Some(got))) => got,
            Some(Err(full)) => return Ok(Err(full)),
            _ => return Ok(Ok(None)),
        };
        let (item, block) = match got {
            Got::Word(word) => (codec::decode_word(py, word).map(Bound::unbind), None),
            Got::Bytes(kind, length) => {
                let (bytes, me) = (&buffer[..length], participant);
                let item = decode_bytes(py, kind, bytes, whose);
                let back = |_: &PyErr| secure_bytes(py, base, me, kind, &[bytes]);
                let block = item.as_ref().err().and_then(back);
                (item, block)
            }
            Got::Block(block) => {
                let held = Held::new(space, participant, block);
                (decode_block(py, held.clone(), whose), Some(held))
            }
        };
        match item {
            Ok(item) => Ok(Ok(Some(Taken {
                item,
                block,
                is_final: false,
            }))),
            Err(error) => {
                let blocks = block.into_iter().collect();
                Err(put_back(slf, open, row, blocks, error))
            }
        }
    })
}

/// Loads the first item, and takes it if it still is the first: what raises has taken nothing. None: it
/// is not, or is none that lies in the ring itself.
///
/// # Errors
/// As `take`.
fn load_and_take(
    slf: &Bound<'_, Queue>,
    open: &Use<'_>,
    row: Row,
    limit: Limit,
    whose: Buffers,
) -> PyResult<Option<Py<PyAny>>> {
    let (py, queue) = (slf.py(), Queue::queue(slf.as_super().get()));
    with_buffer(|buffer| {
        let seen = open.waiting_until(py, limit, |caller| {
            queue::look_at(caller, queue.object, buffer)
        })?;
        let Some((got, place)) = seen.flatten() else {
            return Ok(None);
        };
        let item = match got {
            Got::Word(word) => codec::decode_word(py, word)?.unbind(),
            Got::Bytes(kind, length) => decode_bytes(py, kind, &buffer[..length], whose)?,
            Got::Block(_) => return Ok(None),
        };
        let taken = open.waiting_until(py, limit, |caller| {
            queue::take_at(caller, queue, row, place)
        })?;
        Ok((taken == Some(true)).then_some(item))
    })
}

/// The first item, loaded without taking it.
///
/// # Errors
/// `queue.Empty`, `ShutDown`; what loading raises.
pub fn look(slf: &Bound<'_, Queue>) -> PyResult<Py<PyAny>> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let handle = &base.handle;
    let open = handle.open(py)?;
    let mut looked = false;
    reference::again(py, || {
        let was_closing = queue::is_closing(&handle.space.segment, handle.object);
        if queue::has_requeued(&handle.space.segment, handle.object)
            && let Some(Some(sorted)) = Sorted::take(slf, Limit::NEVER)?
        {
            sorted.promote_due(py)?;
        }
        // Before the look: another may put one in its place by priority after it.
        let has_later = queue::has_requeued(&handle.space.segment, handle.object);
        let seen = open.waiting(py, |caller| {
            let look = Look {
                most: 1,
                longest: u64::MAX,
                is_all: false,
            };
            queue::peek(caller, handle.object, look)
        })?;
        if seen.is_empty() && waiter::look_if_due(py, handle.space)? {
            return Ok(None); // again
        }
        let is_over = was_closing && seen.is_empty() && !has_later;
        if is_over && look_for_leases(py, base, &mut looked, Limit::NEVER)? {
            return Ok(None);
        }
        keeping_tickets(|| match seen.into_iter().next() {
            Some(Seen::Word(word)) => Ok(Some(codec::decode_word(py, word)?.unbind())),
            Some(Seen::Bytes(kind, bytes)) => decode_seen(py, &open, kind, &bytes),
            _ if is_over => Err(shut_down(slf, false)),
            _ => Err(empty(py)),
        })
    })
}

/// The first items, at most so many, decoded without taking them; nothing is unpickled.
///
/// # Errors
/// What decoding raises.
pub fn peek<'py>(slf: &Bound<'py, Queue>, most: usize) -> PyResult<Bound<'py, PyList>> {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    let open = handle.open(py)?;
    let seen = open.waiting(py, |caller| {
        queue::peek(caller, handle.object, Look::at(most))
    })?;
    let decode = |item: Seen| match item {
        Seen::Word(word) => Ok(codec::decode_word(py, word)?.unbind()),
        Seen::Bytes(KIND_LINKED, bytes) => Ok(pickle::opaque(py, bytes.len())?.unbind()),
        Seen::Bytes(kind, bytes) => decode_bytes(py, kind, &bytes, Buffers::Own),
        Seen::Long(length) => Ok(pickle::opaque(py, length as usize)?.unbind()),
    };
    pickle::looking(|| {
        let items = room::try_collect(seen.into_iter(), |item| {
            decode(item).map(|item| item.into_bound(py))
        })?;
        room::list(py, items)
    })
}
