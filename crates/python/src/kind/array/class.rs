//! `RawArray`: many elements of one type in place, in one dimension or more.

use super::state::{Plan, RawArray};
use super::{item, view};
use crate::object::{self, Address, This};
use courtyard_core::object::{change, touch};
use courtyard_core::sync::Ordering;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

#[pymethods]
impl RawArray {
    #[new]
    #[pyo3(signature = (plan, declared, address=None))]
    fn new(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<RawArray>> {
        RawArray::make(py, plan, declared, false, address)
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
    /// once. If a writer dies, waiters are still woken.
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
        object::wait_for(slf.as_super(), timeout, || match x.is_callable() {
            true => x.call1((slf,)),
            false => slf.call_method1("_equals", (x,)),
        })
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
    fn nbytes(slf: &Bound<'_, Self>) -> u64 {
        This::of(slf).bytes()
    }

    #[getter]
    fn _declared(&self, py: Python<'_>) -> Py<PyAny> {
        self.declared.clone_ref(py)
    }

    /// The address of the elements, which then stay until this object goes, closed or not.
    fn _lend(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let this = This::of(slf);
        this.handle.open(slf.py())?;
        if !this.lent.swap(true, Ordering::Relaxed) {
            this.handle.retain();
        }
        Ok(view::address(this).addr().get())
    }

    /// Some of the bytes, never torn.
    fn _read<'py>(
        slf: &Bound<'py, Self>,
        offset: u64,
        length: u64,
    ) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        item::read(This::of(slf), slf.py(), offset, length)
    }

    /// Of characters those up to the first NUL, never torn.
    fn _text<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        item::text(This::of(slf), slf.py())
    }

    /// Writes pieces of `length` bytes, `stride` apart: all of them or none.
    fn _write(
        slf: &Bound<'_, Self>,
        offset: u64,
        length: u64,
        stride: u64,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let buffer = item::Source::of(data)?;
        item::write(
            This::of(slf),
            slf.py(),
            offset,
            length,
            stride,
            buffer.bytes(),
        )
    }

    /// All elements, each a word, as a list, never torn.
    fn _elements<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        item::elements(This::of(slf), slf.py())
    }

    /// Writes bytes before anybody else knows the array.
    fn _fill(slf: &Bound<'_, Self>, data: &[u8]) {
        let this = This::of(slf);
        let length = data.len().min(this.handle.length as usize);
        let segment = &this.handle.space.segment;
        segment.copy_in(this.start, &data[..length]);
    }

    /// Tells of a change made through a view; waits while another holds the lock.
    fn _touch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), This::of(slf));
        let (participant, space) = (this.handle.open(py)?, this.handle.space);
        participant.waiting(py, |caller| {
            change(caller, this.writer(), || {
                if this.guarded {
                    touch(&space.segment, this.handle.object);
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
    unsafe fn __releasebuffer__(slf: Bound<'_, Self>, _view: *mut pyo3::ffi::Py_buffer) {
        This::of(&slf).handle.give_up();
    }
}
