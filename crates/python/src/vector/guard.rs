//! `GuardedVector`: elements that their user may lock for more than one operation.

use super::{Plan, Vector};
use crate::argument::Truth;
use crate::guard::{CellLock, Owner, acquire, acquire_deadline, release};
use crate::handle::Address;
use crate::waiter::Deadline;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Shared elements with a lock. `courtyard.Array` is what programs use.
#[pyclass(frozen, subclass, extends = Vector, module = "courtyard._native")]
pub struct GuardedVector;

#[pymethods]
impl GuardedVector {
    #[new]
    #[pyo3(signature = (plan, declared, address=None))]
    fn new(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<GuardedVector>> {
        let vector = Vector::make(py, plan, declared, true, address)?;
        Ok(PyClassInitializer::from(vector).add_subclass(GuardedVector))
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
        acquire(slf.py(), &slf.as_super().get().handle, deadline)
    }

    /// Release the array's lock, get_lock(); see there.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), &slf.as_super().get().handle)
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let handle = &slf.as_super().get().handle;
        acquire(slf.py(), handle, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf.py(), &slf.as_super().get().handle)
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
    fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
        CellLock::new(Owner::Vector(slf.clone().unbind()))
    }
}
