//! The arguments of `acquire()`.

use crate::argument::Truth;
use crate::deadline::Deadline;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// `threading.TIMEOUT_MAX`, in seconds.
const TIMEOUT_MAX: f64 = 9_223_372_036.0;

/// Whether an object's class follows multiprocessing's rules, not threading's: the drop-in's do.
/// Looked up only where they differ.
pub fn follows_multiprocessing(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object
        .get_type()
        .hasattr(intern!(object.py(), "_multiprocessing"))
}

/// Resolves the arguments of `object.acquire(blocking, timeout)`; `block` is multiprocessing's
/// name of the first. None: do not wait.
///
/// threading refuses a timeout without blocking and negative ones, and -1 is for ever; for
/// multiprocessing a timeout without blocking means nothing and a negative one is over.
///
/// # Errors
/// `ValueError` and `OverflowError` as threading raises them.
pub fn acquire_deadline(
    object: &Bound<'_, PyAny>,
    blocking: Option<Truth>,
    timeout: Option<f64>,
    block: Option<Truth>,
) -> PyResult<Option<Deadline>> {
    let waits = blocking.or(block).is_none_or(|Truth(waits)| waits);
    if timeout.is_some() && follows_multiprocessing(object)? {
        return match waits {
            true => Deadline::from_timeout(timeout).map(Some),
            false => Ok(None),
        };
    }
    match timeout {
        Some(seconds) if !waits && seconds != -1.0 => Err(PyValueError::new_err(
            "can't specify a timeout for a non-blocking call",
        )),
        _ if !waits => Ok(None),
        None | Some(-1.0) => Ok(Some(Deadline::NEVER)),
        Some(seconds) if seconds < 0.0 => Err(PyValueError::new_err(
            "timeout value must be a non-negative number",
        )),
        Some(seconds) if seconds > TIMEOUT_MAX => {
            Err(PyOverflowError::new_err("timeout value is too large"))
        }
        timeout => Deadline::from_timeout(timeout).map(Some),
    }
}

/// As `acquire_deadline`, with a semaphore's rules: None is for ever for both, a negative timeout
/// is over.
///
/// # Errors
/// `ValueError` as threading raises it.
pub fn semaphore_deadline(
    object: &Bound<'_, PyAny>,
    blocking: Option<Truth>,
    timeout: Option<f64>,
    block: Option<Truth>,
) -> PyResult<Option<Deadline>> {
    let waits = blocking.or(block).is_none_or(|Truth(waits)| waits);
    if waits {
        return Deadline::from_timeout(timeout).map(Some);
    }
    if timeout.is_some() && !follows_multiprocessing(object)? {
        return Err(PyValueError::new_err(
            "can't specify timeout for non-blocking acquire",
        ));
    }
    Ok(None)
}
