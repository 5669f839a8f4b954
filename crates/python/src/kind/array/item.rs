//! Elements and slices: in and out as Python objects.

use super::state::{Elements, RawArray};
use crate::format::{self, Format, fits, quick_decode};
use crate::object::This;
use crate::room;
use courtyard_core::object::{self, Pieces};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyIndexError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyString, PyTuple};

/// How far apart, in bytes, elements may be to be read with what is between them.
const LINE: usize = 64;

/// `vector[key]`: what is no word is `courtyard._value.array`'s affair.
///
/// # Errors
/// IndexError and TypeError as ctypes raises them; those of the handle.
pub fn get<'py>(
    slf: &Bound<'py, RawArray>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, this) = (slf.py(), This::of(slf));
    if let Some(at) = place(this, key)? {
        let _open = this.handle.open(py)?;
        let bits = format::load(&this.handle.space.segment, at, this.width);
        return Ok(this.format.decode(py, bits)?.into_bound(py));
    }
    match key.cast::<PySlice>() {
        Ok(slice) if this.linear && !this.numpy => slice_of(this, py, slice),
        _ => slf.call_method1("_item", (key,)),
    }
}

/// `vector[key] = value`.
///
/// # Errors
/// As `get`, and ValueError for another number of values than places.
pub fn set<'py>(
    slf: &Bound<'py, RawArray>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let this = This::of(slf);
    if let Some(at) = place(this, key)? {
        match encode(this, value) {
            Ok(bits) => return store(this, slf.py(), at, bits),
            // What NumPy would take nevertheless.
            Err(error) if this.numpy && error.is_instance_of::<PyTypeError>(slf.py()) => {}
            Err(error) => return Err(error),
        }
    } else if this.linear
        && !this.numpy
        && let Ok(slice) = key.cast::<PySlice>()
    {
        return assign(this, slice, value);
    }
    slf.call_method1("_set_item", (key, value)).map(drop)
}

pub fn no_deletion() -> PyErr {
    PyTypeError::new_err("Array does not support item deletion")
}

/// The place of the element that a key means, if it means one element that is a word.
fn place(this: Elements<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    let word = |index: u64| this.start + index * u64::from(this.width);
    // SAFETY: alive, and the GIL is held.
    let is_index = |key: &Bound<'_, PyAny>| unsafe { ffi::PyIndex_Check(key.as_ptr()) } != 0;
    if this.linear {
        return match is_index(key) {
            true => position(key, this.shape[0]).map(|index| Some(word(index))),
            false => Ok(None),
        };
    }
    let Ok(keys) = key.cast::<PyTuple>() else {
        return Ok(None);
    };
    if this.width == 0 || keys.len() != this.shape.len() || !keys.iter().all(|key| is_index(&key)) {
        return Ok(None);
    }
    let mut index = 0;
    for (key, &length) in keys.iter().zip(&this.shape) {
        index = index * length as u64 + position(&key, length)?;
    }
    Ok(Some(word(index)))
}

/// An index, counted from the end if negative.
fn position(key: &Bound<'_, PyAny>, length: isize) -> PyResult<u64> {
    // SAFETY: a class that lives as long as the interpreter.
    let error = unsafe { ffi::PyExc_IndexError };
    // SAFETY: alive, and the GIL is held; what does not fit raises IndexError.
    let index = unsafe { ffi::PyNumber_AsSsize_t(key.as_ptr(), error) };
    if index == -1
        && let Some(error) = PyErr::take(key.py())
    {
        return Err(error);
    }
    let index = if index < 0 { index + length } else { index };
    if (0..length).contains(&index) {
        Ok(index as u64)
    } else {
        Err(PyIndexError::new_err("invalid index"))
    }
}

