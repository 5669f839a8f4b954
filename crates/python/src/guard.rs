//! `GuardedCell`: a cell that its user may lock for more than one operation.

use crate::cell::{Cell, thread};
use crate::error::{raise, waiting};
use crate::handle::Address;
use crate::waiter::Deadline;
use courtyard_core::cell::{self, Entered, Writer};
use courtyard_core::lock::{self, PROBE};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// `threading.TIMEOUT_MAX`, in seconds.
const TIMEOUT_MAX: f64 = 9_223_372_036.0;

/// Resolves `acquire(blocking, timeout)` as `threading` has it; `block` is multiprocessing's
/// name of the first. None: do not wait.
///
/// # Errors
/// `ValueError` as threading raises it.
pub fn acquire_deadline(
    blocking: Option<bool>,
    timeout: Option<f64>,
    block: Option<bool>,
) -> PyResult<Option<Deadline>> {
    let waits = blocking.or(block).unwrap_or(true);
    match timeout {
        Some(seconds) if !waits && seconds != -1.0 => Err(PyValueError::new_err(
            "can't specify a timeout for a non-blocking call",
        )),
        _ if !waits => Ok(None),
        None | Some(-1.0) => Ok(Some(Deadline::NEVER)),
        Some(seconds) if seconds < 0.0 => Err(PyValueError::new_err(
            "timeout value must be a non-negative number",
        )),
        Some(seconds) if seconds > TIMEOUT_MAX => {
            Err(PyOverflowError::new_err("timeout value is too large"))
        }
        timeout => Deadline::from_timeout(timeout).map(Some),
    }
}

/// A shared value with a lock. `courtyard.Value` is what programs use.
#[pyclass(frozen, subclass, extends = Cell, module = "courtyard._native")]
pub struct GuardedCell;

fn writer(cell: &Cell) -> Writer {
    Writer {
        cell: cell.handle.cell,
        guarded: true,
        thread: thread(),
    }
}

fn acquire(py: Python<'_>, cell: &Cell, deadline: Option<Deadline>) -> PyResult<bool> {
    let (space, writer) = (cell.handle.space, writer(cell));
    let mut flags = lock::cpu_flags();
    loop {
        let participant = cell.handle.open(py)?;
        let entered = cell::enter(&space.segment, &participant, writer, flags);
        if entered.map_err(|error| raise(py, error))? == Entered::Yes {
            return Ok(true);
        }
        let Some(limit) = deadline.and_then(|deadline| deadline.left(PROBE)) else {
            return Ok(false);
        };
        waiting(py, |patience| {
            patience(&mut || space.stand_slice(writer.cell, limit))
        })?;
        flags = lock::cpu_flags() | lock::WAITERS;
    }
}

fn release(py: Python<'_>, cell: &Cell) -> PyResult<()> {
    let participant = cell.handle.open(py)?;
    if cell::exit(&cell.handle.space.segment, &participant, writer(cell)) {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "cannot release un-acquired lock: this thread does not hold it",
    ))
}

#[pymethods]
impl GuardedCell {
    #[new]
    #[pyo3(signature = (code, length, declared, ctype, address=None))]
    fn new(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<GuardedCell>> {
        let cell = Cell::make(py, code, length, declared, ctype, true, address)?;
        Ok(PyClassInitializer::from(cell).add_subclass(GuardedCell))
    }

    /// Acquire the value's lock, get_lock(); see there.
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<bool>,
        timeout: Option<f64>,
        block: Option<bool>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(blocking, timeout, block)?;
        acquire(slf.py(), slf.as_super().get(), deadline)
    }

    /// Release the value's lock, get_lock(); see there.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf.py(), slf.as_super().get(), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    /// Return the value's lock: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done. `with value:` is the same lock.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 1)
    /// >>> with v.get_lock():
    /// ...     v.value += 1
    /// >>> v.value
    /// 2
    fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
        CellLock {
            cell: slf.clone().unbind(),
        }
    }
}

/// The lock of a `Value`: recursive, owned by a thread of a process, free when that dies.
#[pyclass(frozen, weakref, module = "courtyard._native")]
pub struct CellLock {
    cell: Py<GuardedCell>,
}

impl CellLock {
    fn cell<'a>(&'a self, py: Python<'a>) -> &'a Cell {
        self.cell.bind(py).as_super().get()
    }
}

#[pymethods]
impl CellLock {
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
        blocking: Option<bool>,
        timeout: Option<f64>,
        block: Option<bool>,
    ) -> PyResult<bool> {
        acquire(
            py,
            self.cell(py),
            acquire_deadline(blocking, timeout, block)?,
        )
    }

    /// Release the lock once. Raises RuntimeError if this thread does not hold it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        release(py, self.cell(py))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        acquire(py, self.cell(py), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        release(py, self.cell(py))
    }

    /// Whether the holder before this one died: look after what it left half done.
    #[getter]
    fn recovered(&self, py: Python<'_>) -> PyResult<bool> {
        let cell = self.cell(py);
        let participant = cell.handle.open(py)?;
        Ok(cell::is_recovered(
            &cell.handle.space.segment,
            &participant,
            writer(cell),
        ))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "<courtyard lock of {}>",
            self.cell.bind(py).repr()?
        ))
    }
}
