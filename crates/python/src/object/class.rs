//! `Object`: the base of all native classes.

use super::address::Address;
use super::equal::equal;
use super::handle::Handle;
use super::initialise::initialise;
use super::waiter;
use crate::deadline::{Deadline, Limit};
use crate::error::named;
use crate::process;
use courtyard_core::object::{self, EVENT};
use courtyard_core::offset::{self, EventAt, EventWord};
use courtyard_core::segment::Segment;
use courtyard_core::{inspect, queue, wait};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Something in a space. `courtyard.Value`, `courtyard.Lock` and the others are what programs use.
#[pyclass(frozen, subclass, weakref, module = "courtyard._native")]
pub struct Object {
    pub handle: Handle,
    pub kind: u64,
}

impl Object {
    /// Makes one with `length` bytes of state filled by `fill`, or loads that of a pickle.
    ///
    /// # Errors
    /// As `Handle::create` and `Handle::load`.
    pub fn make(
        py: Python<'_>,
        kind: u64,
        length: u64,
        address: Option<&Address>,
        fill: impl FnOnce(&Segment, offset::Object) + Send,
    ) -> PyResult<Object> {
        let handle = match address {
            Some(address) => Handle::load(py, address, kind)?,
            None => Handle::create(py, kind, length, |space, at| fill(&space.segment, at))?,
        };
        if !handle.has_length(length) {
            let (found, what) = (handle.length, "CorruptError");
            return Err(named(
                py,
                what,
                format!("expected {length} bytes, found {found}"),
            ));
        }
        Ok(Object { handle, kind })
    }
}

#[pymethods]
impl Object {
    #[pyo3(signature = (*arguments, **keywords))]
    fn __init__(
        slf: &Bound<'_, Self>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        initialise(slf.as_any(), &slf.get().handle, arguments, keywords)
    }

    /// A number that changes with every change of the object, but not with those through views.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i"); before = v.version; v.value = 1
    /// >>> v.version == before
    /// False
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.handle.open(py)?;
        let (segment, object) = (&self.handle.space.segment, self.handle.object);
        Ok(inspect::version(segment, object, self.kind))
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the object if it can be called, else the object must equal it. Sleeps without
    /// using the CPU and is woken by a change; a change undone at once may be missed. Ctrl-C works at
    /// once. If a process dies, waiters are still woken.
    ///
    /// Raises what x raises; ValueError for a timeout of NaN.
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
        wait_for(slf, timeout, || test(x, slf.clone().into_any()))
    }

    /// Close this handle in this process; the object lives on while another holds it.
    ///
    /// Later use of the handle raises Closed; closing twice is allowed. Views of an Array stay
    /// valid: its memory is given back when the last one is gone.
    ///
    /// Raises BufferError while views of a Value exist.
    ///
    /// >>> import courtyard as cy
    /// >>> a = cy.Array("i", [7]); view = memoryview(a); a.close()
    /// >>> view[0]
    /// 7
    /// >>> a[0]
    /// Traceback (most recent call last):
    /// courtyard.Closed: this handle is closed in this process; keep another one
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.close(py)
    }

    /// Calls `make`, so that the objects that it makes are of this one's space.
    fn _beside<'py>(&self, make: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        process::within(self.handle.space, || make.call0())
    }

    /// Has those who wait for a change look again, in all processes.
    fn _stir(&self) {
        if !self.handle.is_closed() {
            for &event in events(self.kind) {
                wait::notify_waiters(&self.handle.space.segment, self.handle.object + event);
            }
        }
    }

    /// Which object it is, in all processes: equal for all handles of one object.
    fn _identity(&self) -> (u128, u64, u64) {
        self.handle.identity()
    }

    /// The name it is found by; None for an anonymous one.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.handle.name(py)
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.handle.is_closed()
    }

    fn _address(&self, py: Python<'_>) -> PyResult<Address> {
        self.handle.address(py)
    }
}

/// The event words that change with an object of a kind.
pub(super) fn events(kind: u64) -> &'static [EventAt] {
    match kind {
        object::QUEUE => &queue::EVENTS,
        _ => &[EVENT],
    }
}

/// Waits until `test` returns something true, and returns that; False after `timeout` seconds.
///
/// # Errors
/// What `test` raises; `ValueError` for a timeout of NaN.
pub fn wait_for<'py>(
    slf: &Bound<'py, Object>,
    timeout: Option<f64>,
    test: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, Object { handle, kind }) = (slf.py(), slf.get());
    let deadline = Deadline::from_timeout(timeout)?;
    let Some(_open) = handle.open_until(py, Limit::of(Some(deadline)))? else {
        return truth(py, false);
    };
    let events: Vec<EventWord> = events(*kind)
        .iter()
        .map(|&event| handle.object + event)
        .collect();
    waiter::wait_until(py, handle, &events, deadline, test)
}

/// The condition that `wait_for(x)` means: `x(value)` if it can be called, else `value == x`.
///
/// # Errors
/// What the call or the comparison raises.
pub fn test<'py>(x: &Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match x.is_callable() {
        true => x.call1((value,)),
        false => truth(x.py(), equal(&value, x)?),
    }
}

/// A bool, as a test returns it.
pub fn truth(py: Python<'_>, truth: bool) -> PyResult<Bound<'_, PyAny>> {
    Ok(truth.into_pyobject(py)?.to_owned().into_any())
}

/// The handle behind a courtyard object.
pub fn handle_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Handle> {
    Some(&object.cast::<Object>().ok()?.get().handle)
}

/// # Errors
/// `TypeError` for what is no courtyard object.
pub fn require_handle<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a Handle> {
    handle_of(object).ok_or_else(|| {
        PyTypeError::new_err(format!("expected a courtyard object, found {object:?}"))
    })
}