/// An element's bits; for a dtype's integers nothing wraps. A ctypes object is taken if it is one
/// of the very type.
fn encode(this: Elements<'_>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let py = value.py();
    let encoded = this.format.encode(value);
    let unclear = this.format == Format::Truth || encoded.is_err();
    if unclear && value.hasattr(intern!(py, "_b_base_"))? {
        let ctype = this.ctype.bind(py);
        if ctype.is_none() || !value.is_instance(ctype)? {
            let found = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "incompatible types: what is of type {found} is not of the elements' type"
            )));
        }
        return this.format.encode(&value.getattr(intern!(py, "value"))?);
    }
    let bits = encoded?;
    if let (true, Format::Integer { width, signed }) = (this.numpy, this.format) {
        let fits = match (width, signed) {
            (8, false) => value.extract::<u64>().is_ok(),
            _ => value
                .extract::<i64>()
                .is_ok_and(|number| fits(this.format, number)),
        };
        if !fits {
            let sign = if signed { "a signed" } else { "an unsigned" };
            let bits = width * 8;
            return Err(PyOverflowError::new_err(format!(
                "the number does not fit {sign} {bits}-bit integer"
            )));
        }
    }
    Ok(bits)
}

fn store(this: Elements<'_>, py: Python<'_>, at: u64, bits: u64) -> PyResult<()> {
    let participant = this.handle.open(py)?;
    let space = this.handle.space;
    participant.waiting(py, |caller| {
        object::change(caller, this.writer(), || {
            format::store(&space.segment, at, this.width, bits);
            if this.guarded {
                object::touch(&space.segment, this.handle.object);
            }
        })
    })
}

fn read_range(this: Elements<'_>, py: Python<'_>, offset: u64, bytes: &mut [u8]) -> PyResult<()> {
    let participant = this.handle.open(py)?;
    participant.copying(py, bytes.len() as u64, |caller| {
        object::read_range(caller, this.writer(), offset, bytes)
    })
}

fn read_pieces(
    this: Elements<'_>,
    py: Python<'_>,
    pieces: Pieces,
    bytes: &mut [u8],
) -> PyResult<()> {
    let participant = this.handle.open(py)?;
    participant.copying(py, bytes.len() as u64, |caller| {
        object::read_pieces(caller, this.writer(), pieces, bytes)
    })
}

/// The characters up to the first that is NUL, or all: `bytes`, or `str` of wide ones.
///
/// # Errors
/// Those of the handle.
pub fn text<'py>(this: Elements<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let participant = this.handle.open(py)?;
    let writer = this.writer();
    let size = (usize::from(this.width.max(1)), this.bytes() as usize);
    let bytes = participant.waiting(py, |caller| object::read_to_zero(caller, writer, size))?;
    match this.format {
        Format::Wide => joined(this, py, bytes.chunks_exact(size.0)),
        _ => Ok(room::python_bytes(py, &bytes)?.into_any()),
    }
}

/// Wide characters as a `str`.
fn joined<'a, 'py>(
    this: Elements<'_>,
    py: Python<'py>,
    elements: impl ExactSizeIterator<Item = &'a [u8]>,
) -> PyResult<Bound<'py, PyAny>> {
    let letters = room::list(py, objects(this, py, elements)?)?;
    PyString::new(py, "").call_method1("join", (letters,))
}

/// Some of the bytes, never torn.
///
/// # Errors
/// ValueError beyond the end; those of the handle.
pub fn read<'py>(
    this: Elements<'_>,
    py: Python<'py>,
    offset: u64,
    length: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    check(this, offset, length)?;
    PyBytes::new_with(py, length as usize, |bytes| {
        read_range(this, py, offset, bytes)
    })
}

fn check(this: Elements<'_>, offset: u64, length: u64) -> PyResult<()> {
    if offset
        .checked_add(length)
        .is_some_and(|end| end <= this.bytes())
    {
        return Ok(());
    }
    Err(PyValueError::new_err("the bytes reach beyond the array"))
}

/// Writes pieces of `length` bytes, `stride` apart: all of them or none.
///
/// # Errors
/// ValueError beyond the end; those of the handle; `SpaceFull`.
pub fn write(
    this: Elements<'_>,
    py: Python<'_>,
    offset: u64,
    length: u64,
    stride: u64,
    data: &[u8],
) -> PyResult<()> {
    if data.is_empty() {
        return this.handle.open(py).map(drop);
    }
    let count = (data.len() as u64).checked_div(length).unwrap_or(0);
    let last = count.saturating_sub(1).saturating_mul(stride);
    check(this, offset, last.saturating_add(length))?;
    if count * length != data.len() as u64 || (count > 1 && stride < length) {
        return Err(PyValueError::new_err("the pieces do not fit each other"));
    }
    let participant = this.handle.open(py)?;
    let pieces = Pieces {
        offset,
        length,
        count,
        stride,
    };
    participant
        .copying(py, data.len() as u64, |caller| {
            let writer = this.writer();
            object::write_pieces(caller, writer, pieces, data, None)
        })
        .map(drop)
}

