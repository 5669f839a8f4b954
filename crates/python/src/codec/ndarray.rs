//! Pickles of plain NumPy arrays, remembered. But for its buffer the pickle of an array is that of any
//! other of the same element type and shape, and to have it made takes longer than to copy many of them.

use super::buffer::{Piece, View};
use super::pickle::{self, Pickle};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::ffi::c_int;

/// So many are remembered.
const ROOM: usize = 64;

/// From element type (its address) and shape to the element type, which keeps its address, and the
/// pickle.
static KNOWN: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// An array of whose kind a pickle may be known.
pub struct Array<'py> {
    key: Bound<'py, PyTuple>,
    dtype: Bound<'py, PyAny>,
    view: View<'py>,
}

impl<'py> Array<'py> {
    /// None for any other object, for subclasses, and for arrays that are not in C's order.
    pub fn of(value: &Bound<'py, PyAny>) -> Option<Array<'py>> {
        if !is_ndarray(value) {
            return None;
        }
        let view = View::new(value).ok()?; // dates, for example, have no buffer
        if !view.is_in_order() {
            return None;
        }
        let py = value.py();
        let dtype = value.getattr("dtype").ok()?;
        let shape = value.getattr("shape").ok()?;
        let key = (dtype.as_ptr() as usize, shape);
        let key = key.into_pyobject(py).ok()?;
        let view = view.lent();
        Some(Array { key, dtype, view })
    }

    /// Its pickle, if that of another one like it is known; else it comes back.
    pub fn recall(self) -> Result<Pickle<'py>, Array<'py>> {
        let py = self.dtype.py();
        let known = KNOWN.get(py).map(|known| known.bind(py));
        let found = known.and_then(|known| known.get_item(&self.key).ok().flatten());
        let main = found.and_then(|found| found.get_item(1).ok()?.cast_into::<PyBytes>().ok());
        match main {
            Some(main) => Ok(Pickle {
                main,
                buffers: vec![Piece::View(self.view)],
                linked: Vec::new(),
            }),
            None => Err(self),
        }
    }

    /// Remembers its pickle, if it is all that there is to say of such an array: not of one whose
    /// element type is not the one of all arrays of its kind, since that may say more.
    pub fn learn(self, pickle: &Pickle<'py>) -> PyResult<()> {
        let py = self.dtype.py();
        let of_all = py.import("numpy")?.getattr("dtype")?;
        let plain = pickle.buffers.len() == 1
            && pickle.linked.is_empty()
            && of_all.call1((self.dtype.getattr("str")?,))?.is(&self.dtype)
            && !self.dtype.getattr("hasobject")?.is_truthy()?;
        if plain {
            let known = KNOWN.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
            if known.len() >= ROOM {
                known.clear();
            }
            known.set_item(self.key, (self.dtype, &pickle.main))?;
        }
        Ok(())
    }
}

/// A read-only array, reduced as one that is not: whoever loads it has a copy, which is his own. None:
/// it is anything else.
///
/// # Errors
/// What reducing it raises.
pub fn reduce_lent<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // Without a buffer, or with gaps in it, it is copied into the pickle, and comes out writable.
    if !is_ndarray(value) || View::new(value).is_ok_and(|view| view.is_writable()) {
        return Ok(None);
    }
    let py = value.py();
    let reduced = value.call_method1(intern!(py, "__reduce_ex__"), (5,))?;
    let Ok((make, arguments)) = reduced.extract::<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>()
    else {
        return Ok(Some(reduced));
    };
    static PICKLE_BUFFER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = pickle::function(py, &PICKLE_BUFFER, "PickleBuffer")?;
    let mut arguments: Vec<_> = arguments.iter().collect();
    if let Some(buffer) = arguments.first_mut()
        && buffer.is_instance(class)?
    {
        *buffer = class.call1((Bound::new(py, Lent(value.clone().unbind()))?,))?;
        let arguments = PyTuple::new(py, arguments)?;
        return Ok(Some((make, arguments).into_pyobject(py)?.into_any()));
    }
    Ok(Some(reduced))
}

/// The memory of a read-only array, shown to a pickler as if it might be written to.
#[pyclass(frozen, module = "courtyard._native")]
struct Lent(Py<PyAny>);

#[pymethods]
impl Lent {
    /// # Safety
    /// Called by the interpreter with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let flags = flags & !ffi::PyBUF_WRITABLE;
        // SAFETY: the interpreter's view, and an array that lives.
        if unsafe { ffi::PyObject_GetBuffer(slf.get().0.as_ptr(), view, flags) } != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        // SAFETY: the interpreter's view, filled just now.
        let Some(view) = (unsafe { view.as_mut() }) else {
            return Ok(());
        };
        view.readonly = 0;
        let array = std::mem::replace(&mut view.obj, slf.clone().into_ptr());
        // SAFETY: the view's reference; `slf` keeps the array, too. Arrays of NumPy's have nothing to
        // do when a view ends.
        unsafe { ffi::Py_DECREF(array) };
        Ok(())
    }
}

/// Whether it is one of NumPy's own arrays. Its class is no heap type, as any class made in Python is.
fn is_ndarray(value: &Bound<'_, PyAny>) -> bool {
    let class = value.get_type_ptr();
    // SAFETY: an object's class is alive as long as it is.
    let class = unsafe { &*class };
    if class.tp_flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 || class.tp_name.is_null() {
        return false;
    }
    // SAFETY: the name of a class is a string that ends in NUL.
    let name = unsafe { std::ffi::CStr::from_ptr(class.tp_name) };
    name == c"numpy.ndarray"
}
