//! `Lease`: an item that comes back unless it is done with.

use super::front::{look_for_leases, next_due};
use super::item::decode_leased;
use super::order::Sorted;
use super::state::{Queue, empty, first_item, leased_item, refused, shut_down};
use crate::codec::failure;
use crate::deadline::Limit;
use crate::error::raise;
use crate::object::Use;
use crate::object::waiter::{self, Deadline};
use courtyard_core::error::Error;
use courtyard_core::holding::Row;
use courtyard_core::lock::PROBE;
use courtyard_core::queue::{self, End, ITEMS, Put, Sift, When};
use courtyard_core::sync::{AtomicBool, AtomicU64, Ordering};
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// When a lease that found no memory looks again.
const SOON: Duration = Duration::from_millis(10);

/// An item that goes back to its queue unless it is done. `Queue.lease()` makes one.
///
/// `with queue.lease() as item` takes the first item. When the block ends the item is done;
/// when it raises, or its process dies, the item goes back, first in line. Inside the block one of
/// these ends the lease at once: requeue(), drop(), move(), give_back().
///
/// For an item that cannot be loaded here, entering raises LoadError, but the lease holds the item:
/// call requeue(), drop() or move(). Otherwise the item goes back to the end of the queue when the
/// lease object is gone, so that it blocks no worker.
///
/// >>> import courtyard as cy
/// >>> q = cy.Queue(); q.put("work")
/// >>> lease = q.lease()
/// >>> with lease as item:
/// ...     item, lease.attempts
/// ('work', 1)
#[pyclass(frozen, weakref, module = "courtyard")]
pub struct Lease {
    queue: Py<Queue>,
    wait: Option<Deadline>,
    held: std::sync::Mutex<Option<Held>>,
    entered: AtomicBool,
    attempts: AtomicU64,
}

/// The item that a lease has, and whose it is.
struct Held {
    lease: queue::Lease,
    holder: u64,
    /// Whether it cannot be loaded here.
    is_poison: bool,
}

