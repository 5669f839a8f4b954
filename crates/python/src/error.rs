//! The engine's errors as Python's: the classes live in `courtyard._errors`.

use courtyard_core::error::{Error, Result};
use courtyard_core::space::Patience;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// An instance of one of `courtyard._errors`' classes.
pub fn named(py: Python<'_>, class: &str, message: String) -> PyErr {
    let made = py
        .import("courtyard._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

pub fn raise(py: Python<'_>, error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Full(_) => named(py, "SpaceFull", message),
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

/// Runs engine code that may wait: each slice of waiting without the GIL, signal handlers after.
///
/// # Errors
/// What a signal handler raised (Ctrl-C), or the engine's error.
#[inline]
pub fn waiting<T>(py: Python<'_>, work: impl FnOnce(Patience) -> Result<T>) -> PyResult<T> {
    let mut raised = None;
    let result = work(&mut |slice| {
        py.detach(slice)?;
        py.check_signals().map_err(|error| {
            raised = Some(error);
            Error::Interrupted
        })
    });
    result.map_err(|error| raised.take().unwrap_or_else(|| raise(py, error)))
}

/// As `waiting`, for what gives something back: it is done whatever a signal handler raises, and
/// that is raised after it. It waits for no more than the engine's own locks.
///
/// # Errors
/// As `waiting`.
pub fn surely<T>(py: Python<'_>, work: impl FnOnce(Patience) -> Result<T>) -> PyResult<T> {
    let mut raised = None;
    let result = work(&mut |slice| {
        py.detach(&mut *slice)?;
        if let Err(error) = py.check_signals() {
            raised.get_or_insert(error);
        }
        Ok(())
    });
    match raised {
        Some(error) => Err(error),
        None => result.map_err(|error| raise(py, error)),
    }
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
    work: impl FnOnce(Patience) -> Result<T> + Send,
) -> PyResult<T> {
    if bytes < LONG {
        waiting(py, work)
    } else {
        working(py, work)
    }
}

fn working<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(Patience) -> Result<T> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let mut raised = None;
        let result = work(&mut |slice| {
            slice()?;
            // None: the interpreter ends, and runs no signal handlers any more.
            let signals = Python::try_attach(|py| py.check_signals());
            signals.unwrap_or(Ok(())).map_err(|error| {
                raised = Some(error);
                Error::Interrupted
            })
        });
        (result, raised)
    });
    result.map_err(|error| raised.unwrap_or_else(|| raise(py, error)))
}
