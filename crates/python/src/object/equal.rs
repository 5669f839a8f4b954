//! Comparison of values that a method was given.

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// Whether two objects are equal, as Python has it; arrays and the like, whose comparison is no single
/// truth, if they are so as a whole (`courtyard._codec.equality`). Identity counts, as in a list.
///
/// # Errors
/// What the comparison raises; `TypeError` for what cannot be compared as a whole.
pub fn equal(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> PyResult<bool> {
    if left.is(right) {
        return Ok(true);
    }
    let py = left.py();
    let (result, error) = match left.rich_compare(right, CompareOp::Eq) {
        Ok(result) if result.is_exact_instance_of::<PyBool>() => return result.is_truthy(),
        Ok(result) => (Some(result), None),
        Err(error) if is_ambiguous(py, &error) => (None, Some(error.into_value(py))),
        Err(error) => return Err(error),
    };
    let module = py.import("courtyard._codec.equality")?;
    let same = module.call_method1("same", (left, right, result, error))?;
    same.extract()
}

/// Whether that may be an array that has no single truth, or none to compare with another.
fn is_ambiguous(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyTypeError>(py)
}
