//! `Array`: elements that their user may lock for more than one operation.

use super::state::{Plan, RawArray};
use crate::argument::Truth;
use crate::deadline::Deadline;
use crate::object::{Address, Handle, ObjectLock, PLAIN, acquire, acquire_deadline, release};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Shared elements with a lock. `courtyard.Array` is what programs use.
#[pyclass(frozen, subclass, extends = RawArray, module = "courtyard._native")]
pub struct Array;

fn handle<'a>(slf: &'a Bound<'_, Array>) -> &'a Handle {
    &slf.as_super().as_super().get().handle
}

#[pymethods]
impl Array {
    #[new]
    #[pyo3(signature = (plan, declared, address=None))]
    fn new(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Array>> {
        let raw = RawArray::make(py, plan, declared, true, address)?;
        Ok(raw.add_subclass(Array))
    }

    /// Acquire the array's lock, get_lock(); see there.
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(slf, blocking, timeout, block)?;
        acquire(slf.py(), handle(slf), deadline)
    }

    /// Release the array's lock, get_lock(); see there.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), handle(slf))
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf.py(), handle(slf), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf.py(), handle(slf))
    }

    /// Return the array's lock: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, but for those through views; reads do not, and
    /// may see what the holder has half done. `with array:` is the same lock.
    ///
    /// >>> import courtyard as cy
    /// >>> a = cy.Array("i", [1, 2])
    /// >>> with a.get_lock():
    /// ...     a[0], a[1] = a[1], a[0]
    /// >>> a[:]
    /// [2, 1]
    fn get_lock(slf: &Bound<'_, Self>) -> ObjectLock {
        ObjectLock::new(slf.as_super().as_super(), &PLAIN)
    }
}
