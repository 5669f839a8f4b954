//! Engine code that may wait, for an object: each wait is counted in its statistics.

use super::handle::{Handle, Use};
use crate::deadline::Limit;
use crate::error::{copying, copying_until, raise, uninterruptible_until, waiting, waiting_until};
use crate::process;
use crate::thread::{is_task, thread};
use courtyard_core::directory;
use courtyard_core::error::{Error, Result};
use courtyard_core::lock::WaitOutcome;
use courtyard_core::object;
use courtyard_core::space::{Caller, WaitPolicy};
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::prelude::*;

impl Handle {
    /// As `error::waiting`; if it sleeps, that is a wait for this object.
    ///
    /// # Errors
    /// As `error::waiting`.
    #[inline]
    pub fn waiting<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(WaitPolicy) -> Result<T>,
    ) -> PyResult<T> {
        waiting(py, self.counted(work))
    }

    /// As `error::waiting_until`, and counted as `waiting` is.
    ///
    /// # Errors
    /// As `error::waiting`.
    #[inline]
    pub fn waiting_until<T>(
        &self,
        py: Python<'_>,
        limit: Limit,
        work: impl FnOnce(WaitPolicy) -> Result<T>,
    ) -> PyResult<Option<T>> {
        waiting_until(py, limit, self.counted(work))
    }

    /// Gives something back, whatever a signal handler raises: that is raised after it. Where a stopped
    /// process is inside a lock that it needs, `later` puts it off when `limit` has passed, and a tenth of
    /// a second after a handler raised; it is done, behind what was put off before, before this handle is
    /// used again. None: it was put off. Counted as `waiting` is.
    ///
    /// # Errors
    /// As `error::waiting`.
    pub fn uninterruptible<T>(
        &self,
        py: Python<'_>,
        limit: Limit,
        work: impl FnOnce(WaitPolicy) -> Result<T>,
        later: impl FnOnce(),
    ) -> PyResult<Option<T>> {
        let limit = match self.space.is_behind() {
            true => limit.earlier(Limit::soon()), // somebody has waited in vain before
            false => limit,
        };
        let in_order = self.counted(|wait: WaitPolicy| {
            self.space.catch_up(wait)?;
            match self.space.is_behind() {
                true => Err(Error::TimedOut), // another thread is at what comes before this
                false => work(wait),
            }
        });
        let (result, raised) = uninterruptible_until(py, limit, in_order);
        if matches!(result, Err(Error::TimedOut)) {
            later();
            self.holder.store(std::ptr::null_mut(), Ordering::Relaxed);
            process::look_back(self.space);
            return raised.map(|()| None);
        }
        raised?;
        result.map(Some).map_err(|error| raise(py, error))
    }

    /// As `error::copying`, and counted as `waiting` is.
    ///
    /// # Errors
    /// As `error::copying`.
    pub fn copying<T: Send>(
        &self,
        py: Python<'_>,
        bytes: u64,
        work: impl FnOnce(WaitPolicy) -> Result<T> + Send,
    ) -> PyResult<T> {
        copying(py, bytes, self.counted(work))
    }

    /// As `error::copying_until`, and counted as `waiting` is.
    ///
    /// # Errors
    /// As `error::waiting`.
    pub fn copying_until<T: Send>(
        &self,
        py: Python<'_>,
        bytes: u64,
        limit: Limit,
        work: impl FnOnce(WaitPolicy) -> Result<T> + Send,
    ) -> PyResult<Option<T>> {
        copying_until(py, bytes, limit, self.counted(work))
    }

    #[inline]
    fn counted<T, W: FnOnce(WaitPolicy) -> Result<T>>(
        &self,
        work: W,
    ) -> impl FnOnce(WaitPolicy) -> Result<T> + use<'_, T, W> {
        move |wait| {
            let count = Count::of(self);
            work(&|slice| {
                self.refuse_to_wait_for_itself()?;
                wait(&mut |limit| Ok(count.after(slice(limit)?)))
            })
        }
    }

    /// Fails if the object's lock is held by another task of the event loop that runs in this thread: while
    /// the call waits that loop stands still, so the task would never release it.
    ///
    /// # Errors
    /// `Refused`.
    pub fn refuse_to_wait_for_itself(&self) -> Result<()> {
        let segment = &self.space.segment;
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let Some(participant) = (unsafe { self.space.registered().as_ref() }) else {
            return Ok(());
        };
        let Some(serial) = object::holder(segment, participant, self.object) else {
            return Ok(());
        };
        if !is_task(serial) || serial == thread() {
            return Ok(()); // a holder itself waits for something else: an earlier change, memory
        }
        let is_here = Python::try_attach(|py| {
            let module = py.import("courtyard.aio._loop")?;
            module
                .getattr("is_owner_here")?
                .call1((serial,))?
                .is_truthy()
        });
        match is_here {
            Some(Ok(true)) => Err(Error::Refused(
                "a task of this event loop holds the object's lock, and could not release it while this call \
                 keeps the loop from running: await the method of `.aio` instead"
                    .into(),
            )),
            _ => Ok(()),
        }
    }
}

