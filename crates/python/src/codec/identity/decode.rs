//! Keys back from their canonical form. The bytes may be anybody's: what `encode` would not write is
//! refused.

use super::encode::{is_whole, with_key};
use super::form::{
    ASCII, BYTES, COMPLEX, DEPTH, FLOAT, FROZENSET, INTEGER, LATIN, NONE, PICKLE, TUPLE, WIDE_2,
    WIDE_4,
};
use crate::codec::short::Short;
use crate::codec::{self, Buffers, create, failure, integer, object, pickle, tag};
use crate::error::named;
use crate::room;
use courtyard_core::table::Key;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

#[cold]
fn corrupt(py: Python<'_>, what: &str) -> PyErr {
    named(py, "CorruptError", format!("a stored key: {what}"))
}

/// The key as it was first given: from the canonical form, or from what was kept beside it.
///
/// # Errors
/// `CorruptError` for what no key is written as; what unpickling raises.
pub fn decode<'py>(
    py: Python<'py>,
    key: Key,
    original: Option<(u8, &[u8])>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some((kind, payload)) = original else {
        return canonical(py, key);
    };
    let object = match (kind, payload.try_into()) {
        (0, Ok(word)) => codec::decode_word(py, u64::from_le_bytes(word))?,
        (0, Err(_)) => return Err(corrupt(py, "a word has 8 bytes")),
        _ => codec::decode(py, kind, payload, Buffers::Own, &[])?,
    };
    if codec::is_pickle(kind) && pickle::is_looking() || failure::is_unloadable(&object)? {
        return Ok(object); // what stands for the key is another one
    }
    let is_same = with_key(&object, |identity| {
        Ok(identity.key == key || !identity.is_plain && identity.key.tag == key.tag)
    });
    match is_same {
        Ok(true) => Ok(object),
        Ok(false) => Err(corrupt(py, "the object kept beside it is another key")),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => {
            Err(corrupt(py, "the object kept beside it cannot be a key"))
        }
        Err(error) => Err(error),
    }
}

fn canonical<'py>(py: Python<'py>, key: Key) -> PyResult<Bound<'py, PyAny>> {
    if !matches!(key.tag, TUPLE | FROZENSET) {
        return leaf(py, key);
    }
    let mut reader = Reader {
        py,
        input: key.bytes,
        depth: 0,
        has_pickle: false,
    };
    let count = reader.number()?;
    let object = reader.container(key.tag, count)?;
    if reader.input.is_empty() {
        Ok(object)
    } else {
        Err(corrupt(py, "bytes after its end"))
    }
}

fn leaf<'py>(py: Python<'py>, key: Key) -> PyResult<Bound<'py, PyAny>> {
    let bytes = key.bytes;
    let object = match key.tag {
        ASCII => text(py, tag::ASCII, bytes)?,
        LATIN => text(py, tag::LATIN, bytes)?,
        WIDE_2 => text(py, tag::WIDE_2, bytes)?,
        WIDE_4 => text(py, tag::WIDE_4, bytes)?,
        BYTES => Some(create::bytes(py, bytes.len(), |to| {
            to.copy_from_slice(bytes)
        })?),
        INTEGER => number(py, bytes)?,
        FLOAT => words(bytes)
            .map(|[bits]| f64::from_bits(bits))
            .filter(|&value| !is_whole(value))
            .map(|value| create::float(py, value))
            .transpose()?,
        COMPLEX => words(bytes)
            .map(|words| words.map(f64::from_bits))
            .filter(|[real, imaginary]| {
                *imaginary != 0.0 && (*real != 0.0 || real.is_sign_positive())
            })
            .map(|[real, imaginary]| create::complex(py, real, imaginary))
            .transpose()?,
        NONE => bytes.is_empty().then(|| py.None().into_bound(py)),
        PICKLE => {
            let main = create::bytes(py, bytes.len(), |to| to.copy_from_slice(bytes))?;
            Some(pickle::load(main, None, &[])?)
        }
        _ => None,
    };
    object.ok_or_else(|| corrupt(py, "bytes that are not of its kind"))
}

