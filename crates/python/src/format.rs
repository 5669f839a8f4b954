//! Scalars of one word: what a typecode means, in both directions, wrapping as C does.

use courtyard_core::segment::Segment;
use courtyard_core::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use pyo3::exceptions::{PyException, PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyFloat, PyInt, PyString};
use std::ffi::c_int;

/// How the bytes of an object are read as Python objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A C integer: its width in bytes, and whether it has a sign. Wraps.
    Integer { width: u8, signed: bool },
    /// Python's `int` in 64 bits: OverflowError instead of wrapping.
    Exact,
    /// `float` (8) or C's float (4).
    Float { width: u8 },
    /// C's bool and Python's.
    Truth,
    /// One byte, as `bytes`.
    Char,
    /// One character, as `str`.
    Wide,
    /// An address: an int, or None for 0.
    Pointer,
    /// `c_char * n`: bytes up to the first NUL.
    Chars,
    /// Any other ctypes type: its bytes; the type itself converts.
    Raw,
    /// Any picklable object.
    Stored,
}

impl Format {
    /// From the letter that `courtyard._value.declaration` chose: ctypes' own, and `int float object raw s`.
    pub fn parse(code: &str) -> Option<Format> {
        let integer = |width, signed| Format::Integer { width, signed };
        Some(match code {
            "b" => integer(1, true),
            "B" => integer(1, false),
            "h" => integer(2, true),
            "H" => integer(2, false),
            "i" => integer(4, true),
            "I" => integer(4, false),
            "l" => integer(size_of::<std::ffi::c_long>() as u8, true),
            "L" => integer(size_of::<std::ffi::c_ulong>() as u8, false),
            "q" => integer(8, true),
            "Q" => integer(8, false),
            "f" => Format::Float { width: 4 },
            "d" | "float" => Format::Float { width: 8 },
            "?" => Format::Truth,
            "c" => Format::Char,
            "u" => Format::Wide,
            "P" => Format::Pointer,
            "int" => Format::Exact,
            "s" => Format::Chars,
            "raw" => Format::Raw,
            "object" => Format::Stored,
            _ => return None,
        })
    }

    /// Bytes of a scalar; 0 for what is no scalar.
    pub fn width(self) -> u8 {
        match self {
            Format::Integer { width, .. } | Format::Float { width } => width,
            Format::Exact | Format::Pointer => 8,
            Format::Wide => 4,
            Format::Truth | Format::Char => 1,
            Format::Chars | Format::Raw | Format::Stored => 0,
        }
    }

    /// The bits as a Python object.
    #[inline]
    pub fn decode(self, py: Python<'_>, bits: u64) -> PyResult<Py<PyAny>> {
        // SAFETY: the GIL is held; each call makes a new reference or raises.
        let integer = |value: i64| unsafe { ffi::PyLong_FromLongLong(value) };
        let pointer = match self {
            Format::Integer {
                width: 8,
                signed: false,
            }
            | Format::Pointer => {
                if self == Format::Pointer && bits == 0 {
                    return Ok(py.None());
                }
                // SAFETY: as above.
                unsafe { ffi::PyLong_FromUnsignedLongLong(bits) }
            }
            Format::Integer { width, signed } => integer(match (width, signed) {
                (1, true) => i64::from(bits as i8),
                (1, false) => i64::from(bits as u8),
                (2, true) => i64::from(bits as i16),
                (2, false) => i64::from(bits as u16),
                (4, true) => i64::from(bits as i32),
                (4, false) => i64::from(bits as u32),
                _ => bits as i64,
            }),
            Format::Exact => integer(bits as i64),
            Format::Float { width } => {
                let value = if width == 4 {
                    f64::from(f32::from_bits(bits as u32))
                } else {
                    f64::from_bits(bits)
                };
                // SAFETY: as above.
                unsafe { ffi::PyFloat_FromDouble(value) }
            }
            Format::Truth => {
                return Ok((bits as u8 != 0)
                    .into_pyobject(py)?
                    .to_owned()
                    .into_any()
                    .unbind());
            }
            Format::Char => return Ok(PyBytes::new(py, &[bits as u8]).into_any().unbind()),
            // SAFETY: as above. Lone surrogates are characters to Python and to C.
            Format::Wide => unsafe { ffi::PyUnicode_FromOrdinal(bits as u32 as i32) },
            Format::Chars | Format::Raw | Format::Stored => return Err(not_scalar()),
        };
        // SAFETY: a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, pointer) }.map(Bound::unbind)
    }

