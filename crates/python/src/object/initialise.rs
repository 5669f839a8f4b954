//! `__init__` of objects whose class has one of its own: it says with which arguments they are made.

use super::handle::Handle;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The `__init__` of a native class, as PyO3 has it: with its signature for Python.
///
/// # Errors
/// `RuntimeError` if it was called before; what making the object raises.
pub fn initialise(
    object: &Bound<'_, PyAny>,
    handle: &Handle,
    arguments: &Bound<'_, PyTuple>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    if handle.is_made() {
        return if handle.settle() {
            Err(twice(object))
        } else {
            Ok(())
        };
    }
    let py = object.py();
    let keywords = keywords.map_or_else(|| PyDict::new(py), Clone::clone);
    let module = py.import(intern!(py, "courtyard._object.subclass"))?;
    let initialise = module.getattr(intern!(py, "initialise"))?;
    initialise.call1((object, arguments, keywords)).map(drop)
}

#[cold]
pub fn twice(object: &Bound<'_, PyAny>) -> PyErr {
    let class = object.get_type();
    let name = class
        .name()
        .map_or_else(|_| "it".into(), |name| name.to_string());
    PyRuntimeError::new_err(format!(
        "__init__() of this {name} was called before, and others may use the object: make another"
    ))
}
