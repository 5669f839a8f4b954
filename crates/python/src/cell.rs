//! `Cell`: one shared value, with or without a lock of its own.

use crate::argument::Given;
use crate::codec;
use crate::deadline::Limit;
use crate::edit;
use crate::error::{changed_inside, named};
use crate::format::{self, Format, overflow};
use crate::handle::{Address, Handle};
use crate::raw::MANY;
use crate::subclass;
use crate::waiter::{self, Deadline};
use courtyard_core::cell::{self, DATA, EVENT, Writer};
use courtyard_core::sync::{AtomicU32, Ordering};
use courtyard_core::wait;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};
use std::ffi::{c_int, c_void};

/// Serials of threads, our own: the kernel's are reused, and differ between PID namespaces.
pub fn thread() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local! {
        static SERIAL: u32 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    SERIAL.with(|serial| *serial)
}

/// A shared value. `courtyard.Value` and `courtyard.RawValue` are what programs use.
#[pyclass(frozen, subclass, weakref, module = "courtyard._native")]
pub struct Cell {
    pub handle: Handle,
    pub format: Format,
    /// A typecode, a ctypes type, or a Python class: what the value was declared as.
    pub declared: Py<PyAny>,
    /// For `Raw` and `Chars` the ctypes type, for other ctypes scalars too; else None.
    pub ctype: Py<PyAny>,
    pub guarded: bool,
}

impl Cell {
    pub fn make(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        guarded: bool,
        address: Option<Address>,
    ) -> PyResult<Cell> {
        let format = Format::parse(code)
            .ok_or_else(|| PyValueError::new_err(format!("unknown format {code:?}")))?;
        let kind = match format {
            Format::Chars | Format::Raw => cell::BYTES,
            Format::Stored => cell::STORED,
            _ => cell::SCALAR,
        };
        let handle = match address {
            Some(address) => Handle::load(py, &address, kind)?,
            None => Handle::create(py, kind, length, |space, at| {
                if format == Format::Stored {
                    space
                        .segment
                        .word(at + DATA)
                        .store(codec::NONE, Ordering::Relaxed);
                }
            })?,
        };
        if kind == cell::BYTES && !handle.has_length(length) {
            return Err(named(
                py,
                "WrongType",
                format!("expected {length} bytes, found {}", handle.length),
            ));
        }
        Ok(Cell {
            handle,
            format,
            declared,
            ctype,
            guarded,
        })
    }

    #[inline]
    pub fn writer(&self) -> Writer {
        let guarded = self.guarded;
        Writer {
            cell: self.handle.cell,
            guarded,
            thread: if guarded { thread() } else { 0 },
        }
    }

    #[inline]
    fn data(&self) -> u64 {
        self.handle.cell + DATA
    }

    /// Changes a scalar by one store or one atomic operation.
    #[inline]
    fn change<T>(&self, py: Python<'_>, change: impl FnMut() -> T) -> PyResult<T> {
        let participant = self.handle.open(py)?;
        self.handle.waiting(py, |patience| {
            cell::change(
                self.handle.space,
                &participant,
                patience,
                self.writer(),
                change,
            )
        })
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.format.width() != 0
    }

    /// The bits of a scalar.
    pub(crate) fn load_bits(&self) -> u64 {
        format::load(&self.handle.space.segment, self.data(), self.format.width())
    }

    /// Stores the bits of a scalar if they are what is expected; whether they were.
    pub(crate) fn exchange_bits(&self, py: Python<'_>, expected: u64, new: u64) -> PyResult<bool> {
        let (segment, at, width) = (&self.handle.space.segment, self.data(), self.format.width());
        let exchanged = self.change(py, || {
            format::compare_exchange(segment, at, width, expected, new)
        })?;
        Ok(exchanged.is_ok())
    }