    /// A Python object as bits; what ctypes refuses is refused in its words.
    #[inline]
    pub fn encode(self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = value.py();
        match self {
            Format::Integer { .. } | Format::Pointer => {
                if self == Format::Pointer && value.is_none() {
                    return Ok(0);
                }
                let exact = self == Format::Pointer; // whose ctypes type asks no __index__
                if value.is_instance_of::<PyFloat>() || exact && !value.is_instance_of::<PyInt>() {
                    return Err(wrong("an int", value));
                }
                // SAFETY: the GIL is held and `value` is alive; -1 may mean an exception.
                let bits = unsafe { ffi::PyLong_AsUnsignedLongLongMask(value.as_ptr()) };
                if bits == u64::MAX
                    && let Some(error) = PyErr::take(py)
                {
                    return Err(if error.is_instance_of::<PyTypeError>(py) {
                        wrong("an int", value)
                    } else {
                        error
                    });
                }
                Ok(bits)
            }
            Format::Exact => {
                if value.is_instance_of::<PyFloat>() {
                    return Err(wrong("an int", value));
                }
                value
                    .extract::<i64>()
                    .map(|value| value as u64)
                    .map_err(|error| {
                        if error.is_instance_of::<PyOverflowError>(py) {
                            overflow()
                        } else if error.is_instance_of::<PyTypeError>(py) {
                            wrong("an int", value)
                        } else {
                            error
                        }
                    })
            }
            Format::Float { width } => {
                let value = value.extract::<f64>().map_err(|error| {
                    if error.is_instance_of::<PyTypeError>(py) {
                        wrong("a float", value)
                    } else {
                        error
                    }
                })?;
                Ok(if width == 4 {
                    u64::from((value as f32).to_bits())
                } else {
                    value.to_bits()
                })
            }
            Format::Truth => value.is_truthy().map(u64::from),
            Format::Char => {
                let one = |bytes: &[u8]| (bytes.len() == 1).then(|| u64::from(bytes[0]));
                let byte = if let Ok(bytes) = value.cast::<PyBytes>() {
                    one(bytes.as_bytes())
                } else if let Ok(bytes) = value.cast::<PyByteArray>() {
                    one(&bytes.to_vec())
                } else {
                    // As ctypes, without __index__.
                    let number = value.cast::<PyInt>().ok();
                    number.and_then(|number| number.extract::<u8>().ok().map(u64::from))
                };
                byte.ok_or_else(|| {
                    wrong(
                        "one byte (bytes of length 1, or an int from 0 to 255)",
                        value,
                    )
                })
            }
            Format::Wide => {
                // By CPython's own view of characters: a lone surrogate is one.
                let text = value.cast::<PyString>().ok();
                let text = text.filter(|text| text.len().is_ok_and(|length| length == 1));
                let letter = text.map(|text| {
                    // SAFETY: the GIL is held, and a str of one character has one at 0.
                    unsafe { ffi::PyUnicode_ReadChar(text.as_ptr(), 0) }
                });
                letter
                    .map(u64::from)
                    .ok_or_else(|| wrong("a str of one character", value))
            }
            Format::Chars | Format::Raw | Format::Stored => Err(not_scalar()),
        }
    }

    /// The sum, as C makes it; None where it does not fit an exact int.
    #[inline]
    pub fn add(self, bits: u64, step: u64) -> Option<u64> {
        Some(match self {
            Format::Exact => (bits as i64).checked_add(step as i64)? as u64,
            Format::Float { width: 4 } => {
                u64::from((f32::from_bits(bits as u32) + f32::from_bits(step as u32)).to_bits())
            }
            Format::Float { .. } => (f64::from_bits(bits) + f64::from_bits(step)).to_bits(),
            _ => bits.wrapping_add(step),
        })
    }

    /// Whether `increment` has a meaning.
    pub fn counts(self) -> bool {
        matches!(
            self,
            Format::Integer { .. } | Format::Exact | Format::Float { .. }
        )
    }
}

fn not_scalar() -> PyErr {
    PyTypeError::new_err("this value is not a scalar")
}

pub fn overflow() -> PyErr {
    PyOverflowError::new_err(
        "the number does not fit a signed 64-bit integer; use Value(object, ...) for larger ones",
    )
}

fn wrong(expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type().name();
    let found = class.map_or_else(|_| "?".into(), |name| name.to_string());
    let shown = match value.repr() {
        Ok(text) => text.to_string(),
        Err(error) if error.is_instance_of::<PyException>(value.py()) => String::new(),
        Err(error) => return error, // Ctrl-C
    };
    let short: String = shown.chars().take(60).collect();
    let dots = if short.len() < shown.len() { "..." } else { "" };
    PyTypeError::new_err(format!("expected {expected}, found {found}: {short}{dots}"))
}

