//! Pickles as keys: of their objects' content alone.

use super::{LONGEST, too_long};
use crate::codec::buffer::View;
use crate::codec::{link, pickle};
use crate::trust;
use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The file that a pickle is written to.
#[pyclass]
struct Sink(Vec<u8>);

#[pymethods]
impl Sink {
    fn write(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let view = View::new(data)?;
        if self.0.len() + view.bytes().len() > LONGEST {
            return Err(too_long());
        }
        self.0.extend_from_slice(view.bytes());
        Ok(())
    }
}

/// # Errors
/// What pickling raises; `ValueError` for what is too long.
pub fn dump(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let py = value.py();
    trust::require(py)?;
    // An object met twice is written twice: equal keys may or may not share their parts, as texts
    // that are literals do. What contains itself, or too much of the same, needs references.
    link::gather(false, || match dump_as(value, true) {
        Err(error)
            if error.is_instance_of::<PyValueError>(py)
                || error.is_instance_of::<PyRecursionError>(py) =>
        {
            dump_as(value, false)
        }
        result => result,
    })
    .map(|(bytes, _)| bytes)
}

fn dump_as(value: &Bound<'_, PyAny>, is_fast: bool) -> PyResult<Vec<u8>> {
    static PICKLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let sink = Bound::new(py, Sink(Vec::new()))?;
    let pickler = pickle::function(py, &PICKLER, "Pickler")?.call1((&sink, 5))?;
    pickler.setattr("fast", is_fast)?; // as Python calls it to go without references
    pickler.call_method1("dump", (value,))?;
    let bytes = std::mem::take(&mut sink.borrow_mut().0);
    Ok(bytes)
}