#[pymethods]
impl Lease {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.entered.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("a lease can be entered once only"));
        }
        let slf = self.queue.bind(py);
        let base = slf.as_super().get();
        let limit = Limit::of(self.wait);
        let Some(open) = base.handle.open_until(py, limit)? else {
            return Err(empty(py));
        };
        let (space, queue) = (base.handle.space, Queue::queue(base));
        let row = open.waiting_until(py, limit, |caller| Row::reserve(caller))?;
        let Some(row) = row else {
            return Err(empty(py));
        };
        let (soonest, no_room) = (Cell::new(None), Cell::new(None));
        let was_alone = Cell::new(false);
        let shutdowns = queue::shutdowns(&space.segment, queue.object);
        let mut looked = false;
        let leased = waiter::attempt_until(
            py,
            &base.handle,
            base.handle.object + ITEMS,
            self.wait,
            PROBE,
            &soonest,
            || loop {
                let is_over = queue::is_over(&space.segment, queue.object, shutdowns);
                if space.is_behind() {
                    // An item of ours may be on its way back.
                    base.handle
                        .waiting_until(py, limit, |wait| space.catch_up(wait))?;
                }
                let had_later = queue::has_requeued(&space.segment, queue.object);
                let Some(sorted) = Sorted::take(slf, limit)? else {
                    return Ok(None);
                };
                let sift = sorted.as_ref().map(|sorted| sorted.least(py));
                let sift = sift.transpose()?.flatten();
                let leased = open.waiting_until(py, limit, |caller| {
                    queue::lease(caller, queue, row, sift.as_ref())
                });
                drop(sorted);
                let leased = match leased {
                    Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
                        // The end of another's lease gives its memory back: it may have ended now. So
                        // does what went back, when it is due.
                        let is_alone = queue::counts(&space.segment, queue.object).1 == 0
                            && !queue::has_requeued(&space.segment, queue.object);
                        if was_alone.replace(is_alone) && is_alone {
                            return Err(error);
                        }
                        no_room.set(Some(error));
                        soonest.set(Some(Instant::now() + SOON));
                        return Ok(None);
                    }
                    leased => leased?,
                };
                no_room.set(None);
                let leased = leased.flatten();
                if leased.is_some() {
                    return Ok(leased);
                }
                soonest.set(next_due(slf, limit)?);
                if !is_over || soonest.get().is_some() {
                    return Ok(None);
                }
                if had_later {
                    continue; // another may have put it in its place by priority since we looked
                }
                if !look_for_leases(py, base, &mut looked, limit)? {
                    return Err(shut_down(slf, false));
                }
            },
        );
        let lease = match leased {
            Ok(Some(lease)) => lease,
            other => {
                row.give(&open);
                other.map_err(|error| first_item(slf, error))?;
                return Err(no_room.take().unwrap_or_else(|| empty(py)));
            }
        };
        let attempts = queue::attempts(&space.segment, lease.block);
        self.attempts
            .store(attempts.unwrap_or(1), Ordering::Relaxed);
        let holder = std::ptr::from_ref(open.participant) as u64;
        let hold = |is_poison| {
            base.handle.retain(); // until it ends, also after `close()`
            if let Ok(mut held) = self.held.lock() {
                *held = Some(Held {
                    lease,
                    holder,
                    is_poison,
                });
            }
        };
        match decode_leased(py, space, open.participant, lease.block) {
            Ok(item) => {
                hold(false);
                Ok(item)
            }
            Err(error) if failure::is_of_the_value(py, &error) => {
                hold(true);
                Err(leased_item(slf, error))
            }
            Err(error) => {
                hold(false);
                self.end(py, End::Back)?;
                Err(error)
            }
        }
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let end = if kind.is_none() { End::Done } else { End::Back };
        self.end(py, end).map(drop)
    }

    /// How often the item was leased, this time included; 0 before the lease is entered.
    ///
    /// It is exact: a lease counts once it has the item, even if its process is killed then. get()
    /// does not count; an item that move() brought, or that is put anew, begins at 0.
    #[getter]
    fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Give the item back at once, first in line; does nothing if the lease has no item any more.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py, End::Back).map(drop)
    }

    /// Put the item back at the end of the queue, not to be handed out before delay seconds.
    ///
    /// One change, which needs no room: it works in a full queue, a full space, and after
    /// shutdown(). Of a PriorityQueue the item has its place by priority when it is due, on a
    /// LifoQueue it is on top. Until then it counts in qsize() and for join(); calls of get() sleep
    /// until it is due, even if the queue was shut down. The item belongs to the queue: this process
    /// may end. In a space in a file, a restart of the machine ends all delays. About 2 us.
    ///
    /// Raises RuntimeError when the lease has no item, ValueError or OverflowError for a bad delay.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue(); q.put_many("ab")
    /// >>> lease = q.lease()
    /// >>> with lease as item:
    /// ...     lease.requeue()
    /// >>> q.get(), q.get()
    /// ('b', 'a')
    #[pyo3(signature = (delay=0.0), text_signature = "($self, /, delay=0)")]
    fn requeue(&self, py: Python<'_>, delay: f64) -> PyResult<()> {
        if delay.is_nan() || delay < 0.0 || delay.is_infinite() {
            return Err(PyValueError::new_err(format!(
                "'delay' must be a non-negative number of seconds, found {delay}"
            )));
        }
        let delay = Duration::try_from_secs_f64(delay)
            .map_err(|_| PyOverflowError::new_err("delay value is too large"))?;
        self.must_end(py, End::Again(When::After(delay)))
    }

    /// Say that the item is done, as when the block ends.
    ///
    /// Raises RuntimeError when the lease has no item.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue(); q.put("work")
    /// >>> lease = q.lease()
    /// >>> with lease as item:
    /// ...     lease.drop()
    /// ...     q.unfinished_tasks
    /// 0
    fn drop(&self, py: Python<'_>) -> PyResult<()> {
        self.must_end(py, End::Done)
    }

    /// Move the item, as it is stored, to the end of another queue, such as one for failed items.
    ///
    /// On another LifoQueue it is on top, in its own at the bottom; in a PriorityQueue it has its place
    /// by priority. One change: it is always in one of the two queues; if this raises, it
    /// stays on the lease. It does not wait for room. The other queue is of the same space. The item
    /// is not loaded, but for a PriorityQueue, to be compared with those in it. About 2 us.
    ///
    /// Raises queue.Full, ShutDown; RuntimeError when the lease has no item; ValueError for a queue
    /// of another space, or one whose maxbytes is less than the item; TypeError for anything but a
    /// courtyard queue; what comparing raises.
    ///
    /// >>> import courtyard as cy
    /// >>> jobs, failed = cy.Queue(), cy.Queue()
    /// >>> jobs.put("work")
    /// >>> lease = jobs.lease()
    /// >>> with lease as item:
    /// ...     lease.move(failed)
    /// >>> jobs.unfinished_tasks, failed.get()
    /// (0, 'work')
    #[pyo3(name = "move", signature = (queue, /))]
    fn move_to(&self, py: Python<'_>, queue: &Bound<'_, PyAny>) -> PyResult<()> {
        let queue = queue.cast::<Queue>().map_err(|_| {
            let class = queue.get_type().fully_qualified_name();
            let found = class.map_or_else(|_| "another".into(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "expected a courtyard queue of the same space, found an object of class {found}"
            ))
        })?;
        let (own, other) = (self.queue.bind(py).as_super().get(), queue.as_super().get());
        let open = own.handle.open_retained(py)?;
        let _other = other.handle.open(py)?;
        if !std::ptr::eq(own.handle.space, other.handle.space) {
            return Err(PyValueError::new_err(
                "expected a queue of the same space, as an item cannot move to another: put() it \
                 there, then drop() it here",
            ));
        }
        if own.handle.object == other.handle.object {
            return self.must_end(py, End::Again(When::Last));
        }
        let Some(held) = self.take(&open) else {
            return Err(no_item());
        };
        let mut put = Put::Full;
        let moved = sorted_at(queue, held.lease.block).and_then(|sorted| {
            open.waiting(py, |caller| {
                let queues = (Queue::queue(own), Queue::queue(other));
                let sift = sorted.as_ref().map(|(sift, _)| sift);
                put = queue::transfer(caller, queues, held.lease, sift)?;
                if put == Put::Done {
                    held.lease.row.give(&open);
                }
                Ok(())
            })
        });
        let (segment, object) = (&own.handle.space.segment, other.handle.object);
        let item = match put {
            Put::TooLarge | Put::Full => {
                queue::of_block(segment, object, held.lease.block).unwrap_or(0)
            }
            _ => 0,
        };
        match put {
            Put::Done => own.handle.give_up(),
            _ => self.hold(held),
        }
        moved?;
        match put {
            Put::Done => Ok(()),
            put => Err(refused(queue, put, item)),
        }
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((cls, item))
    }
}

