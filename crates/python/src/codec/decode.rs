//! Words and blocks as Python objects.

use super::buffer::Pieces;
use super::kind::{
    KIND_ASCII, KIND_BYTEARRAY, KIND_BYTES, KIND_FLOAT, KIND_INTEGER, KIND_LATIN, KIND_NATIVE,
    KIND_NATIVE_BUFFERS, KIND_PICKLE, KIND_PICKLE_BUFFERS, KIND_WIDE_2, KIND_WIDE_4, corrupt,
};
use super::reader::Reader;
use super::source::{Buffers, Source, settle};
use super::{create, failure, integer, pickle, tag, word};
use pyo3::prelude::*;

/// Decodes a word.
///
/// # Errors
/// `CorruptError` for what no codec wrote.
#[inline]
pub fn decode_word(py: Python<'_>, word: u64) -> PyResult<Bound<'_, PyAny>> {
    word::decode(py, word)?
        .ok_or_else(|| corrupt(py, format!("the stored word {word:#x} has no meaning")))
}

/// Makes a text or bytes of so many bytes, which `fill` writes where they stay; what comes of bytes
/// that change meanwhile is not to be shown. None: it is of another kind, or the bytes are no such text.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn decode_flat<'py>(
    py: Python<'py>,
    kind: u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let tag = match kind {
        KIND_ASCII => tag::ASCII,
        KIND_LATIN => tag::LATIN,
        KIND_WIDE_2 => tag::WIDE_2,
        KIND_WIDE_4 => tag::WIDE_4,
        KIND_BYTES => return create::bytes(py, length, fill).map(Some),
        _ => return Ok(None),
    };
    create::text(py, tag, length, fill)
}

/// Decodes a payload; `links` are the objects in its list of links, and the buffers in it
/// are `whose`.
///
/// # Errors
/// `CorruptError` for what no codec wrote; what unpickling raises; `LoadError` for want of memory.
pub fn decode<'py>(
    py: Python<'py>,
    kind: u8,
    source: impl Source,
    whose: Buffers,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    decode_any(py, kind, source, whose, links).or_else(|error| failure::decoding(py, error))
}

fn decode_any<'py>(
    py: Python<'py>,
    kind: u8,
    source: impl Source,
    whose: Buffers,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let (main, buffers) = match kind {
        KIND_PICKLE => {
            let length = source.length();
            let main = create::bytes(py, length, |to| source.copy(py, 0, to))?;
            (main, None)
        }
        KIND_PICKLE_BUFFERS => {
            let pieces = pieces(py, &source)?;
            let (start, length) = pieces.main;
            let main = create::bytes(py, length, |to| source.copy(py, start, to))?;
            (main, Some(pickle::buffers(py, &pieces, whose)?))
        }
        _ => return decode_plain(py, kind, &source, links),
    };
    drop(source); // any code may run now, even a fork: nothing of the block is in use
    pickle::load(main, buffers, links)
}

fn decode_plain<'py>(
    py: Python<'py>,
    kind: u8,
    source: &dyn Source,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let length = source.length();
    let whole = || settle(py, source, 0, length);
    let fill = |to: &mut [u8]| source.copy(py, 0, to);
    let text = |tag| {
        create::text(py, tag, length, fill)?
            .ok_or_else(|| corrupt(py, format!("a stored text is not of its kind, {kind}")))
    };
    match kind {
        KIND_FLOAT => match whole()?.as_ref().try_into() {
            Ok(bits) => create::float(py, f64::from_ne_bytes(bits)),
            Err(_) => Err(corrupt(py, format!("a stored float of {length} bytes"))),
        },
        KIND_ASCII => text(tag::ASCII),
        KIND_LATIN => text(tag::LATIN),
        KIND_WIDE_2 => text(tag::WIDE_2),
        KIND_WIDE_4 => text(tag::WIDE_4),
        KIND_BYTES => create::bytes(py, length, fill),
        KIND_BYTEARRAY => create::bytearray(py, length, fill),
        KIND_INTEGER => integer::from_bytes(py, &whole()?),
        KIND_NATIVE => native(py, &whole()?, None, links),
        KIND_NATIVE_BUFFERS => {
            let pieces = pieces(py, source)?;
            let (start, length) = pieces.main;
            let main = settle(py, source, start, length)?;
            native(py, &main, Some(pieces), links)
        }
        _ => Err(corrupt(
            py,
            format!("a stored block of kind {kind}, {length} bytes"),
        )),
    }
}

fn native<'py>(
    py: Python<'py>,
    bytes: &[u8],
    pieces: Option<Pieces>,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    Reader::new(py, bytes, pieces, links)
        .read()
        .map_err(|error| {
            error.unwrap_or_else(|what| corrupt(py, format!("a stored value: {what}")))
        })
}

fn pieces<'a>(py: Python<'_>, source: &'a dyn Source) -> PyResult<Pieces<'a>> {
    Pieces::split(py, source)?
        .ok_or_else(|| corrupt(py, "a stored value's buffers reach beyond it".into()))
}