/// Dispatches on a scalar's width to the atomic type of that width.
macro_rules! by_width {
    ($segment:expr, $at:expr, $width:expr, |$object:ident, $kind:ident| $body:expr) => {
        match $width {
            1 => {
                type $kind = u8;
                let $object: &AtomicU8 = $segment.object($at);
                $body
            }
            2 => {
                type $kind = u16;
                let $object: &AtomicU16 = $segment.object($at);
                $body
            }
            4 => {
                type $kind = u32;
                let $object: &AtomicU32 = $segment.object($at);
                $body
            }
            _ => {
                type $kind = u64;
                let $object: &AtomicU64 = $segment.object($at);
                $body
            }
        }
    };
}

#[expect(clippy::useless_conversion, reason = "u64 is one of the widths")]
#[inline]
pub fn load(segment: &Segment, at: u64, width: u8) -> u64 {
    by_width!(segment, at, width, |object, Bits| {
        let bits: Bits = object.load(Ordering::Acquire);
        u64::from(bits)
    })
}

#[inline]
pub fn store(segment: &Segment, at: u64, width: u8, bits: u64) {
    by_width!(segment, at, width, |object, Bits| object
        .store(bits as Bits, Ordering::Release));
}

#[expect(clippy::useless_conversion, reason = "u64 is one of the widths")]
#[inline]
pub fn swap(segment: &Segment, at: u64, width: u8, bits: u64) -> u64 {
    by_width!(segment, at, width, |object, Bits| u64::from(
        object.swap(bits as Bits, Ordering::AcqRel)
    ))
}

/// Adds wrapping; returns what was there.
#[expect(clippy::useless_conversion, reason = "u64 is one of the widths")]
#[inline]
pub fn fetch_add(segment: &Segment, at: u64, width: u8, step: u64) -> u64 {
    by_width!(segment, at, width, |object, Bits| {
        u64::from(object.fetch_add(step as Bits, Ordering::AcqRel))
    })
}

/// # Errors
/// What was there instead of `current`.
#[expect(clippy::useless_conversion, reason = "u64 is one of the widths")]
#[inline]
pub fn compare_exchange(
    segment: &Segment,
    at: u64,
    width: u8,
    current: u64,
    new: u64,
) -> Result<u64, u64> {
    by_width!(segment, at, width, |object, Bits| {
        object
            .compare_exchange(
                current as Bits,
                new as Bits,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map(u64::from)
            .map_err(u64::from)
    })
}

/// A scalar's bits as a new reference, for the formats met most; None for the others.
#[inline(always)]
pub fn quick_decode(format: Format, bits: u64) -> Option<*mut ffi::PyObject> {
    let number = match format {
        Format::Integer {
            width: 4,
            signed: true,
        } => i64::from(bits as i32),
        Format::Integer {
            width: 8,
            signed: true,
        }
        | Format::Exact => bits as i64,
        Format::Float { width: 8 } => {
            // SAFETY: the GIL is held; a new reference, or null with MemoryError.
            return Some(unsafe { ffi::PyFloat_FromDouble(f64::from_bits(bits)) });
        }
        _ => return None,
    };
    // SAFETY: as above.
    Some(unsafe { ffi::PyLong_FromLongLong(number) })
}

/// A Python object's bits, for exact ints and floats that convert at once; None for the others.
#[inline(always)]
pub fn quick_encode(format: Format, value: *mut ffi::PyObject) -> Option<u64> {
    match format {
        Format::Integer { .. } | Format::Exact => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyLong_CheckExact(value) } == 0 {
                return None;
            }
            let mut overflow: c_int = 0;
            // SAFETY: an exact int never raises here.
            let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
            (overflow == 0).then_some(number as u64)
        }
        Format::Float { width: 8 } => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyFloat_CheckExact(value) } == 0 {
                return None;
            }
            // SAFETY: an exact float.
            Some(unsafe { ffi::PyFloat_AS_DOUBLE(value) }.to_bits())
        }
        _ => None,
    }
}

/// Whether a number is one that the format has, so that nothing wraps.
#[inline(always)]
pub fn fits(format: Format, number: i64) -> bool {
    let Format::Integer { width, signed } = format else {
        return true;
    };
    let bits = u32::from(width) * 8 - u32::from(signed);
    match (signed, bits) {
        (true, bits) => number >> bits.min(63) == number >> 63,
        (false, 64) => number >= 0,
        (false, bits) => number >> bits == 0,
    }
}