/// Where the item in a block goes in a priority queue, and the turn there; None: the queue is none.
///
/// # Errors
/// What comparing raises.
fn sorted_at<'a>(slf: &'a Bound<'_, Queue>, block: u64) -> PyResult<Option<(Sift, Sorted<'a>)>> {
    let py = slf.py();
    let sorted = Sorted::take(slf, Limit::NEVER)?.ok_or_else(|| raise(py, Error::TimedOut))?;
    let sorted = sorted.map(|sorted| Ok((sorted.place_of_block(py, block)?, sorted)));
    sorted.transpose()
}

fn no_item() -> PyErr {
    PyRuntimeError::new_err(
        "this lease has no item: it was not entered, has ended, or is the process's that this one \
         was forked from",
    )
}

impl Lease {
    pub fn new(queue: Py<Queue>, wait: Option<Deadline>) -> Lease {
        Lease {
            queue,
            wait,
            held: std::sync::Mutex::new(None),
            entered: AtomicBool::new(false),
            attempts: AtomicU64::new(0),
        }
    }

    /// What is held, if it is ours; in a child forked meanwhile it is its parent's.
    fn take(&self, open: &Use<'_>) -> Option<Held> {
        let held = self.held.lock().ok()?.take()?;
        let is_ours = std::ptr::from_ref(open.participant) as u64 == held.holder;
        if !is_ours {
            open.handle.give_up();
        }
        is_ours.then_some(held)
    }

    fn hold(&self, item: Held) {
        if let Ok(mut held) = self.held.lock() {
            *held = Some(item);
        }
    }

    fn must_end(&self, py: Python<'_>, end: End) -> PyResult<()> {
        if self.end(py, end)? {
            return Ok(());
        }
        Err(no_item())
    }

    /// An item that cannot be loaded goes last in line, not first. False: there was nothing to end.
    fn end(&self, py: Python<'_>, end: End) -> PyResult<bool> {
        if self.held.lock().is_ok_and(|held| held.is_none()) {
            return Ok(false);
        }
        let base = self.queue.bind(py).as_super().get();
        let open = base.handle.open_retained(py)?;
        let Some(Held {
            lease, is_poison, ..
        }) = self.take(&open)
        else {
            return Ok(false);
        };
        let (space, queue) = (base.handle.space, Queue::queue(base));
        let end = match end {
            End::Back if is_poison => End::Again(When::Last),
            end => end,
        };
        let ended = open.uninterruptible(
            py,
            Limit::NEVER,
            |caller| queue::end(caller, queue, lease, end),
            || queue::end_later(space, &open, queue, lease, end),
        );
        base.handle.give_up();
        ended.map(|_| true)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Entered and never exited, as by a generator thrown away, or because its item cannot be
        // loaded: the item goes back. Where there is no GIL to be had the interpreter ends: it goes
        // back with this process.
        Python::try_attach(|py| {
            // An exception may be on its way, as one that left the block.
            let pending = PyErr::take(py);
            if let Err(error) = self.end(py, End::Back) {
                error.write_unraisable(py, None);
            }
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}
