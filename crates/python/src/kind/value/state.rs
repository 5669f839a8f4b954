//! What a value is declared as, and changes of it.

use crate::codec;
use crate::error::named;
use crate::format::{self, Format};
use crate::object::{Address, Handle, Object, This};
use crate::thread::thread;
use courtyard_core::object::{self, DATA, Writer};
use courtyard_core::sync::Ordering;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A shared value. `courtyard.Value` and `courtyard.RawValue` are what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct RawValue {
    pub format: Format,
    /// A typecode, a ctypes type, or a Python class: what the value was declared as.
    pub declared: Py<PyAny>,
    /// For `Raw` and `Chars` the ctypes type, for other ctypes scalars too; else None.
    pub ctype: Py<PyAny>,
    pub guarded: bool,
}

impl RawValue {
    pub fn make(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        guarded: bool,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<RawValue>> {
        let format = Format::parse(code)
            .ok_or_else(|| PyValueError::new_err(format!("unknown format {code:?}")))?;
        let kind = match format {
            Format::Chars | Format::Raw => object::BYTES,
            Format::Stored => object::STORED,
            _ => object::SCALAR,
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
        if kind == object::BYTES && !handle.has_length(length) {
            return Err(named(
                py,
                "WrongType",
                format!("expected {length} bytes, found {}", handle.length),
            ));
        }
        let value = RawValue {
            format,
            declared,
            ctype,
            guarded,
        };
        Ok(PyClassInitializer::from(Object { handle, kind }).add_subclass(value))
    }
}

impl This<'_, RawValue> {
    #[inline]
    pub fn writer(self) -> Writer {
        let guarded = self.guarded;
        Writer {
            object: self.handle.object,
            guarded,
            thread: if guarded { thread() } else { 0 },
        }
    }

    #[inline]
    pub fn data(self) -> u64 {
        self.handle.object + DATA
    }

    /// Changes a scalar by one store or one atomic operation.
    #[inline]
    pub fn change<T>(self, py: Python<'_>, change: impl FnMut() -> T) -> PyResult<T> {
        let participant = self.handle.open(py)?;
        participant.waiting(py, |caller| object::change(caller, self.writer(), change))
    }

    pub fn is_scalar(self) -> bool {
        self.format.width() != 0
    }

    /// The bits of a scalar.
    pub fn load_bits(self) -> u64 {
        format::load(&self.handle.space.segment, self.data(), self.format.width())
    }

    /// Stores the bits of a scalar if they are what is expected; whether they were.
    pub fn exchange_bits(self, py: Python<'_>, expected: u64, new: u64) -> PyResult<bool> {
        let (segment, at, width) = (&self.handle.space.segment, self.data(), self.format.width());
        let exchanged = self.change(py, || {
            format::compare_exchange(segment, at, width, expected, new)
        })?;
        Ok(exchanged.is_ok())
    }

    /// A value as get() returns it once it is stored: a number may wrap.
    pub fn converted<'py>(self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let converted = match self.format {
            Format::Stored => return Ok(value),
            _ if self.is_scalar() => self.format.decode(py, self.format.encode(&value)?)?,
            _ => self.object_of(py, &self.raw_of(&value)?)?,
        };
        Ok(converted.into_bound(py))
    }

    pub fn no_count(self) -> PyErr {
        PyTypeError::new_err(format!(
            "increment() needs a number; this value is a {:?}",
            self.format
        ))
    }

    /// # Errors
    /// `TypeError` for a value that is not kept as its bytes.
    pub fn require_bytes(self) -> PyResult<()> {
        match self.is_scalar() || self.format == Format::Stored {
            true => Err(PyTypeError::new_err(
                "this value is not an array or a structure",
            )),
            false => Ok(()),
        }
    }
}
