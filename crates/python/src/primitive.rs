//! `Primitive`: what all locks and the like have in common.

use crate::deadline::Limit;
use crate::error::{named, raise};
use crate::guard::thread_writer;
use crate::handle::{Address, Handle};
use crate::process;
use crate::subclass;
use crate::waiter::{self, Deadline, look_if_due};
use courtyard_core::cell::{self, EVENT};
use courtyard_core::participant::Participant;
use courtyard_core::{inspect, mutex, queue};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A synchronisation primitive. `courtyard.Lock` and the others are what programs use.
#[pyclass(frozen, subclass, weakref, module = "courtyard._native")]
pub struct Primitive {
    pub handle: Handle,
    pub kind: u64,
}

impl Primitive {
    /// Makes one with `length` bytes of state filled by `fill`, or loads that of a pickle.
    ///
    /// # Errors
    /// As `Handle::create` and `Handle::load`.
    pub fn make(
        py: Python<'_>,
        kind: u64,
        length: u64,
        address: Option<&Address>,
        fill: impl FnOnce(&courtyard_core::segment::Segment, u64) + Send,
    ) -> PyResult<Primitive> {
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
        Ok(Primitive { handle, kind })
    }

    /// Acquires the lock, of either kind, if nothing stands in the way.
    #[inline(always)]
    pub fn quick_acquire(&self) -> bool {
        self.handle
            .held()
            .is_some_and(|participant| matches!(self.try_acquire(participant, 0), Ok(true)))
    }

    /// One attempt to acquire the lock.
    #[inline(always)]
    pub fn try_acquire(
        &self,
        participant: &Participant,
        flags: u64,
    ) -> courtyard_core::error::Result<bool> {
        let segment = &self.handle.space.segment;
        if self.kind == cell::MUTEX {
            return mutex::try_acquire(segment, participant, self.handle.cell, flags);
        }
        mutex::enter(segment, participant, thread_writer(self.handle.cell), flags)
    }

    pub fn is_locked(&self, py: Python<'_>) -> PyResult<bool> {
        self.handle.open(py)?;
        let space = self.handle.space;
        let is_locked =
            || mutex::is_locked(&space.segment, self.handle.cell).map_err(|error| raise(py, error));
        Ok(is_locked()? && (!look_if_due(py, space)? || is_locked()?))
    }

    /// Releases the lock; false if it is not known who we are, or that is an error to be told.
    #[inline(always)]
    pub fn quick_release(&self) -> bool {
        let known = self.handle.held();
        known.is_some_and(|participant| self.release(participant))
    }

    /// Releases the lock; false if it is not held.
    #[inline(always)]
    pub fn release(&self, participant: &Participant) -> bool {
        let segment = &self.handle.space.segment;
        if self.kind == cell::MUTEX {
            return mutex::release(segment, self.handle.cell);
        }
        mutex::exit(segment, participant, thread_writer(self.handle.cell))
    }
}

#[pymethods]
impl Primitive {
    #[pyo3(signature = (*arguments, **keywords))]
    fn __init__(
        slf: &Bound<'_, Self>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        subclass::initialise(slf.as_any(), &slf.get().handle, arguments, keywords)
    }

    /// A number that changes with every change of the object.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.handle.open(py)?;
        let (segment, cell) = (&self.handle.space.segment, self.handle.cell);
        Ok(inspect::version(segment, cell, self.kind))
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the object if it can be called, else the object must equal it. Sleeps without
    /// using the CPU and is woken by a change; a change undone at once may be missed. Ctrl-C works at
    /// once. The death of a process strands nobody.
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
        let (py, handle) = (slf.py(), &slf.get().handle);
        let deadline = Deadline::from_timeout(timeout)?;
        let Some(_open) = handle.open_until(py, Limit::of(Some(deadline)))? else {
            return Ok(waiter::not_in_time(py));
        };
        let events = match slf.get().kind {
            cell::QUEUE => queue::EVENTS.as_slice(),
            _ => &[EVENT],
        };
        let events: Vec<u64> = events.iter().map(|event| handle.cell + event).collect();
        waiter::wait_until(py, handle, &events, deadline, || {
            waiter::test(x, slf.clone().into_any())
        })
    }

    /// Close this handle in this process; the object lives on while another holds it.
    ///
    /// What is done with the handle from then on raises Closed; closing twice is allowed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.close(py)
    }

    /// Calls `make`, so that the objects that it makes are of this one's space.
    fn _beside<'py>(&self, make: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        process::within(self.handle.space, || make.call0())
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
