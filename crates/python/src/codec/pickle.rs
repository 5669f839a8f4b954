//! All that the native form has no word for: pickle, protocol 5, large buffers beside it.

use super::buffer::{Piece, Pieces, View, WRITABLE};
use super::ndarray::Array;
use super::pickler::{Desk, Keep, Pickle, Pickler, Refuse};
use super::source::Buffers;
use super::{create, failure, link};
use crate::policy;
use crate::room;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes, PyList};
use std::cell::Cell;

fn function<'py>(
    py: Python<'py>,
    object: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let found = object.get_or_try_init(py, || {
        let found = py.import("pickle")?.getattr(name)?;
        Ok::<_, PyErr>(found.unbind())
    });
    found.map(|found| found.bind(py))
}

/// # Errors
/// What pickling raises; `CourtyardError` for a courtyard object, unless `keep`.
pub fn dump<'py>(value: &Bound<'py, PyAny>, keep: bool) -> PyResult<Pickle<'py>> {
    let py = value.py();
    policy::require(py)?;
    let array = match Array::of(value).map(Array::recall) {
        Some(Ok(pickle)) => return Ok(pickle),
        Some(Err(array)) => Some(array),
        None => None,
    };
    let (main, buffers, linked) = if keep {
        let tools = match TOOLS.take() {
            Some(tools) => tools,
            None => Tools::new(py)?,
        };
        tools.dump(value)?
    } else {
        let buffers = PyList::empty(py);
        let pickler = Pickler::new(py, Refuse, Some(buffers.getattr("append")?))?;
        let main = pickler.dump(value)?;
        (main, room::collect(buffers.iter())?, Vec::new())
    };
    let view = |buffer: Bound<'py, PyAny>| View::new(&buffer).map(Piece::View);
    let pickle = Pickle {
        main,
        buffers: room::try_collect(buffers.into_iter(), view)?,
        linked,
    };
    array.map_or(Ok(()), |array| array.learn(&pickle))?;
    Ok(pickle)
}

/// A pickler that is used again and again, since making one takes as long as a small pickle.
struct Tools {
    pickler: Py<PyAny>,
    desk: Py<Desk>,
    buffers: Py<PyList>,
    keep: Keep,
}

thread_local! {
    /// Taken by whoever pickles, so that what runs inside finds none and makes its own.
    static TOOLS: Cell<Option<Tools>> = const { Cell::new(None) };
}

/// After a pickle of more bytes its pickler, with all that it has room for, is not used again.
const MOST_KEPT: usize = 1 << 16;

/// A pickle, its buffers, the courtyard objects in it.
type Dumped<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyAny>>, Vec<Py<PyAny>>);

impl Tools {
    fn new(py: Python<'_>) -> PyResult<Tools> {
        let (buffers, keep) = (PyList::empty(py), Keep::default());
        // What returns nothing takes a buffer over.
        let append = buffers.getattr("append")?;
        let (pickler, desk) = Pickler::new(py, keep.clone(), Some(append))?.into_parts();
        let buffers = buffers.unbind();
        Ok(Tools {
            pickler,
            desk,
            buffers,
            keep,
        })
    }

    fn dump<'py>(self, value: &Bound<'py, PyAny>) -> PyResult<Dumped<'py>> {
        let py = value.py();
        let pickler = Pickler::of_parts(self.pickler.bind(py), self.desk.bind(py));
        let main = pickler.dump(value)?;
        let found = self.buffers.bind(py);
        let buffers = room::collect(found.iter())?;
        if !buffers.is_empty() {
            found.call_method0(intern!(py, "clear"))?;
        }
        let linked = self.keep.take();
        if main.as_bytes().len() <= MOST_KEPT {
            pickler.forget()?;
            TOOLS.set(Some(self));
        }
        Ok((main, buffers, linked))
    }
}

/// The buffers of a pickle. Each that is copied is copied once, into what is handed out.
///
/// # Errors
/// `MemoryError`.
pub fn buffers<'py>(
    py: Python<'py>,
    pieces: &Pieces,
    whose: Buffers,
) -> PyResult<Bound<'py, PyList>> {
    let source = pieces.source;
    let buffers = PyList::empty(py);
    for &(offset, word) in &pieces.buffers {
        let (length, is_writable) = ((word & !WRITABLE) as usize, word & WRITABLE != 0);
        let fill = |to: &mut [u8]| source.copy(py, offset, to);
        let view = match whose {
            Buffers::Own => None,
            Buffers::Shown => source.view(py, offset, length)?,
        };
        buffers.append(match view {
            Some(view) => view,
            None if is_writable && whose == Buffers::Own => create::bytearray(py, length, fill)?,
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
    let module = py.import("courtyard._codec.loading")?;
    module.call_method1("Opaque", (length,))
}

/// # Errors
/// `LoadError`, or as it is what unpickling raises that is no such.
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
    failure::loading(&main, || {
        policy::require(py)?;
        let loads = function(py, &LOADS, "loads")?;
        let options = match buffers {
            Some(buffers) => Some([("buffers", buffers)].into_py_dict(py)?),
            None => None,
        };
        link::resolve(py, links, || loads.call((&main,), options.as_ref()))
    })
}