    /// A value as get() returns it once it is stored: a number may wrap.
    fn converted<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let converted = match self.format {
            Format::Stored => return Ok(value),
            _ if self.is_scalar() => self.format.decode(py, self.format.encode(&value)?)?,
            _ => self.object_of(py, &self.raw_of(&value)?)?,
        };
        Ok(converted.into_bound(py))
    }

    fn no_count(&self) -> PyErr {
        PyTypeError::new_err(format!(
            "increment() needs a number; this value is a {:?}",
            self.format
        ))
    }
}

#[pymethods]
impl Cell {
    #[new]
    #[pyo3(signature = (code, length, declared, ctype, address=None))]
    fn new(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<Cell> {
        Cell::make(py, code, length, declared, ctype, false, address)
    }

    #[pyo3(signature = (*arguments, **keywords))]
    fn __init__(
        slf: &Bound<'_, Self>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        subclass::initialise(slf.as_any(), &slf.get().handle, arguments, keywords)
    }

    /// Return the value; never torn, whatever its size, and never waits for a lock.
    ///
    /// A scalar is one load, about 20 ns; bytes and objects are copied out. A Structure or array
    /// comes as a copy. `value` is the same as an attribute.
    ///
    /// Raises Closed after close(), NotFound in a child that could not inherit the value.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 5).get()
    /// 5
    #[inline]
    pub fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let participant = self.handle.open(py)?;
        let width = self.format.width();
        if width != 0 {
            let bits = format::load(&self.handle.space.segment, self.data(), width);
            return self.format.decode(py, bits);
        }
        if self.format == Format::Stored {
            return Ok(self.load_stored(py)?.0);
        }
        let bytes = self.read_bytes(py, &participant)?;
        self.object_of(py, &bytes)
    }

    /// Store a value and wake those who wait for it.
    ///
    /// Waits while another holds get_lock(). A scalar is one store; bytes and objects change
    /// wholly or not at all, also if this process is killed meanwhile. When set() has returned,
    /// the value survives this process.
    ///
    /// Raises TypeError or OverflowError for what the declared type does not take, SpaceFull when
    /// there is no room for an object; the old value then stays.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value(object)
    /// >>> v.set({"a": [1, 2]})
    /// >>> v.get()
    /// {'a': [1, 2]}
    #[inline]
    pub fn set(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let width = self.format.width();
        if width != 0 {
            let bits = self.format.encode(value)?;
            let (segment, at) = (&self.handle.space.segment, self.data());
            return self.change(value.py(), || format::store(segment, at, width, bits));
        }
        if self.format == Format::Stored {
            return self.store_stored(value, None).map(drop);
        }
        self.write_bytes(value.py(), 0, &self.raw_of(value)?, None)
            .map(drop)
    }

