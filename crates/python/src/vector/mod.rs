//! `Vector`: many elements of one type in place, in one dimension or more.

mod guard;
mod item;
mod slot;
mod view;

pub use guard::GuardedVector;
pub use slot::install;

use crate::cell::thread;
use crate::deadline::Limit;
use crate::error::named;
use crate::format::Format;
use crate::handle::{Address, Handle};
use crate::subclass;
use crate::waiter::{self, Deadline};
use courtyard_core::cell::{self, EVENT, Writer};
use courtyard_core::sync::{AtomicBool, Ordering};
use courtyard_core::wait;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::ffi::CString;

/// What the elements are, and how many: as `courtyard._array` found it.
#[derive(FromPyObject)]
pub struct Plan {
    /// A letter of `Format`; `raw` for elements that are no single word.
    code: String,
    /// Bytes of an element.
    size: u64,
    shape: Vec<isize>,
    /// The elements in the buffer protocol's letters; None if it has none for them.
    layout: Option<String>,
    /// Declared by a NumPy dtype: indexed as NumPy does, and integers do not wrap.
    numpy: bool,
    /// The ctypes type of an element; None of a dtype's.
    ctype: Py<PyAny>,
}

/// Shared elements. `courtyard.Array` and `courtyard.RawArray` are what programs use.
#[pyclass(frozen, subclass, weakref, module = "courtyard._native")]
pub struct Vector {
    pub handle: Handle,
    pub format: Format,
    /// Bytes of an element that is one word, read and written at once; else 0.
    pub width: u8,
    /// Elements in one dimension, each one word: what the fastest paths are for.
    pub linear: bool,
    pub numpy: bool,
    pub guarded: bool,
    size: u64,
    /// How many elements.
    pub count: u64,
    /// Where the first one is.
    pub start: u64,
    shape: Vec<isize>,
    strides: Vec<isize>,
    layout: Option<CString>,
    /// Somebody was told the address: the elements then stay until this object goes.
    lent: AtomicBool,
    /// A typecode, a ctypes type or a dtype: what the elements were declared as.
    declared: Py<PyAny>,
    ctype: Py<PyAny>,
}

impl Vector {
    fn make(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        guarded: bool,
        address: Option<Address>,
    ) -> PyResult<Vector> {
        let Plan {
            code,
            size,
            shape,
            layout,
            numpy,
            ctype,
        } = plan;
        let wrong = |what: String| PyValueError::new_err(what);
        let format =
            Format::parse(&code).ok_or_else(|| wrong(format!("unknown format {code:?}")))?;
        let width = format.width();
        if width != 0 && u64::from(width) != size || shape.is_empty() {
            return Err(wrong(format!("{code:?} of {size} bytes, shape {shape:?}")));
        }
        let counted = shape.iter().try_fold(1u64, |count, &length| {
            count.checked_mul(u64::try_from(length).ok()?)
        });
        let bytes = counted
            .and_then(|count| count.checked_mul(size))
            .filter(|&bytes| bytes <= isize::MAX as u64);
        let (Some(count), Some(bytes)) = (counted, bytes) else {
            let message = format!("no memory holds an array of shape {shape:?}");
            return Err(named(py, "SpaceFull", message));
        };
        let mut strides = vec![size as isize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
        }
        let handle = match address {
            Some(address) => Handle::load(py, &address, cell::BYTES)?,
            None => Handle::create(py, cell::BYTES, bytes, |_, _| {})?,
        };
        if !handle.has_length(bytes) {
            let message = format!(
                "expected {bytes} bytes, found {}: another type or shape",
                handle.length
            );
            return Err(named(py, "WrongType", message));
        }
        Ok(Vector {
            start: cell::payload(handle.cell),
            handle,
            format,
            width,
            linear: width != 0 && shape.len() == 1,
            numpy,
            guarded,
            size,
            count,
            shape,
            strides,
            layout: layout
                .map(CString::new)
                .transpose()
                .map_err(|error| wrong(error.to_string()))?,
            lent: AtomicBool::new(false),
            declared,
            ctype,
        })
    }

    fn writer(&self) -> Writer {
        let guarded = self.guarded;
        Writer {
            cell: self.handle.cell,
            guarded,
            thread: if guarded { thread() } else { 0 },
        }
    }

    fn bytes(&self) -> u64 {
        self.count * self.size
    }
}