#[inline]
fn text<'py>(py: Python<'py>, tag: u8, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    match Short::new(bytes) {
        Some(short) if tag == tag::ASCII => create::short(py, short),
        _ => create::text(py, tag, bytes.len(), |to| to.copy_from_slice(bytes)),
    }
}

fn number<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    if bytes.len() < 8 {
        return Ok(None);
    }
    let number = integer::from_bytes(py, bytes)?;
    let object = number.as_borrowed();
    let is_canonical = match object::integer(object) {
        Some(_) => bytes.len() == 8,
        None => integer::bytes(object)? == bytes,
    };
    Ok(is_canonical.then_some(number))
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: [[u8; 8]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_le_bytes))
}

/// Reads containers.
struct Reader<'a, 'py> {
    py: Python<'py>,
    /// What is left to read.
    input: &'a [u8],
    depth: u32,
    has_pickle: bool,
}

impl<'py> Reader<'_, 'py> {
    fn byte(&mut self) -> PyResult<u8> {
        let Some((&byte, rest)) = self.input.split_first() else {
            return Err(corrupt(self.py, "too few bytes"));
        };
        self.input = rest;
        Ok(byte)
    }

    fn number(&mut self) -> PyResult<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= usize::from(byte & 127) << shift;
            if byte < 128 {
                // Written in as few bytes as can be.
                return match (byte, shift) {
                    (0, 1..) => Err(corrupt(self.py, "a number that ends in zeros")),
                    _ => Ok(number),
                };
            }
            shift += 7;
            if shift > 56 {
                return Err(corrupt(self.py, "a number of more than 63 bits"));
            }
        }
    }

    fn item(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let (tag, count) = (self.byte()?, self.number()?);
        if matches!(tag, TUPLE | FROZENSET) {
            return self.container(tag, count);
        }
        let Some((bytes, rest)) = self.input.split_at_checked(count) else {
            return Err(corrupt(self.py, "too few bytes"));
        };
        self.input = rest;
        self.has_pickle |= tag == PICKLE;
        leaf(self.py, Key { tag, bytes })
    }

    fn container(&mut self, tag: u8, count: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.depth == DEPTH {
            return Err(corrupt(self.py, "tuples too deep inside one another"));
        }
        self.depth += 1;
        let made = if tag == TUPLE {
            self.tuple(count)
        } else {
            self.frozenset(count)
        };
        self.depth -= 1;
        made
    }

    fn tuple(&mut self, count: usize) -> PyResult<Bound<'py, PyAny>> {
        let mut items = Vec::with_capacity(count.min(16)); // a count may promise what is not there
        for _ in 0..count {
            room::push(&mut items, self.item()?)?;
        }
        room::tuple(self.py, items)
    }

    fn frozenset(&mut self, count: usize) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: no content.
        let set = unsafe { ffi::PyFrozenSet_New(std::ptr::null_mut()) };
        // SAFETY: a new reference, or null with an exception.
        let set = unsafe { Bound::from_owned_ptr_or_err(self.py, set) }?;
        let had_pickle = std::mem::take(&mut self.has_pickle);
        let mut before: &[u8] = &[];
        for _ in 0..count {
            let start = self.input;
            let member = self.item()?;
            let item = &start[..start.len() - self.input.len()];
            if item < before {
                return Err(corrupt(self.py, "a frozenset that is not sorted"));
            }
            before = item;
            // SAFETY: a frozenset that nobody else has seen.
            if unsafe { ffi::PySet_Add(set.as_ptr(), member.as_ptr()) } != 0 {
                return Err(PyErr::fetch(self.py));
            }
        }
        // What was unpickled may be equal to what it was not equal to.
        if !self.has_pickle && object::set_length(set.as_borrowed()) != count {
            return Err(corrupt(self.py, "a member that is there twice"));
        }
        self.has_pickle |= had_pickle;
        Ok(set)
    }
}
