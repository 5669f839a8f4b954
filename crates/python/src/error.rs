//! The engine's errors as Python's: the classes live in `courtyard._error`.

use crate::deadline::{self, Limit, inside};
use crate::ending;
use crate::thread;
use courtyard_core::error::{Error, Result};
use courtyard_core::space::{Slice, WaitPolicy, within};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use std::cell::Cell;
use std::time::Duration;

/// An instance of one of `courtyard._error`' classes.
pub fn named(py: Python<'_>, class: &str, message: String) -> PyErr {
    let made = py
        .import("courtyard._error")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message,)));
    in_context(made)
}

/// An exception that was made, or what was raised when it was to be made.
///
/// By its class, so that Python notes, as for all that it raises itself, what is being handled.
pub fn in_context(made: PyResult<Bound<'_, PyAny>>) -> PyErr {
    made.map_or_else(
        |error| error,
        |made| PyErr::from_type(made.get_type(), made.unbind()),
    )
}

pub fn raise(py: Python<'_>, error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Full(_) => named(py, "SpaceFull", message),
        Error::NoMemory(_) => PyMemoryError::new_err(message),
        Error::Corrupt(_) => named(py, "CorruptError", message),
        Error::Layout(_) => named(py, "LayoutMismatch", message),
        Error::NotFound(_) => named(py, "NotFound", message),
        Error::Refused(_) | Error::Crowded(_) | Error::Forked => {
            named(py, "CourtyardError", message)
        }
        Error::System { call, path, source } => match source.raw_os_error() {
            Some(errno) => {
                let why = format!("{call}: {source}");
                PyOSError::new_err((errno, why, path.display().to_string()))
            }
            None => PyMemoryError::new_err(format!("{call} on {}: {source}", path.display())),
        },
        Error::Interrupted => py
            .check_signals()
            .err()
            .unwrap_or_else(|| named(py, "CourtyardError", message)),
        Error::TimedOut => {
            deadline::note_passed();
            PyTimeoutError::new_err(message)
        }
    }
}

/// What a change that is worked out by Python code raises where that code itself changes what the
/// change was worked out from, each time it is tried.
pub fn changed_inside(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "{what} changed each time while the code that this call runs (a function, an operator, \
         pickling) ran: it must not change what it is called for"
    ))
}

/// How long each slice of a call's waiting may be.
struct Slices {
    limit: Cell<Limit>,
    is_first: Cell<bool>,
}

impl Slices {
    fn new(limit: Limit) -> Slices {
        let (limit, is_first) = (Cell::new(limit), Cell::new(true));
        Slices { limit, is_first }
    }

    /// That of the next one; the limit begins with the first.
    fn next(&self) -> Result<Duration> {
        self.next_of(|limit| limit)
    }

    /// As `next`, and within the `wait_for` around the call.
    fn next_inside(&self) -> Result<Duration> {
        self.next_of(inside)
    }

    fn next_of(&self, within: impl FnOnce(Limit) -> Limit) -> Result<Duration> {
        let mut limit = self.limit.get();
        limit.begin();
        self.limit.set(limit);
        let most = within(limit).slice(self.is_first.replace(false));
        most.ok_or(Error::TimedOut)
    }

    fn end_soon(&self) {
        self.limit.set(self.limit.get().earlier(Limit::soon()));
    }
}

/// Runs engine code that may wait: each slice of waiting without the GIL, signal handlers after.
///
/// # Errors
/// What a signal handler raised (Ctrl-C), or the engine's error.
#[inline]
pub fn waiting<T>(py: Python<'_>, work: impl FnOnce(WaitPolicy) -> Result<T>) -> PyResult<T> {
    let raised = Cell::new(None);
    let result = work(&policy(py, Limit::NEVER, &raised));
    result.map_err(|error| raised.take().unwrap_or_else(|| raise(py, error)))
}