/// One element's bits in a copy of the bytes.
fn bits_of(this: Elements<'_>, element: &[u8]) -> u64 {
    let mut bits = [0; 8];
    if cfg!(target_endian = "little") {
        bits[..element.len()].copy_from_slice(element);
    } else {
        bits[8 - element.len()..].copy_from_slice(element);
    }
    debug_assert_eq!(element.len(), usize::from(this.width));
    u64::from_ne_bytes(bits)
}

fn bytes_of(this: Elements<'_>, bits: u64) -> ([u8; 8], std::ops::Range<usize>) {
    let width = usize::from(this.width);
    let range = if cfg!(target_endian = "little") {
        0..width
    } else {
        8 - width..8
    };
    (bits.to_ne_bytes(), range)
}

/// All elements as a list.
///
/// # Errors
/// Those of the handle.
pub fn elements<'py>(this: Elements<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    if this.width == 0 {
        return Err(PyTypeError::new_err("these elements are no single words"));
    }
    let mut bytes = room::bytes(this.bytes() as usize)?;
    read_range(this, py, 0, &mut bytes)?;
    objects(this, py, bytes.chunks_exact(usize::from(this.width)))
        .and_then(|objects| Ok(room::list(py, objects)?.into_any()))
}

fn objects<'a, 'py>(
    this: Elements<'_>,
    py: Python<'py>,
    elements: impl ExactSizeIterator<Item = &'a [u8]>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    room::try_collect(elements, |element| {
        let bits = bits_of(this, element);
        match quick_decode(this.format, bits) {
            // SAFETY: a new reference, or null with an exception set.
            Some(object) => unsafe { Bound::from_owned_ptr_or_err(py, object) },
            None => Ok(this.format.decode(py, bits)?.into_bound(py)),
        }
    })
}

/// A slice as ctypes has it: a list, `bytes` of characters, `str` of wide ones.
fn slice_of<'py>(
    this: Elements<'_>,
    py: Python<'py>,
    slice: &Bound<'py, PySlice>,
) -> PyResult<Bound<'py, PyAny>> {
    let indices = slice.indices(this.shape[0])?;
    let (count, step) = (indices.slicelength, indices.step);
    let width = usize::from(this.width);
    let far = step.unsigned_abs();
    // Elements that share lines with others are read with them, the others alone.
    let apart = if far * width > LINE { 1 } else { far };
    let reach = count.checked_sub(1).map_or(0, |last| last * apart + 1) * width;
    let first = match step {
        _ if count == 0 => 0,
        1.. => indices.start,
        _ => indices.start + (count as isize - 1) * step,
    };
    let mut bytes = room::bytes(reach)?;
    let offset = first as u64 * width as u64;
    if apart == far {
        read_range(this, py, offset, &mut bytes)?;
    } else {
        let pieces = Pieces {
            offset,
            length: width as u64,
            count: count as u64,
            stride: (far * width) as u64,
        };
        read_pieces(this, py, pieces, &mut bytes)?;
    }
    let picked = |index: usize| {
        let index = if step < 0 { count - 1 - index } else { index };
        &bytes[index * apart * width..][..width]
    };
    if this.format == Format::Char {
        if step == 1 {
            return Ok(room::python_bytes(py, &bytes)?.into_any());
        }
        let bytes = room::collect((0..count).map(|index| picked(index)[0]))?;
        return Ok(room::python_bytes(py, &bytes)?.into_any());
    }
    if this.format == Format::Wide {
        return joined(this, py, (0..count).map(picked));
    }
    let objects = objects(this, py, (0..count).map(picked))?;
    Ok(room::list(py, objects)?.into_any())
}

