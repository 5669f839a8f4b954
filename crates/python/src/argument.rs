//! Arguments of methods that PyO3's own types do not tell apart.

use pyo3::prelude::*;

/// An argument that may be left out, where None is a value like any other.
pub struct Given<'py>(pub Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Given<'py>> {
        Ok(Given(Some(object.to_owned())))
    }
}

/// An argument of which only the truth counts, as Python's locks take theirs: 1 is True.
pub struct Truth(pub bool);

impl FromPyObject<'_, '_> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Truth> {
        object.is_truthy().map(Truth)
    }
}
