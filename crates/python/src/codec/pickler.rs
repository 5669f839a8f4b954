//! Picklers of our own, which know what to do with the courtyard objects that they meet. It belongs to
//! the pickler that is at work and not to its thread: what runs meanwhile (a signal handler, `__del__`,
//! `__reduce__`) may pickle with others.

use super::buffer::{Piece, View};
use super::create;
use super::lent::reduce_lent;
use super::link::{is_courtyard, link_function, refuse};
use crate::room;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyNotImplemented, PyType};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a pickler does with a courtyard object.
pub trait Meet: Send + Sync + 'static {
    /// What it reduces to; None: as anywhere else.
    ///
    /// # Errors
    /// Why it cannot be pickled here.
    fn meet<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>>;
}

/// The file that a pickler writes to, and its hook.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Desk {
    meet: Box<dyn Meet>,
    /// Whether large buffers lie beside its pickles.
    has_buffers: bool,
    written: Mutex<Written>,
    /// The most bytes there may be, and what is raised beyond.
    most: usize,
    beyond: fn() -> PyErr,
}

#[derive(Default)]
struct Written {
    parts: Vec<Py<PyBytes>>,
    bytes: usize,
}

impl Desk {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Desk {
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let part = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => room::python_bytes(data.py(), View::new(data)?.bytes())?,
        };
        let mut written = self.written();
        written.bytes += part.as_bytes().len();
        if written.bytes > self.most {
            return Err((self.beyond)());
        }
        room::push(&mut written.parts, part.unbind())
    }

    fn reduce<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut reduced = self.meet.meet(object)?;
        if reduced.is_none() && self.has_buffers {
            reduced = reduce_lent(object)?;
        }
        Ok(reduced.unwrap_or_else(|| PyNotImplemented::get(object.py()).to_owned().into_any()))
    }
}

/// A pickle: its bytes, its buffers, the courtyard objects in it.
pub struct Pickle<'py> {
    pub main: Bound<'py, PyBytes>,
    pub buffers: Vec<Piece<'py>>,
    pub linked: Vec<Py<PyAny>>,
}

/// A pickler of protocol 5.
pub struct Pickler<'py> {
    pickler: Bound<'py, PyAny>,
    desk: Bound<'py, Desk>,
}

impl<'py> Pickler<'py> {
    /// # Errors
    /// `MemoryError`.
    pub fn new(
        py: Python<'py>,
        meet: impl Meet,
        buffer_callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Pickler<'py>> {
        let desk = Desk {
            meet: Box::new(meet),
            has_buffers: buffer_callback.is_some(),
            written: Mutex::default(),
            most: usize::MAX,
            beyond: || PyRuntimeError::new_err("unreachable"),
        };
        Pickler::at(py, desk, buffer_callback)
    }

    /// One that writes at most so many bytes; `beyond` says what is raised then.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn bounded(
        py: Python<'py>,
        meet: impl Meet,
        most: usize,
        beyond: fn() -> PyErr,
    ) -> PyResult<Pickler<'py>> {
        let desk = Desk {
            meet: Box::new(meet),
            has_buffers: false,
            written: Mutex::default(),
            most,
            beyond,
        };
        Pickler::at(py, desk, None)
    }

    fn at(
        py: Python<'py>,
        desk: Desk,
        buffer_callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Pickler<'py>> {
        let desk = Bound::new(py, desk)?;
        let options = PyDict::new(py);
        if let Some(callback) = buffer_callback {
            options.set_item(intern!(py, "buffer_callback"), callback)?;
        }
        let pickler = class(py)?.call((&desk, 5), Some(&options))?;
        let hook = desk.getattr(intern!(py, "reduce"))?;
        pickler.setattr(intern!(py, "reducer_override"), hook)?;
        Ok(Pickler { pickler, desk })
    }

    /// Has it write without references.
    ///
    /// # Errors
    /// None, as `Pickler` has that attribute.
    pub fn set_fast(&self, is_fast: bool) -> PyResult<()> {
        self.pickler
            .setattr(intern!(self.pickler.py(), "fast"), is_fast)
    }

    /// # Errors
    /// What pickling raises.
    pub fn dump(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = value.py();
        let dumped = self.pickler.call_method1(intern!(py, "dump"), (value,));
        let written = std::mem::take(&mut *self.desk.get().written());
        dumped?;
        let mut parts = written.parts.into_iter().map(|part| part.into_bound(py));
        Ok(match (parts.next(), parts.len()) {
            (Some(only), 0) => only,
            (first, _) => {
                let mut rest = first.into_iter().chain(parts);
                let all = create::bytes(py, written.bytes, |mut to| {
                    for part in rest.by_ref() {
                        let length = part.as_bytes().len();
                        let (here, behind) = std::mem::take(&mut to).split_at_mut(length);
                        here.copy_from_slice(part.as_bytes());
                        to = behind;
                    }
                })?;
                all.cast_into()?
            }
        })
    }

    /// Has it forget what it met, to be used again.
    ///
    /// # Errors
    /// None, as `Pickler` has that method.
    pub fn forget(&self) -> PyResult<()> {
        let py = self.pickler.py();
        self.pickler
            .call_method0(intern!(py, "clear_memo"))
            .map(drop)
    }

    pub fn into_parts(self) -> (Py<PyAny>, Py<Desk>) {
        (self.pickler.unbind(), self.desk.unbind())
    }

    pub fn of_parts(pickler: &Bound<'py, PyAny>, desk: &Bound<'py, Desk>) -> Pickler<'py> {
        Pickler {
            pickler: pickler.clone(),
            desk: desk.clone(),
        }
    }
}

/// `pickle.Pickler` with room for a hook.
fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = CLASS.get_or_try_init(py, || {
        let base = py.import("pickle")?.getattr("Pickler")?;
        let body = PyDict::new(py);
        body.set_item("__module__", "courtyard._native")?;
        let made = py.get_type::<PyType>().call1(("Pickler", (base,), body))?;
        Ok::<_, PyErr>(made.unbind())
    });
    made.map(|made| made.bind(py))
}

/// Raises where a courtyard object cannot be kept.
pub struct Refuse;

impl Meet for Refuse {
    fn meet<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match is_courtyard(object.as_borrowed()) {
            true => Err(refuse(object.py())),
            false => Ok(None),
        }
    }
}

/// Lists courtyard objects, and writes which of the list they are.
#[derive(Default, Clone)]
pub struct Keep(std::sync::Arc<Mutex<Vec<Py<PyAny>>>>);

impl Keep {
    /// Those it met since the last time.
    pub fn take(&self) -> Vec<Py<PyAny>> {
        let mut linked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *linked)
    }
}

impl Meet for Keep {
    fn meet<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !is_courtyard(object.as_borrowed()) {
            return Ok(None);
        }
        let py = object.py();
        let number = {
            let mut linked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            room::push(&mut linked, object.clone().unbind())?;
            linked.len() - 1
        };
        let reduced = (link_function(py)?, (number,)).into_pyobject(py)?;
        Ok(Some(reduced.into_any()))
    }
}
