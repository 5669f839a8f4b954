//! `Mutex`: the native part of `courtyard.Lock`.

use crate::error::{raise, waiting};
use crate::guard::acquire_deadline;
use crate::handle::{Address, Handle};
use crate::process;
use crate::waiter::{self, Deadline};
use courtyard_core::cell;
use courtyard_core::lock::{self, PROBE};
use courtyard_core::mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A lock among processes and threads. `courtyard.Lock` is what programs use.
#[pyclass(frozen, subclass, weakref, module = "courtyard._native")]
pub struct Mutex {
    handle: Handle,
}

impl Mutex {
    fn lock(&self, py: Python<'_>, deadline: Option<Deadline>) -> PyResult<bool> {
        let (space, word) = (self.handle.space, self.handle.cell);
        let mut flags = lock::cpu_flags();
        loop {
            let participant = self.handle.open(py)?;
            let acquired = mutex::try_acquire(&space.segment, &participant, word, flags);
            if acquired.map_err(|error| raise(py, error))? {
                return Ok(true);
            }
            let Some(limit) = deadline.and_then(|deadline| deadline.left(PROBE)) else {
                return Ok(false);
            };
            waiting(py, |patience| {
                patience(&mut || space.stand_slice(word, limit))
            })?;
            flags = lock::cpu_flags() | lock::WAITERS;
        }
    }

    /// Acquires if nothing stands in the way.
    #[inline(always)]
    pub fn quick_acquire(&self) -> bool {
        let segment = &self.handle.space.segment;
        self.handle.held().is_some_and(|participant| {
            matches!(
                mutex::try_acquire(segment, participant, self.handle.cell, 0),
                Ok(true)
            )
        })
    }

    /// Releases; false if that is an error to be told.
    #[inline(always)]
    pub fn quick_release(&self) -> bool {
        self.handle.held().is_some() && mutex::release(&self.handle.space.segment, self.handle.cell)
    }

    fn unlock(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.open(py)?;
        if mutex::release(&self.handle.space.segment, self.handle.cell) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err("release unlocked lock"))
    }
}

#[pymethods]
impl Mutex {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<Mutex> {
        let handle = match address {
            Some(address) => Handle::load(py, &address, cell::MUTEX)?,
            None => Handle::create(py, cell::MUTEX, 0, |_, _| {})?,
        };
        Ok(Mutex { handle })
    }

    /// Acquire the lock; return whether that succeeded.
    ///
    /// As threading.Lock: blocking=True waits, up to timeout seconds if that is not -1; `block`
    /// is another name of blocking. About 15 ns when it is free. Ctrl-C works while waiting. A
    /// killed holder's lock is acquired from it.
    ///
    /// Raises ValueError for a timeout with blocking=False, or a negative one.
    ///
    /// >>> import courtyard as cy
    /// >>> lock = cy.Lock()
    /// >>> lock.acquire(), lock.acquire(False)
    /// (True, False)
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<bool>,
        timeout: Option<f64>,
        block: Option<bool>,
    ) -> PyResult<bool> {
        self.lock(py, acquire_deadline(blocking, timeout, block)?)
    }

    /// Release the lock, whoever holds it. Raises RuntimeError if it is free.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.unlock(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.lock(py, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.unlock(py)
    }

    /// Whether somebody holds it at this moment.
    fn locked(&self, py: Python<'_>) -> PyResult<bool> {
        self.handle.open(py)?;
        mutex::is_locked(&self.handle.space.segment, self.handle.cell)
            .map_err(|error| raise(py, error))
    }

    /// Whether the holder before this one died: look after what it left half done.
    #[getter]
    fn recovered(&self, py: Python<'_>) -> PyResult<bool> {
        self.handle.open(py)?;
        Ok(mutex::is_recovered(
            &self.handle.space.segment,
            self.handle.cell,
        ))
    }

    /// A number that changes with every acquire and release.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.handle.open(py)?;
        Ok(mutex::version(&self.handle.space.segment, self.handle.cell))
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the lock. It sleeps without using the CPU and is woken by a change.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Lock().wait_for(lambda lock: not lock.locked())
    /// True
    #[pyo3(signature = (x, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, handle) = (slf.py(), &slf.get().handle);
        let deadline = Deadline::from_timeout(timeout)?;
        let _open = handle.open(py)?;
        waiter::wait_until(
            py,
            handle.space,
            handle.cell + cell::EVENT,
            deadline,
            || waiter::test(x, slf.clone().into_any()),
        )
    }

    /// Close this handle in this process; the lock lives on while another holds it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.close(py)
    }

    /// The name it is found by; None for an anonymous one.
    #[getter]
    fn name(&self) -> Option<String> {
        None // anonymous, as all objects of a private space
    }

    /// (bytes, changes, and the census of its space).
    fn _figures(&self, py: Python<'_>) -> PyResult<(u64, u64, [u64; 7])> {
        let version = self.version(py)?;
        Ok((8, version, process::census(py, self.handle.space)?))
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.handle.is_closed()
    }

    fn _address(&self, py: Python<'_>) -> PyResult<Address> {
        self.handle.address(py)
    }
}
