//! Engine code that may wait, for an object: each wait is counted in its statistics.

use super::handle::Handle;
use crate::deadline::Limit;
use crate::error::{copying, copying_until, raise, surely_until, waiting, waiting_until};
use crate::process;
use courtyard_core::directory;
use courtyard_core::error::{Error, Result};
use courtyard_core::lock::Stood;
use courtyard_core::space::Patience;
use courtyard_core::sync::Ordering;
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
        work: impl FnOnce(Patience) -> Result<T>,
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
        work: impl FnOnce(Patience) -> Result<T>,
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
    pub fn surely<T>(
        &self,
        py: Python<'_>,
        limit: Limit,
        work: impl FnOnce(Patience) -> Result<T>,
        later: impl FnOnce(),
    ) -> PyResult<Option<T>> {
        let limit = match self.space.is_behind() {
            true => limit.earlier(Limit::soon()), // somebody has waited in vain before
            false => limit,
        };
        let in_order = self.counted(|patience: Patience| {
            self.space.catch_up(&mut *patience)?;
            match self.space.is_behind() {
                true => Err(Error::TimedOut), // another thread is at what comes before this
                false => work(patience),
            }
        });
        let (result, raised) = surely_until(py, limit, in_order);
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
        work: impl FnOnce(Patience) -> Result<T> + Send,
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
        work: impl FnOnce(Patience) -> Result<T> + Send,
    ) -> PyResult<Option<T>> {
        copying_until(py, bytes, limit, self.counted(work))
    }

    #[inline]
    fn counted<T, W: FnOnce(Patience) -> Result<T>>(
        &self,
        work: W,
    ) -> impl FnOnce(Patience) -> Result<T> + use<'_, T, W> {
        move |patience| {
            let mut count = Count::of(self);
            work(&mut |slice| patience(&mut |limit| Ok(count.after(slice(limit)?))))
        }
    }
}

/// One wait for an object, counted when it first sleeps: `contention` in its statistics.
pub struct Count<'a> {
    handle: &'a Handle,
    slept: bool,
}

impl<'a> Count<'a> {
    pub fn of(handle: &'a Handle) -> Count<'a> {
        let slept = false;
        Count { handle, slept }
    }

    /// Takes note of what a slice came to, and returns it.
    pub fn after(&mut self, stood: Stood) -> Stood {
        if stood.slept() && !std::mem::replace(&mut self.slept, true) {
            directory::count_wait(&self.handle.space.segment, self.handle.object);
        }
        stood
    }
}