/// The same for whoever has the object open: the engine code gets to know who calls.
impl Use<'_> {
    /// # Errors
    /// As `error::waiting`.
    #[inline]
    pub fn waiting<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Caller<'static, '_>) -> Result<T>,
    ) -> PyResult<T> {
        self.handle.waiting(py, self.called(work))
    }

    /// # Errors
    /// As `error::waiting`.
    #[inline]
    pub fn waiting_until<T>(
        &self,
        py: Python<'_>,
        limit: Limit,
        work: impl FnOnce(Caller<'static, '_>) -> Result<T>,
    ) -> PyResult<Option<T>> {
        self.handle.waiting_until(py, limit, self.called(work))
    }

    /// # Errors
    /// As `error::waiting`.
    pub fn uninterruptible<T>(
        &self,
        py: Python<'_>,
        limit: Limit,
        work: impl FnOnce(Caller<'static, '_>) -> Result<T>,
        later: impl FnOnce(),
    ) -> PyResult<Option<T>> {
        self.handle
            .uninterruptible(py, limit, self.called(work), later)
    }

    /// # Errors
    /// As `error::copying`.
    pub fn copying<T: Send>(
        &self,
        py: Python<'_>,
        bytes: u64,
        work: impl FnOnce(Caller<'static, '_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.handle.copying(py, bytes, self.called(work))
    }

    /// # Errors
    /// As `error::waiting`.
    pub fn copying_until<T: Send>(
        &self,
        py: Python<'_>,
        bytes: u64,
        limit: Limit,
        work: impl FnOnce(Caller<'static, '_>) -> Result<T> + Send,
    ) -> PyResult<Option<T>> {
        self.handle
            .copying_until(py, bytes, limit, self.called(work))
    }

    #[inline]
    fn called<T, W: FnOnce(Caller<'static, '_>) -> Result<T>>(
        &self,
        work: W,
    ) -> impl FnOnce(WaitPolicy) -> Result<T> + use<T, W> {
        let (space, participant) = (self.handle.space, self.participant);
        move |wait| work(Caller::new(space, participant, wait))
    }
}

/// One wait for an object, counted when it first sleeps: `contention` in its statistics.
pub struct Count<'a> {
    handle: &'a Handle,
    slept: AtomicBool,
}

impl<'a> Count<'a> {
    pub fn of(handle: &'a Handle) -> Count<'a> {
        let slept = AtomicBool::new(false);
        Count { handle, slept }
    }

    /// Takes note of what a slice came to, and returns it.
    pub fn after(&self, outcome: WaitOutcome) -> WaitOutcome {
        if outcome.slept() && !self.slept.swap(true, Ordering::Relaxed) {
            directory::count_wait(&self.handle.space.segment, self.handle.id);
        }
        outcome
    }
}
