//! What an array is declared as.

use crate::error::named;
use crate::format::Format;
use crate::object::{Address, Handle, Object, This};
use crate::thread::thread;
use courtyard_core::object::{self, Writer};
use courtyard_core::sync::AtomicBool;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::ffi::CString;

/// What the elements are, and how many: as `courtyard._value.array` found it.
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
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct RawArray {
    pub format: Format,
    /// Bytes of an element that is one word, read and written at once; else 0.
    pub width: u8,
    /// Elements in one dimension, each one word: what the fastest paths are for.
    pub linear: bool,
    pub numpy: bool,
    pub guarded: bool,
    pub size: u64,
    /// How many elements.
    pub count: u64,
    /// Where the first one is.
    pub start: u64,
    pub shape: Vec<isize>,
    pub strides: Vec<isize>,
    pub layout: Option<CString>,
    /// Somebody was told the address: the elements then stay until this object goes.
    pub lent: AtomicBool,
    /// A typecode, a ctypes type or a dtype: what the elements were declared as.
    pub declared: Py<PyAny>,
    pub ctype: Py<PyAny>,
}

impl RawArray {
    pub fn make(
        py: Python<'_>,
        plan: Plan,
        declared: Py<PyAny>,
        guarded: bool,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<RawArray>> {
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
            Some(address) => Handle::load(py, &address, object::BYTES)?,
            None => Handle::create(py, object::BYTES, bytes, |_, _| {})?,
        };
        if !handle.has_length(bytes) {
            let message = format!(
                "expected {bytes} bytes, found {}: another type or shape",
                handle.length
            );
            return Err(named(py, "WrongType", message));
        }
        let array = RawArray {
            start: object::payload(handle.object),
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
        };
        let base = Object {
            handle,
            kind: object::BYTES,
        };
        Ok(PyClassInitializer::from(base).add_subclass(array))
    }
}

/// An array in use: its elements.
pub type Elements<'a> = This<'a, RawArray>;

impl Elements<'_> {
    pub fn writer(self) -> Writer {
        let guarded = self.guarded;
        Writer {
            object: self.handle.object,
            guarded,
            thread: if guarded { thread() } else { 0 },
        }
    }

    pub fn bytes(self) -> u64 {
        self.count * self.size
    }
}
