//! `Lock` and `RLock`: the native parts of `courtyard.Lock` and `courtyard.RLock`.

use super::state;
use crate::argument::Truth;
use crate::deadline::Limit;
use crate::error::{named, raise};
use crate::object::waiter::{Deadline, Wait, look_if_due};
use crate::object::{Address, Object, acquire_deadline};
use crate::thread::thread_writer;
use courtyard_core::lock::{self, WaitOutcome, Waiter};
use courtyard_core::mutex;
use courtyard_core::object;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::time::Duration;

/// Acquires a lock of either kind.
fn acquire(py: Python<'_>, primitive: &Object, deadline: Option<Deadline>) -> PyResult<bool> {
    let space = primitive.handle.space;
    acquire_by(py, primitive, deadline, |wait, limit, waiter| {
        wait.wait(py, limit, || space.wait_slice(waiter, limit))
    })
}

/// As `acquire`; `slice` waits for a slice of time.
fn acquire_by<'a>(
    py: Python<'_>,
    primitive: &'a Object,
    deadline: Option<Deadline>,
    mut slice: impl FnMut(&mut Wait<'a>, Duration, &mut Waiter) -> PyResult<WaitOutcome>,
) -> PyResult<bool> {
    let word = primitive.handle.object.lock();
    let mut flags = lock::cpu_flags();
    let limit = Limit::of(deadline);
    let mut wait = Wait::new(&primitive.handle, word.0);
    let mut waiter = Waiter::new(&primitive.handle.space.segment, word);
    let mut has_looked = false;
    loop {
        let Some(participant) = primitive.handle.open_until(py, limit)? else {
            return Ok(false);
        };
        let acquired = state::try_acquire(primitive, &participant, flags);
        if acquired.map_err(|error| raise(py, error))? {
            waiter.acquired();
            return Ok(true);
        }
        let Some(limit) = deadline.and_then(|deadline| deadline.left(waiter.limit())) else {
            // A call that does not wait asks after the holder, too.
            if !has_looked && look_if_due(py, primitive.handle.space)? {
                has_looked = true;
                continue;
            }
            return Ok(false);
        };
        if primitive.kind != object::MUTEX {
            let refused = primitive.handle.refuse_to_wait_for_itself();
            refused.map_err(|error| raise(py, error))?;
        }
        slice(&mut wait, limit, &mut waiter)?;
        flags = lock::cpu_flags() | waiter.flags();
    }
}

/// Acquires a lock so often, whatever signal handlers raise meanwhile; that is raised after it.
fn acquire_uninterruptible(py: Python<'_>, primitive: &Object, levels: u64) -> PyResult<()> {
    let mut raised = None;
    for _ in 0..levels {
        acquire_by(
            py,
            primitive,
            Some(Deadline::NEVER),
            |wait, limit, waiter| {
                let slice = || primitive.handle.space.wait_slice(waiter, limit);
                wait.wait_uninterruptible(py, limit, slice, &mut raised)
            },
        )?;
    }
    raised.map_or(Ok(()), Err)
}

fn release(py: Python<'_>, primitive: &Object) -> PyResult<()> {
    let participant = primitive.handle.require_open(py)?;
    if state::release(primitive, participant) {
        return Ok(());
    }
    Err(if primitive.kind == object::MUTEX {
        named(py, "NotHeld", "release unlocked lock".into())
    } else {
        not_owned(py)
    })
}

/// What an `RLock` and a `Condition` raise where threading says RuntimeError.
pub fn not_owned(py: Python<'_>) -> PyErr {
    let why = "cannot release un-acquired lock: this thread does not hold it";
    named(py, "NotOwned", why.into())
}

/// Whether the holder before this one died.
fn recovered(py: Python<'_>, primitive: &Object) -> PyResult<bool> {
    let participant = primitive.handle.open(py)?;
    let (segment, word) = (&primitive.handle.space.segment, primitive.handle.object);
    Ok(if primitive.kind == object::MUTEX {
        mutex::is_recovered(segment, word)
    } else {
        object::is_recovered(segment, &participant, thread_writer(word))
    })
}

