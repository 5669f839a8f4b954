//! All that the native form has no word for: pickle, protocol 5, large buffers beside it.

use super::buffer::{Piece, Pieces, View, WRITABLE};
use super::ndarray::Array;
use super::{create, link};
use crate::trust;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes, PyList};
use std::cell::Cell;

pub fn function<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let found = cell.get_or_try_init(py, || {
        let found = py.import("pickle")?.getattr(name)?;
        Ok::<_, PyErr>(found.unbind())
    });
    found.map(|found| found.bind(py))
}

/// A pickle: its bytes, its buffers, the courtyard objects in it.
pub struct Pickle<'py> {
    pub main: Bound<'py, PyBytes>,
    pub buffers: Vec<Piece<'py>>,
    pub linked: Vec<Py<PyAny>>,
}

/// # Errors
/// What pickling raises; `CourtyardError` for a courtyard object, unless `keep`.
pub fn dump<'py>(value: &Bound<'py, PyAny>, keep: bool) -> PyResult<Pickle<'py>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    trust::require(py)?;
    let array = match Array::of(value).map(Array::recall) {
        Some(Ok(pickle)) => return Ok(pickle),
        Some(Err(array)) => Some(array),
        None => None,
    };
    let dumps = function(py, &DUMPS, "dumps")?;
    let buffers = PyList::empty(py);
    // What returns nothing takes a buffer over.
    let options = [("buffer_callback", buffers.getattr("append")?)].into_py_dict(py)?;
    let (main, linked) = link::gather(keep, || dumps.call((value, 5), Some(&options)))?;
    let view = |buffer: Bound<'py, PyAny>| View::new(&buffer).map(Piece::View);
    let pickle = Pickle {
        main: main.cast_into()?,
        buffers: buffers.iter().map(view).collect::<PyResult<_>>()?,
        linked,
    };
    array.map_or(Ok(()), |array| array.learn(&pickle))?;
    Ok(pickle)
}

/// The buffers of a pickle: where they are if the source can hand them out, else copied.
///
/// # Errors
/// `MemoryError`.
pub fn buffers<'py>(py: Python<'py>, pieces: &Pieces) -> PyResult<Bound<'py, PyList>> {
    let source = pieces.source;
    let buffers = PyList::empty(py);
    for &(offset, word) in &pieces.buffers {
        let (length, is_writable) = ((word & !WRITABLE) as usize, word & WRITABLE != 0);
        let fill = |to: &mut [u8]| source.copy(py, offset, to);
        buffers.append(match source.view(py, offset, length, is_writable)? {
            Some(view) => view,
            None if is_writable => create::bytearray(py, length, fill)?,
            None => create::bytes(py, length, fill)?,
        })?;
    }
    Ok(buffers)
}

thread_local! {
    /// Whether this thread only looks: what stands for a pickle then comes instead of its object.
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether pickles are not loaded just now.
pub fn is_looking() -> bool {
    LOOKING.get()
}

/// Runs `work` so that nothing it decodes is unpickled.
pub fn looking<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            LOOKING.set(self.0);
        }
    }
    let _back = Back(LOOKING.replace(true));
    work()
}

/// What stands for a pickle of so many bytes that is not loaded.
///
/// # Errors
/// `MemoryError`.
pub fn opaque(py: Python<'_>, length: usize) -> PyResult<Bound<'_, PyAny>> {
    let module = py.import("courtyard._inspect")?;
    module.call_method1("Opaque", (length,))
}

/// # Errors
/// What unpickling raises.
pub fn load<'py>(
    main: Bound<'py, PyAny>,
    buffers: Option<Bound<'py, PyList>>,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = main.py();
    if is_looking() {
        return opaque(py, main.len()?);
    }
    trust::require(py)?;
    let loads = function(py, &LOADS, "loads")?;
    let options = match buffers {
        Some(buffers) => Some([("buffers", buffers)].into_py_dict(py)?),
        None => None,
    };
    link::resolve(py, links, || loads.call((main,), options.as_ref()))
}
