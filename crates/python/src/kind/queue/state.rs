//! What a queue has in this process, and what its calls raise.

use crate::argument::Truth;
use crate::codec::failure;
use crate::deadline::{Deadline, Limit};
use crate::error::{in_context, raise};
use crate::object::{Holding, Object, Use, follows_multiprocessing};
use courtyard_core::error::Error;
use courtyard_core::holding::Row;
use courtyard_core::queue::{self, Order, Put};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Items among processes and threads. `courtyard.Queue` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Queue {
    /// Where what we took is counted.
    pub holding: Holding,
    /// Which item is taken first.
    pub order: Order,
}

/// Whether it is a priority queue.
pub fn is_least(queue: &Queue) -> bool {
    queue.order == Order::Least
}

/// Whether its items lie in a ring.
pub fn is_fifo(queue: &Queue) -> bool {
    queue.order == Order::Fifo
}

/// An exception of this module's, as `courtyard.Queue` raises it.
fn raised(py: Python<'_>, class: &PyOnceLock<Py<PyType>>, module: &str, name: &str) -> PyErr {
    let made = class
        .import(py, module, name)
        .and_then(|class| class.call0());
    in_context(made)
}

pub fn empty(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raised(py, &CLASS, "queue", "Empty")
}

pub fn full(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raised(py, &CLASS, "queue", "Full")
}

/// As `full`, which says why.
#[cold]
pub fn full_saying(py: Python<'_>, why: String) -> PyErr {
    let error = full(py);
    let _ = error.value(py).setattr("args", (why,));
    error
}

/// Why an item was not put, which counts so many bytes.
#[cold]
pub fn refused(slf: &Bound<'_, Queue>, put: Put, item: u64) -> PyErr {
    let handle = &slf.as_super().get().handle;
    let most = queue::maximum_bytes(&handle.space.segment, handle.object);
    match put {
        Put::ShutDown => shut_down(slf, true),
        Put::TooLarge => PyValueError::new_err(format!(
            "the item counts {item} bytes, and all items together may count {most} (maxbytes): it \
             can never be put; make it smaller, or make a queue with a larger maxbytes"
        )),
        Put::Done | Put::Full => {
            let segment = &handle.space.segment;
            let bytes = queue::bytes(segment, handle.object);
            if most == 0 || bytes.saturating_add(item) <= most {
                let maxsize = queue::maximum(segment, handle.object).cast_signed();
                if maxsize <= 0 {
                    return full(slf.py());
                }
                let items = if maxsize == 1 { "item" } else { "items" };
                let why = format!(
                    "there may be {maxsize} {items} (maxsize), those on a lease included: there is room for \
                     another when one is taken and done"
                );
                return full_saying(slf.py(), why);
            }
            let why = format!(
                "the items count {bytes} bytes, those on a lease included, and may count {most} (maxbytes): \
                 there is room for the item, of {item} bytes, when some are taken and done"
            );
            full_saying(slf.py(), why)
        }
    }
}

/// Adds to a `LoadError` which item could not be loaded.
#[cold]
pub fn first_item(slf: &Bound<'_, Queue>, error: PyErr) -> PyErr {
    failure::of(slf, failure::at(slf.py(), error, "the first item"))
}

/// As `first_item`, of the item that a lease has.
#[cold]
pub fn leased_item(slf: &Bound<'_, Queue>, error: PyErr) -> PyErr {
    failure::of(slf, failure::at(slf.py(), error, "the leased item"))
}

/// `ShutDown`, which says what was shut down and what is left. `by_put`: something was to be put.
#[cold]
pub fn shut_down(slf: &Bound<'_, Queue>, by_put: bool) -> PyErr {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    let (items, leased) = queue::counts(&handle.space.segment, handle.object);
    let name = handle.shown_name(py);
    let name = name.map_or("the queue".into(), |name| format!("the queue {name}"));
    if !queue::is_closing(&handle.space.segment, handle.object) {
        let message =
            format!("{name} was shut down by shutdown() while this call waited; it was reopened");
        return shut_down_saying(py, message);
    }
    let left = match (by_put, items, leased) {
        (true, ..) => {
            let are = if items == 1 { "item is" } else { "items are" };
            format!("nothing can be put ({items} {are} left in it); reopen() would allow it again")
        }
        (false, _, 0) => "it is empty, and no more will come".into(),
        (false, _, leased) => {
            format!("it is empty, but for what is on leases ({leased})")
        }
    };
    shut_down_saying(py, format!("{name} was shut down by shutdown(): {left}"))
}

fn shut_down_saying(py: Python<'_>, message: String) -> PyErr {
    let made = py
        .import("courtyard._error")
        .and_then(|module| module.getattr("ShutDown"))
        .and_then(|class| class.call1((message,)));
    in_context(made)
}

/// When to give up; None: do not wait.
fn deadline(block: Option<Truth>, timeout: Option<f64>) -> PyResult<Option<Deadline>> {
    if !block.is_none_or(|block| block.0) {
        return Ok(None);
    }
    if timeout.is_some_and(|seconds| seconds < 0.0) {
        let message = "'timeout' must be a non-negative number";
        return Err(PyValueError::new_err(message));
    }
    Deadline::from_timeout(timeout).map(Some)
}

/// As `deadline`, for an object whose class may follow multiprocessing's rules: there a negative
/// timeout is over.
pub fn deadline_of(
    slf: &Bound<'_, Queue>,
    block: Option<Truth>,
    timeout: Option<f64>,
) -> PyResult<Option<Deadline>> {
    if timeout.is_some_and(|seconds| seconds < 0.0) && follows_multiprocessing(slf)? {
        return deadline(block, Some(0.0));
    }
    deadline(block, timeout)
}

impl Queue {
    pub fn queue(base: &Object) -> queue::Queue {
        queue::Queue {
            object: base.handle.object,
            id: base.handle.id(),
        }
    }

    /// The row that counts what this process took through this handle; None: that took too long.
    pub fn row(
        &self,
        py: Python<'_>,
        base: &Object,
        open: &Use<'_>,
        limit: Limit,
    ) -> PyResult<Option<Row>> {
        let participant = open.participant;
        let make = || {
            open.waiting_until(py, limit, |caller| {
                let row = Row::reserve(caller)?;
                let queue = Queue::queue(base);
                let counts = queue::count_in(caller, queue, row);
                counts.inspect_err(|_| row.give(participant))?;
                Ok(row)
            })
        };
        let unmake = |row: Row| {
            open.waiting(py, |caller| {
                let queue = Queue::queue(base);
                if queue::withdraw(caller, queue, row)? {
                    row.give(participant);
                }
                Ok(())
            })
        };
        self.holding.row(participant, make, unmake)
    }

    /// As `row`, for as long as it takes.
    pub fn known_row(&self, py: Python<'_>, base: &Object, open: &Use<'_>) -> PyResult<Row> {
        let row = self.row(py, base, open, Limit::NEVER)?;
        row.ok_or_else(|| raise(py, Error::TimedOut))
    }
}