/// A lock among processes and threads. `courtyard.Lock` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Lock;

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Lock>> {
        let base = Object::make(py, object::MUTEX, 0, address.as_ref(), |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Lock))
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
        slf: &Bound<'_, Self>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(slf, blocking, timeout, block)?;
        acquire(slf.py(), slf.as_super().get(), deadline)
    }

    /// Release the lock; any thread of any process may. Raises RuntimeError if it is free.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf.py(), slf.as_super().get(), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    /// Whether it is held at this moment.
    fn locked(slf: &Bound<'_, Self>) -> PyResult<bool> {
        state::is_locked(slf.as_super().get(), slf.py())
    }

    /// Whether the last holder died: what the lock protects may be half changed.
    #[getter]
    fn recovered(slf: &Bound<'_, Self>) -> PyResult<bool> {
        recovered(slf.py(), slf.as_super().get())
    }

    /// Takes it again after a wait, also if a signal handler raises meanwhile: that is raised then.
    #[pyo3(signature = (_released=None))]
    fn _acquire_restore(
        slf: &Bound<'_, Self>,
        _released: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        acquire_uninterruptible(slf.py(), slf.as_super().get(), 1)
    }
}

/// A recursive lock, owned by a thread of a process. `courtyard.RLock` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct RLock;

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<RLock>> {
        let base = Object::make(py, object::RMUTEX, 0, address.as_ref(), |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(RLock))
    }

    /// Acquire the lock, again if this thread holds it already; return whether that succeeded.
    ///
    /// As threading.RLock: blocking=True waits, up to timeout seconds if that is not -1; `block`
    /// is another name of blocking. Ctrl-C works while waiting. A killed holder's lock is
    /// acquired from it.
    ///
    /// Raises ValueError for a timeout with blocking=False, or a negative one.
    ///
    /// >>> import courtyard as cy
    /// >>> lock = cy.RLock()
    /// >>> lock.acquire(), lock.acquire()
    /// (True, True)
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
        acquire(slf.py(), slf.as_super().get(), deadline)
    }

    /// Release the lock once. Raises RuntimeError if this thread does not hold it.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf.py(), slf.as_super().get(), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf.py(), slf.as_super().get())
    }

    /// Whether it is held at this moment.
    fn locked(slf: &Bound<'_, Self>) -> PyResult<bool> {
        state::is_locked(slf.as_super().get(), slf.py())
    }

    /// Whether the last holder died: what the lock protects may be half changed.
    #[getter]
    fn recovered(slf: &Bound<'_, Self>) -> PyResult<bool> {
        recovered(slf.py(), slf.as_super().get())
    }

    /// How often this thread holds it.
    fn _recursion_count(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let primitive = slf.as_super().get();
        let participant = primitive.handle.open(slf.py())?;
        let writer = thread_writer(primitive.handle.object);
        Ok(object::count(
            &primitive.handle.space.segment,
            &participant,
            writer,
        ))
    }

    /// How often its holder, whoever that is, holds it.
    fn _levels(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let (py, primitive) = (slf.py(), slf.as_super().get());
        primitive.handle.require_open(py)?;
        let levels = object::levels(&primitive.handle.space.segment, primitive.handle.object);
        levels.map_err(|error| raise(py, error))
    }

    fn _is_owned(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Self::_recursion_count(slf)? > 0)
    }

    /// Gives all levels up, for a wait; how many they were.
    fn _release_save(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let (py, primitive) = (slf.py(), slf.as_super().get());
        let levels = Self::_recursion_count(slf)?;
        if levels == 0 {
            return Err(not_owned(py));
        }
        for _ in 0..levels {
            release(py, primitive)?;
        }
        Ok(levels)
    }

    /// Takes as many levels back, also if a signal handler raises meanwhile: that is raised then.
    fn _acquire_restore(slf: &Bound<'_, Self>, levels: u64) -> PyResult<()> {
        acquire_uninterruptible(slf.py(), slf.as_super().get(), levels)
    }
}
