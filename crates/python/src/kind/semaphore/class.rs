//! `Semaphore`: the native part of `courtyard.Semaphore` and `courtyard.BoundedSemaphore`.

use crate::argument::Truth;
use crate::deadline::Limit;
use crate::error::raise;
use crate::object::waiter::{self, Deadline};
use crate::object::{Address, Holding, Last, Object, Use, semaphore_deadline};
use courtyard_core::error::Error;
use courtyard_core::holding::Row;
use courtyard_core::lock::PROBE;
use courtyard_core::object::{self, EVENT};
use courtyard_core::participant::Participant;
use courtyard_core::semaphore::{self, LENGTH, User};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Permits among processes and threads. `courtyard.Semaphore` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Semaphore {
    /// Where our permits are on record.
    holding: Holding,
}

impl Semaphore {
    #[inline(always)]
    fn known(&self, base: &Object, participant: &Participant) -> Option<User> {
        let row = self.holding.known(participant)?;
        let (object, id) = (base.handle.object, base.handle.id());
        Some(User { object, id, row })
    }

    /// None: that took too long.
    fn user(
        &self,
        py: Python<'_>,
        base: &Object,
        open: &Use<'_>,
        limit: Limit,
    ) -> PyResult<Option<User>> {
        let make = || open.waiting_until(py, limit, |caller| Row::reserve(caller));
        let unmake = |row: Row| {
            row.give(open.participant);
            Ok(())
        };
        let row = self.holding.row(open.participant, make, unmake)?;
        let (object, id) = (base.handle.object, base.handle.id());
        Ok(row.map(|row| User { object, id, row }))
    }

    fn known_user(&self, py: Python<'_>, base: &Object, open: &Use<'_>) -> PyResult<User> {
        let user = self.user(py, base, open, Limit::NEVER)?;
        user.ok_or_else(|| raise(py, Error::TimedOut))
    }

    #[inline(always)]
    pub fn quick_acquire(&self, base: &Object) -> bool {
        let segment = &base.handle.space.segment;
        base.handle.held().is_some_and(|participant| {
            self.known(base, participant).is_some_and(|user| {
                // SAFETY: the GIL is held from before this call until after it.
                unsafe { semaphore::acquire_fast(segment, participant, user) }
            })
        })
    }

    #[inline(always)]
    pub fn quick_release(&self, base: &Object) -> bool {
        let segment = &base.handle.space.segment;
        base.handle.held().is_some_and(|participant| {
            self.known(base, participant).is_some_and(|user| {
                // SAFETY: as above.
                unsafe { semaphore::release_fast(segment, participant, user) }
            })
        })
    }
}

fn acquire(slf: &Bound<'_, Semaphore>, deadline: Option<Deadline>) -> PyResult<bool> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let event = base.handle.object + EVENT;
    let limit = Limit::of(deadline);
    let Some(_open) = base.handle.open_until(py, limit)? else {
        return Ok(false);
    };
    let taken = waiter::attempt(py, &base.handle, event, deadline, PROBE, || {
        // Asked each time: signal handlers run while we wait, and may fork.
        let Some(open) = base.handle.open_until(py, limit)? else {
            return Ok(None);
        };
        let Some(user) = slf.get().user(py, base, &open, limit)? else {
            return Ok(None);
        };
        let taken = open.waiting_until(py, limit, |caller| semaphore::try_acquire(caller, user))?;
        Ok(taken.filter(|&taken| taken).map(drop))
    })?;
    Ok(taken.is_some())
}

fn release(slf: &Bound<'_, Semaphore>, count: u64) -> PyResult<()> {
    let (py, base) = (slf.py(), slf.as_super().get());
    let open = base.handle.open(py)?;
    let user = slf.get().known_user(py, base, &open)?;
    let space = base.handle.space;
    let done = open.uninterruptible(
        py,
        Limit::NEVER,
        |caller| semaphore::release(caller, user, count),
        || semaphore::release_later(space, &open, user, count),
    )?;
    if done != Some(false) {
        return Ok(());
    }
    Err(PyValueError::new_err("Semaphore released too many times"))
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (value, bounded, address=None))]
    fn new(
        py: Python<'_>,
        value: i64,
        bounded: bool,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Semaphore>> {
        let value = u64::try_from(value)
            .map_err(|_| PyValueError::new_err("semaphore initial value must be >= 0"))?;
        let limit = if bounded { Some(value) } else { None };
        let base = Object::make(
            py,
            object::SEMAPHORE,
            LENGTH,
            address.as_ref(),
            |segment, at| {
                semaphore::fill(segment, at, value, limit);
            },
        )?;
        let (space, object) = (base.handle.space, base.handle.id());
        let holding = Holding::new(space, object, Last::Free);
        Ok(PyClassInitializer::from(base).add_subclass(Semaphore { holding }))
    }

    /// Take a permit; return whether that succeeded.
    ///
    /// As threading.Semaphore: blocking=True waits, up to timeout seconds; `block` is another
    /// name of blocking. Ctrl-C works while waiting. The permits of a killed process come back
    /// within some tenths of a second.
    ///
    /// Raises ValueError for a timeout with blocking=False.
    ///
    /// >>> import courtyard as cy
    /// >>> s = cy.Semaphore(1)
    /// >>> s.acquire(), s.acquire(timeout=0.01)
    /// (True, False)
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=None, *, block=True)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = semaphore_deadline(slf, blocking, timeout, block)?;
        acquire(slf, deadline)
    }

    /// Give n permits: this process's own first, then those of others.
    ///
    /// Raises ValueError for n below 1, and if a BoundedSemaphore would pass its first value.
    ///
    /// >>> import courtyard as cy
    /// >>> s = cy.Semaphore(0); s.release(2); s.get_value()
    /// 2
    #[pyo3(signature = (n=1))]
    fn release(slf: &Bound<'_, Self>, n: i64) -> PyResult<()> {
        match u64::try_from(n) {
            Ok(count @ 1..) => release(slf, count),
            _ => Err(PyValueError::new_err("n must be one or more")),
        }
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf, 1)
    }

    /// Return how many permits are free at this moment.
    fn get_value(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let (space, object) = (base.handle.space, base.handle.object);
        waiter::look_if_due(slf.py(), space)?; // some may be a dead process's
        Ok(semaphore::value(&space.segment, object))
    }

    /// Whether a permit that this process holds came back from a dead one.
    ///
    /// If so, what that one was doing may be half done. False again when it has released all.
    #[getter]
    fn recovered(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let user = slf.get().known_user(py, base, &open)?;
        Ok(semaphore::is_recovered(
            &base.handle.space.segment,
            user.row,
        ))
    }

    /// The most permits that may be free, or None.
    #[getter]
    fn _limit(slf: &Bound<'_, Self>) -> Option<u64> {
        let base = slf.as_super().get();
        semaphore::limit(&base.handle.space.segment, base.handle.object)
    }
}
