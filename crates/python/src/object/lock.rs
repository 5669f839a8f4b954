//! `get_lock()`: the lock of an object, which its user holds for more than one operation.

use super::acquire::acquire_deadline;
use super::class::Object;
use super::handle::Handle;
use super::waiter::{Wait, look_if_due};
use crate::argument::Truth;
use crate::deadline::{Deadline, Limit};
use crate::error::{named, raise};
use crate::thread::thread_writer;
use courtyard_core::lock::{self, Waiter};
use courtyard_core::object::{self, Entered, Writer};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

fn writer(handle: &Handle) -> Writer {
    thread_writer(handle.object)
}

pub fn acquire(py: Python<'_>, handle: &Handle, deadline: Option<Deadline>) -> PyResult<bool> {
    let (space, writer) = (handle.space, writer(handle));
    let mut flags = lock::cpu_flags();
    let limit = Limit::of(deadline);
    let mut wait = Wait::new(handle, writer.object.0);
    let mut waiter = Waiter::new(&space.segment, writer.object.lock());
    let mut has_looked = false;
    loop {
        let Some(participant) = handle.open_until(py, limit)? else {
            return Ok(false);
        };
        let entered = object::enter(&space.segment, &participant, writer, flags);
        if entered.map_err(|error| raise(py, error))? == Entered::Yes {
            waiter.acquired();
            return Ok(true);
        }
        let Some(limit) = deadline.and_then(|deadline| deadline.left(waiter.limit())) else {
            // As a `Lock`.
            if !has_looked && look_if_due(py, space)? {
                has_looked = true;
                continue;
            }
            return Ok(false);
        };
        let refused = handle.refuse_to_wait_for_itself();
        refused.map_err(|error| raise(py, error))?;
        wait.wait(py, limit, || space.wait_slice(&mut waiter, limit))?;
        flags = lock::cpu_flags() | waiter.flags();
    }
}

pub fn release(py: Python<'_>, handle: &Handle) -> PyResult<()> {
    let participant = handle.open(py)?;
    if object::exit_and_notify(&handle.space.segment, &participant, writer(handle)) {
        return Ok(());
    }
    let message = "cannot release un-acquired lock: this thread does not hold it";
    Err(named(py, "NotOwned", message.into()))
}

/// How the lock of a kind of object is acquired and released.
pub struct Entry {
    pub acquire: fn(Python<'_>, &Handle, Option<Deadline>) -> PyResult<bool>,
    pub release: fn(Python<'_>, &Handle) -> PyResult<()>,
}

/// As most objects have it.
pub const PLAIN: Entry = Entry { acquire, release };

/// The lock of a `Value`, an `Array`, a `Dict` or a `List`: recursive, owned by a thread of a process,
/// free when that dies.
// As errors name it: users know no class of it, only that it is a lock, as `_thread.lock`.
#[pyclass(frozen, weakref, name = "lock", module = "courtyard")]
pub struct ObjectLock {
    object: Py<Object>,
    entry: &'static Entry,
}

impl ObjectLock {
    pub fn new(object: &Bound<'_, Object>, entry: &'static Entry) -> ObjectLock {
        let object = object.clone().unbind();
        ObjectLock { object, entry }
    }

    fn handle(&self) -> &Handle {
        &self.object.get().handle
    }

    fn give(&self, py: Python<'_>) -> PyResult<()> {
        (self.entry.release)(py, self.handle())
    }

    fn take(&self, py: Python<'_>, deadline: Option<Deadline>) -> PyResult<bool> {
        (self.entry.acquire)(py, self.handle(), deadline)
    }
}

#[pymethods]
impl ObjectLock {
    /// Acquire the lock; return whether that succeeded.
    ///
    /// As threading.RLock: blocking=True waits, up to timeout seconds if that is not -1; `block`
    /// is another name of blocking. The lock of a killed process is acquired from it, and
    /// `recovered` is then true until the release. Ctrl-C works while waiting.
    ///
    /// Raises ValueError for a timeout with blocking=False, or a negative one.
    ///
    /// >>> import courtyard as cy
    /// >>> lock = cy.Value("i").get_lock()
    /// >>> lock.acquire(), lock.acquire(timeout=1), lock.release(), lock.release()
    /// (True, True, None, None)
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(self.object.bind(py), blocking, timeout, block)?;
        self.take(py, deadline)
    }

    /// Release the lock once. Raises RuntimeError if this thread does not hold it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.give(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.give(py)
    }

    /// Whether the last holder died: what the lock protects may be half changed.
    #[getter]
    fn recovered(&self, py: Python<'_>) -> PyResult<bool> {
        let handle = self.handle();
        let participant = handle.open(py)?;
        let segment = &handle.space.segment;
        Ok(object::is_recovered(segment, &participant, writer(handle)))
    }

    /// Whether this thread, or the task in whose name it acts, holds it.
    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        let handle = self.handle();
        let participant = handle.open(py)?;
        Ok(object::is_mine(
            &handle.space.segment,
            &participant,
            writer(handle),
        ))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "<courtyard lock of {}>",
            self.object.bind(py).repr()?
        ))
    }
}
