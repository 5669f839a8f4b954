//! Pickles of plain NumPy arrays, remembered. But for its buffer the pickle of an array is that of any
//! other of the same element type and shape, and to have it made takes longer than to copy many of them.

use super::buffer::{Piece, View};
use super::lent::is_ndarray;
use super::pickler::Pickle;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

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