#[pymethods]
impl Vector {
    #[new]
    #[pyo3(signature = (plan, declared, address=None))]
    fn new(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<Vector> {
        Vector::make(py, plan, declared, false, address)
    }

    #[pyo3(signature = (*arguments, **keywords))]
    fn __init__(
        slf: &Bound<'_, Self>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        subclass::initialise(slf.as_any(), &slf.get().handle, arguments, keywords)
    }

    fn __len__(&self) -> usize {
        self.shape[0] as usize
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        item::get(slf, key)
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        item::set(slf, key, value)
    }

    fn __delitem__(&self, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(item::no_deletion())
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the array if it can be called, else the array must equal it, as a list
    /// does (an array of c_char: its value). Sleeps without using the CPU and is woken by each
    /// change but those through views; a change undone at once may be missed. Ctrl-C works at
    /// once. The death of a writer strands nobody.
    ///
    /// Raises what x raises; ValueError for a timeout of NaN.
    ///
    /// >>> import courtyard as cy
    /// >>> a = cy.Array("i", [1, 2])
    /// >>> a.wait_for([1, 2]), a.wait_for(lambda a: a[0] > 1, timeout=0.01)
    /// (True, False)
    #[pyo3(signature = (x, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, handle) = (slf.py(), &slf.get().handle);
        let deadline = Deadline::from_timeout(timeout)?;
        let Some(_open) = handle.open_until(py, Limit::of(Some(deadline)))? else {
            return Ok(waiter::not_in_time(py));
        };
        let event = handle.cell + EVENT;
        waiter::wait_until(py, handle, &[event], deadline, || {
            if x.is_callable() {
                x.call1((slf,))
            } else {
                slf.call_method1("_equals", (x,))
            }
        })
    }

    /// A number that changes with every change of the array but those through views.
    ///
    /// >>> import courtyard as cy
    /// >>> a = cy.Array("i", 3); before = a.version; a[0] = 1
    /// >>> a.version == before
    /// False
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.handle.open(py)?;
        let event = self.handle.cell + EVENT;
        Ok(wait::version(wait::observe(
            &self.handle.space.segment,
            event,
        )))
    }

    /// How many elements in each dimension.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Array("d", shape=(3, 4)).shape
    /// (3, 4)
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> u64 {
        self.size
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.bytes()
    }

    /// Close this handle in this process; the array lives on while another holds it.
    ///
    /// Views of it stay good: the memory is given back when the last one is gone. Closing twice
    /// is allowed.
    ///
    /// >>> import courtyard as cy
    /// >>> a = cy.Array("i", [7]); view = memoryview(a); a.close()
    /// >>> view[0]
    /// 7
    /// >>> a[0]
    /// Traceback (most recent call last):
    /// courtyard.Closed: this handle is closed in this process; keep another one
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.close(py)
    }

    /// The name it is found by; None for an anonymous one.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.handle.name(py)
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.handle.is_closed()
    }

    #[getter]
    fn _declared(&self, py: Python<'_>) -> Py<PyAny> {
        self.declared.clone_ref(py)
    }

    fn _address(&self, py: Python<'_>) -> PyResult<Address> {
        self.handle.address(py)
    }

    /// The address of the elements, which then stay until this object goes, closed or not.
    fn _lend(&self, py: Python<'_>) -> PyResult<usize> {
        self.handle.open(py)?;
        if !self.lent.swap(true, Ordering::Relaxed) {
            self.handle.retain();
        }
        Ok(view::address(self).addr().get())
    }

    /// Some of the bytes, never torn.
    fn _read<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        length: u64,
    ) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        item::read(self, py, offset, length)
    }

    /// Of characters those up to the first NUL, never torn.
    fn _text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        item::text(self, py)
    }

    /// Writes pieces of `length` bytes, `stride` apart: all of them or none.
    fn _write(
        &self,
        py: Python<'_>,
        offset: u64,
        length: u64,
        stride: u64,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let buffer = item::Source::of(data)?;
        item::write(self, py, offset, length, stride, buffer.bytes())
    }

    /// All elements, each a word, as a list, never torn.
    fn _elements<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        item::elements(self, py)
    }

    /// Writes bytes before anybody else knows the array.
    fn _fill(&self, data: &[u8]) {
        let length = data.len().min(self.handle.length as usize);
        self.handle
            .space
            .segment
            .copy_in(self.start, &data[..length]);
    }

    /// Tells of a change made through a view; waits while another holds the lock.
    fn _touch(&self, py: Python<'_>) -> PyResult<()> {
        let participant = self.handle.open(py)?;
        let space = self.handle.space;
        self.handle.waiting(py, |patience| {
            cell::change(space, &participant, patience, self.writer(), || {
                if self.guarded {
                    cell::touch(&space.segment, self.handle.cell);
                }
            })
        })
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        class
            .py()
            .import("types")?
            .getattr("GenericAlias")?
            .call1((class, item))
    }

    /// # Safety
    /// Called by the interpreter with a `Py_buffer` to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut pyo3::ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        // SAFETY: the interpreter's view.
        unsafe { view::fill(&slf, view, flags) }
    }

    /// # Safety
    /// Called by the interpreter with a view made above.
    unsafe fn __releasebuffer__(&self, _view: *mut pyo3::ffi::Py_buffer) {
        self.handle.give_up();
    }
}