/// As `waiting`, until `limit`; None: it has passed while a lock was held, and nothing was done.
///
/// # Errors
/// As `waiting`.
#[inline]
pub fn waiting_until<T>(
    py: Python<'_>,
    limit: Limit,
    work: impl FnOnce(WaitPolicy) -> Result<T>,
) -> PyResult<Option<T>> {
    let raised = Cell::new(None);
    let result = work(&policy(py, limit, &raised));
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::TimedOut) => Ok(None),
        Err(error) => Err(raised.take().unwrap_or_else(|| raise(py, error))),
    }
}

/// The wait policy of a call with this limit; what a signal handler raises goes to `raised`.
fn policy<'a>(
    py: Python<'a>,
    limit: Limit,
    raised: &'a Cell<Option<PyErr>>,
) -> impl Fn(Slice) -> Result<()> + 'a {
    let slices = Slices::new(limit);
    move |slice| {
        let most = slices.next_inside()?;
        ending::waiting(py, || slice(most))?;
        thread::introduce(py); // the engine may note this wait
        py.check_signals().map_err(|error| {
            raised.set(Some(error));
            Error::Interrupted
        })
    }
}

/// As `waiting_until`, for what gives something back: it is done whatever a signal handler raises. It
/// waits for no more than the engine's own locks; where a stopped process is inside one of those, it
/// fails with `TimedOut` a tenth of a second after a signal handler raised. What it came to, and what was
/// raised.
pub fn uninterruptible_until<T>(
    py: Python<'_>,
    limit: Limit,
    work: impl FnOnce(WaitPolicy) -> Result<T>,
) -> (Result<T>, PyResult<()>) {
    let raised = Cell::new(Ok(()));
    let slices = Slices::new(limit);
    let result = work(&|slice| {
        let most = slices.next()?;
        ending::waiting(py, || slice(most))?;
        if let Err(error) = py.check_signals() {
            let before = raised.replace(Ok(()));
            if before.is_ok() {
                slices.end_soon();
            }
            raised.set(before.and(Err(error)));
        }
        Ok(())
    });
    (result, raised.into_inner())
}

/// How long `quietly` may wait for locks in all.
const QUIET: Duration = Duration::from_millis(100);

/// Runs engine code that may be left undone and during which no signal handler may run; None: it failed,
/// or a lock was held for too long.
pub fn quietly<T>(py: Python<'_>, work: impl FnOnce(WaitPolicy) -> Result<T>) -> Option<T> {
    let wait = within(QUIET);
    work(&|slice| ending::waiting(py, || wait(slice))).ok()
}

/// Bytes from which a copy runs without the GIL.
pub const LONG: u64 = 1 << 20;

/// As `waiting`; without the GIL from beginning to end if so many bytes are to be copied that
/// others had better run meanwhile.
///
/// # Errors
/// As `waiting`.
pub fn copying<T: Send>(
    py: Python<'_>,
    bytes: u64,
    work: impl FnOnce(WaitPolicy) -> Result<T> + Send,
) -> PyResult<T> {
    let copied = copying_until(py, bytes, Limit::NEVER, work)?;
    copied.ok_or_else(|| raise(py, Error::TimedOut))
}

/// As `copying` and `waiting_until`.
///
/// # Errors
/// As `waiting`.
pub fn copying_until<T: Send>(
    py: Python<'_>,
    bytes: u64,
    limit: Limit,
    work: impl FnOnce(WaitPolicy) -> Result<T> + Send,
) -> PyResult<Option<T>> {
    if bytes < LONG {
        return waiting_until(py, limit, work);
    }
    let mut limit = inside(limit);
    limit.begin();
    let (result, raised) = ending::waiting(py, || {
        let (raised, slices) = (Cell::new(None), Slices::new(limit));
        let result = work(&|slice| {
            slice(slices.next()?)?;
            // None: the interpreter ends, and runs no signal handlers any more.
            let signals = Python::try_attach(|py| py.check_signals());
            signals.unwrap_or(Ok(())).map_err(|error| {
                raised.set(Some(error));
                Error::Interrupted
            })
        });
        (result, raised.into_inner())
    });
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::TimedOut) => Ok(None),
        Err(error) => Err(raised.unwrap_or_else(|| raise(py, error))),
    }
}