/// `vector[slice] = value`, as ctypes has it, but all of it or nothing.
fn assign(
    this: Elements<'_>,
    slice: &Bound<'_, PySlice>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = value.py();
    let indices = slice.indices(this.shape[0])?;
    let (count, step) = (indices.slicelength, indices.step);
    let width = u64::from(this.width);
    let first = match step {
        _ if count == 0 => 0,
        1.. => indices.start,
        _ => indices.start + (count as isize - 1) * step,
    } as u64;
    let put = |data: &[u8]| {
        let stride = step.unsigned_abs() as u64 * width;
        write(this, py, first * width, width, stride, data)
    };
    if step > 0
        && let Some(buffer) = same_buffer(this, value)?
    {
        if buffer.item_count() != count {
            return Err(other_size());
        }
        return put(Source(buffer).bytes());
    }
    // SAFETY: alive, and the GIL is held.
    let length = unsafe { ffi::PySequence_Size(value.as_ptr()) };
    if length < 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: as above.
    if unsafe { ffi::PySequence_Check(value.as_ptr()) } == 0 {
        let class = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("'{class}' is not a sequence")));
    }
    if length as usize != count {
        return Err(other_size());
    }
    let mut data = room::vector(count * usize::from(this.width))?;
    for item in value.try_iter()? {
        let (bytes, range) = bytes_of(this, encode(this, &item?)?);
        room::append(&mut data, &bytes[range])?;
    }
    if data.len() != count * usize::from(this.width) {
        return Err(other_size()); // it changed meanwhile
    }
    if step < 0 {
        data.reverse(); // then each element's bytes, back again
        for element in data.chunks_exact_mut(usize::from(this.width)) {
            element.reverse();
        }
    }
    put(&data)
}

/// Bytes in one piece, of whatever they are.
pub struct Source(PyUntypedBuffer);

impl Source {
    /// # Errors
    /// TypeError for what has no buffer, BufferError for one in several pieces.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Source> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.is_c_contiguous() {
            Ok(Source(buffer))
        } else {
            Err(PyBufferError::new_err("expected bytes in one piece"))
        }
    }

    pub fn bytes(&self) -> &[u8] {
        if self.0.len_bytes() == 0 {
            return &[];
        }
        let start = self.0.buf_ptr().cast::<u8>().cast_const();
        // SAFETY: so many bytes in one piece, held by the buffer. Who writes them meanwhile has
        // some of the old and some of the new copied, as with any copy of a buffer.
        unsafe { std::slice::from_raw_parts(start, self.0.len_bytes()) }
    }
}

fn other_size() -> PyErr {
    PyValueError::new_err("Can only assign sequence of same size")
}

/// The buffer of an object whose elements have the same bytes as ours, in one piece.
///
/// # Errors
/// What `__buffer__` raises, unless that says that there is no such buffer.
fn same_buffer(this: Elements<'_>, value: &Bound<'_, PyAny>) -> PyResult<Option<PyUntypedBuffer>> {
    // SAFETY: alive, and the GIL is held.
    if unsafe { ffi::PyObject_CheckBuffer(value.as_ptr()) } == 0 {
        return Ok(None);
    }
    let py = value.py();
    let says_none = |error: &PyErr| {
        error.is_instance_of::<PyBufferError>(py)
            || error.is_instance_of::<PyTypeError>(py)
            || error.is_instance_of::<PyValueError>(py) // NumPy's, of dates
    };
    let buffer = match PyUntypedBuffer::get(value) {
        Err(error) if says_none(&error) => return Ok(None),
        buffer => buffer?,
    };
    let same_size = buffer.item_size() == usize::from(this.width);
    let format = buffer.format().to_bytes();
    let letter = match format {
        [letter] | [b'@' | b'=', letter] => *letter,
        [b'<', letter] if cfg!(target_endian = "little") => *letter,
        [b'>', letter] if cfg!(target_endian = "big") => *letter,
        _ => return Ok(None),
    };
    let letters: &[u8] = match this.format {
        Format::Integer { signed: true, .. } | Format::Exact => b"bhilqn",
        Format::Integer { signed: false, .. } => b"BHILQN",
        Format::Float { .. } => b"fd",
        Format::Truth => b"?",
        Format::Char => b"cbB",
        Format::Wide => b"w",
        _ => b"",
    };
    let same = same_size && letters.contains(&letter);
    Ok((same && buffer.dimensions() == 1 && buffer.is_c_contiguous()).then_some(buffer))
}
