//! Which objects cannot be changed in place.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyList, PySet};

/// Whether nothing of an object can be changed in place, not even inside it.
///
/// # Errors
/// What looking into it raises.
pub fn is_immutable(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_known = value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PySet>()
        || value.is_exact_instance_of::<PyByteArray>();
    if is_known {
        return Ok(false);
    }
    let py = value.py();
    let module = py.import(intern!(py, "courtyard._codec.immutable"))?;
    let is_immutable = module.call_method1(intern!(py, "is_immutable"), (value,))?;
    is_immutable.is_truthy()
}