    /// The value itself, to read (get()) and to write (set()).
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("d", 0.5)
    /// >>> v.value *= 3  # two operations: use increment() or get_lock() among processes
    /// >>> v.value
    /// 1.5
    #[getter]
    #[inline]
    fn get_value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.get(py)
    }

    #[setter]
    #[inline]
    fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(value)
    }

    /// Add n (1 if not given) atomically and return the new value.
    ///
    /// C integers wrap as C's do; an int raises OverflowError beyond 64 bits; an object is added
    /// to as Python does, again if another changed it meanwhile. Waits while another holds
    /// get_lock(). About 30 ns for an integer.
    ///
    /// Raises TypeError for a value that is no number. A killed process has added wholly or not.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 40).increment(2)
    /// 42
    #[pyo3(signature = (n=Given(None)), text_signature = "($self, /, n=1)")]
    fn increment<'py>(&self, py: Python<'py>, n: Given<'py>) -> PyResult<Py<PyAny>> {
        let (format, n) = (self.format, n.0);
        if format == Format::Stored {
            let one = 1i32.into_pyobject(py)?.into_any();
            let mut sum = None;
            self.update(py, |value| {
                let new = value.add(n.as_ref().unwrap_or(&one))?;
                sum = Some(new.clone().unbind());
                Ok(Some(new))
            })?;
            return sum.ok_or_else(|| self.no_count());
        }
        if !format.counts() {
            return Err(self.no_count());
        }
        let step = match (&n, format) {
            (Some(n), _) => format.encode(n)?,
            (None, Format::Float { width: 4 }) => u64::from(1f32.to_bits()),
            (None, Format::Float { .. }) => 1f64.to_bits(),
            (None, _) => 1,
        };
        let (segment, at, width) = (&self.handle.space.segment, self.data(), format.width());
        if let Format::Integer { .. } = format {
            let old = self.change(py, || format::fetch_add(segment, at, width, step))?;
            return format.decode(py, old.wrapping_add(step));
        }
        let sum = self.change(py, || {
            let mut old = format::load(segment, at, width);
            loop {
                let new = format.add(old, step)?;
                match format::compare_exchange(segment, at, width, old, new) {
                    Ok(_) => return Some(new),
                    Err(now) => old = now,
                }
            }
        })?;
        sum.map_or_else(|| Err(overflow()), |bits| format.decode(py, bits))
    }

    /// Store a new value and return the one it replaced, atomically.
    ///
    /// Waits, raises and survives as set().
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 1).exchange(2)
    /// 1
    fn exchange<'py>(&self, new: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        if !self.is_scalar() {
            return self
                .update(new.py(), |_| Ok(Some(new.clone())))
                .map(Bound::unbind);
        }
        let bits = self.format.encode(new)?;
        let (segment, at, width) = (&self.handle.space.segment, self.data(), self.format.width());
        let old = self.change(new.py(), || format::swap(segment, at, width, bits))?;
        self.format.decode(new.py(), old)
    }

    /// Store a new value if the value equals what is expected; return whether it did, atomically.
    ///
    /// Waits, raises and survives as set(); raises what the comparison raises. Arrays and DataFrames
    /// are compared as a whole: they are equal if all elements are.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 1)
    /// >>> v.compare_exchange(1, 2), v.compare_exchange(1, 3), v.value
    /// (True, False, 2)
    fn compare_exchange<'py>(
        &self,
        expected: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        let py = new.py();
        if !self.is_scalar() {
            let mut equal = false;
            self.update(py, |value| {
                equal = codec::equal(value, expected)?;
                Ok(equal.then(|| new.clone()))
            })?;
            return Ok(equal);
        }
        let bits = self.format.encode(new)?;
        for _ in 0..MANY {
            let _open = self.handle.open(py)?;
            let old = self.load_bits();
            if !codec::equal(self.format.decode(py, old)?.bind(py), expected)? {
                return Ok(false);
            }
            if self.exchange_bits(py, old, bits)? {
                return Ok(true);
            }
        }
        Err(changed_inside("the value"))
    }

    /// Replace the value by fn(value), atomically, and return the new value.
    ///
    /// Nothing is locked while fn runs, and **fn may be called again**: it is if others changed the
    /// value meanwhile, so it should have no other effects. If they did 30 times, get_lock() is held
    /// for the next call (with lock=False there is none: then fn is called up to 100,000 times; a lock
    /// that was given is held from the first call on). fn has a copy of the value, and **returns the
    /// new value**: that it changed the copy counts only if it returns it. `with v.edit() as value:`
    /// is for changes in place. What fn returns is converted as set() does it: "i" wraps, a Structure
    /// may be a tuple of its fields. Waits while another holds get_lock(). Half a microsecond for a
    /// number, beside what fn takes.
    ///
    /// Raises what fn raises, what set() raises for its result, RuntimeError if fn itself changes the
    /// value, and SpaceFull; and TypeError if fn returns None where no None can be, or for a list, a
    /// dict, a set, an array (anything whose items can be assigned to), which is nearly always a
    /// `return` that was forgotten: to store None, assign it. Then nothing else has changed. A process
    /// killed meanwhile has replaced the value, or not.
    ///
    /// >>> import courtyard as cy
    /// >>> best = cy.Value("d", 0.5)
    /// >>> best.mutate(lambda found: max(found, 0.75))
    /// 0.75
    /// >>> state = cy.Value(object, ("idle", 0))
    /// >>> state.mutate(lambda state: ("busy", state[1] + 1))
    /// ('busy', 1)
    fn mutate<'py>(
        &self,
        py: Python<'py>,
        r#fn: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut made = None;
        self.update(py, |value| {
            let kind = value.get_type();
            let new = r#fn.call1((value,))?;
            let may_be_none = self.format == Format::Stored;
            if new.is_none() && (!may_be_none || edit::is_container(&kind)?) {
                return Err(edit::none_returned(&kind)?);
            }
            let new = self.converted(new)?;
            made = Some(new.clone());
            Ok(Some(new))
        })?;
        made.ok_or_else(|| changed_inside("the value"))
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the value if it can be called, else the value must equal it. Sleeps
    /// without using the CPU and is woken by the change; a change undone at once may be missed.
    /// Ctrl-C works at once. The death of a writer strands nobody.
    ///
    /// Raises what x raises; ValueError for a timeout of NaN.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 3)
    /// >>> v.wait_for(3), v.wait_for(lambda n: n > 5, timeout=0.01)
    /// (True, False)
    #[pyo3(signature = (x, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let deadline = Deadline::from_timeout(timeout)?;
        let Some(_open) = this.handle.open_until(py, Limit::of(Some(deadline)))? else {
            return Ok(waiter::not_in_time(py));
        };
        let event = this.handle.cell + EVENT;
        waiter::wait_until(py, &this.handle, &[event], deadline, || {
            waiter::test(x, this.get(py)?.into_bound(py))
        })
    }

    /// A number that changes with every change of the value.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i"); before = v.version; v.value = 1
    /// >>> v.version == before
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

    /// All bytes of a `c_char` array or another ctypes value.
    fn _bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        if self.is_scalar() || self.format == Format::Stored {
            return Err(PyTypeError::new_err(
                "this value is not an array or a structure",
            ));
        }
        let open = self.handle.open(py)?;
        Ok(PyBytes::new(py, &self.read_bytes(py, &open)?))
    }

    /// Writes some of these bytes, all of them or none; with `expected`, if all read so.
    #[pyo3(signature = (offset, data, expected=None))]
    fn _write(
        &self,
        py: Python<'_>,
        offset: u64,
        data: &[u8],
        expected: Option<&[u8]>,
    ) -> PyResult<bool> {
        if self.is_scalar() || self.format == Format::Stored {
            return Err(PyTypeError::new_err(
                "this value is not an array or a structure",
            ));
        }
        self.write_bytes(py, offset, data, expected)
    }

    /// A ctypes object on the very memory.
    fn _plain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let ctype = slf.get().ctype.bind(slf.py());
        if ctype.is_none() {
            return Err(PyTypeError::new_err(
                "only a value of a ctypes type has a ctypes view: expected a typecode or a ctypes \
                 type, as in Value('i'); use .value",
            ));
        }
        ctype.call_method1("from_buffer", (slf,))
    }

    /// Close this handle in this process; the value lives on while another holds it.
    ///
    /// Closing twice is allowed. Raises BufferError while views of it exist.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i"); v.close(); v.close()
    /// >>> v.value
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

    /// Which object it is, in all processes: equal for all handles of one object.
    fn _identity(&self) -> (u128, u64, u64) {
        self.handle.identity()
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
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        if this.format == Format::Stored {
            return Err(PyBufferError::new_err(
                "a value of any object has no buffer; use .value",
            ));
        }
        this.handle.require_open(slf.py())?;
        let cell = this.handle.cell;
        let (start, length) = match this.format.width() {
            0 => (cell::payload(cell), this.handle.length),
            width => (cell + DATA, u64::from(width)),
        };
        let address = this.handle.space.segment.address(start);
        let (start, length) = (address.as_ptr().cast::<c_void>(), length as ffi::Py_ssize_t);
        // SAFETY: the interpreter's view; the memory stays mapped and ours while `slf` lives.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 0, flags) };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        this.handle.export();
        Ok(())
    }

    /// # Safety
    /// Called by the interpreter with a view made above.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.handle.unexport();
    }
}
