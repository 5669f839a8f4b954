//! Memory of Python's objects on its way into a block, each piece copied once.
//!
//! A payload of several pieces: words (the length of the main piece, how many buffers follow, and of
//! each its length with the top bit set if it may be written to), the main piece, the buffers. Each
//! starts at a multiple of 64 bytes, so that arrays find their alignment.

use super::source::{Source, settle};
use crate::room;
use pyo3::ffi;
use pyo3::prelude::*;

/// Where pieces start: the line of a cache, and what the strictest instruction asks for.
const ALIGNMENT: usize = 64;
pub const WRITABLE: u64 = 1 << 63;

/// An object's buffer, held: its memory neither moves nor ends.
pub struct View<'py> {
    // Boxed, because views may point into themselves.
    view: Box<ffi::Py_buffer>,
    _py: Python<'py>,
}

impl<'py> View<'py> {
    /// # Errors
    /// What the exporter raises; `BufferError` if its memory is not of one piece.
    pub fn new(object: &Bound<'py, PyAny>) -> PyResult<View<'py>> {
        let py = object.py();
        let mut view = Box::new(ffi::Py_buffer::new());
        let flags = ffi::PyBUF_FULL_RO;
        // SAFETY: alive; `view` is released by `drop`, once it was filled.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *view, flags) } != 0 {
            return Err(PyErr::fetch(py));
        }
        let view = View { view, _py: py };
        // SAFETY: filled above.
        if unsafe { ffi::PyBuffer_IsContiguous(&*view.view, b'A' as _) } == 0 {
            let message = "a buffer with gaps cannot be stored; copy it first";
            return Err(pyo3::exceptions::PyBufferError::new_err(message));
        }
        Ok(view)
    }

    /// Whether its elements lie in C's order.
    pub fn is_in_order(&self) -> bool {
        // SAFETY: filled by `new`.
        unsafe { ffi::PyBuffer_IsContiguous(&*self.view, b'C' as _) != 0 }
    }

    /// The same, as if its memory might be written to: who loads a copy of it may.
    pub fn lent(mut self) -> View<'py> {
        self.view.readonly = 0;
        self
    }

    pub fn is_writable(&self) -> bool {
        self.view.readonly == 0
    }

    pub fn bytes(&self) -> &[u8] {
        if self.view.len == 0 {
            return &[];
        }
        // SAFETY: the exporter keeps these bytes in place while the view is held. Other threads may
        // write them while they are copied without the GIL, as with any copy of an array.
        unsafe { std::slice::from_raw_parts(self.view.buf.cast(), self.view.len as usize) }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by `new`, released once.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) };
    }
}

/// What is copied from where it is.
pub enum Piece<'py> {
    /// Memory of an immutable object.
    Object {
        _owner: Bound<'py, PyAny>,
        start: *const u8,
        length: usize,
    },
    View(View<'py>),
}

impl<'py> Piece<'py> {
    /// Bytes that belong to this object and stay as they are as long as it lives.
    pub fn of(object: Bound<'py, PyAny>, bytes: &[u8]) -> Piece<'py> {
        Piece::Object {
            _owner: object,
            start: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            // SAFETY: the object is held, and `of` says the rest.
            Piece::Object { start, length, .. } => unsafe {
                std::slice::from_raw_parts(*start, *length)
            },
            Piece::View(view) => view.bytes(),
        }
    }

    fn word(&self) -> u64 {
        match self {
            Piece::View(view) if view.is_writable() => view.view.len as u64 | WRITABLE,
            piece => piece.bytes().len() as u64,
        }
    }
}

/// Where what lies in a payload, and the bytes between the pieces.
pub struct Layout {
    head: Vec<u8>,
    /// For each piece its last bytes, less than a word, with zeros up to where the next one starts.
    tails: Vec<Vec<u8>>,
}

impl Layout {
    /// # Errors
    /// `MemoryError`.
    pub fn new(main: &[u8], buffers: &[Piece]) -> PyResult<Layout> {
        let length = ((2 + buffers.len()) * size_of::<u64>()).next_multiple_of(ALIGNMENT);
        let mut head = room::vector(length)?;
        let counts = [main.len() as u64, buffers.len() as u64];
        for word in counts.into_iter().chain(buffers.iter().map(Piece::word)) {
            head.extend_from_slice(&word.to_ne_bytes());
        }
        head.resize(length, 0);
        let tail = |piece: &[u8]| {
            let mut tail = piece.as_chunks::<8>().1.to_vec();
            tail.resize(
                tail.len() + piece.len().next_multiple_of(ALIGNMENT) - piece.len(),
                0,
            );
            tail
        };
        let pieces = buffers.iter().map(|buffer| tail(buffer.bytes()));
        let tails = room::collect(std::iter::once(tail(main)).chain(pieces))?;
        Ok(Layout { head, tails })
    }

    /// The payload in parts, to be copied one after another; each but the last is whole words.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn parts<'a>(&'a self, main: &'a [u8], buffers: &'a [Piece]) -> PyResult<Vec<&'a [u8]>> {
        let pieces = std::iter::once(main).chain(buffers.iter().map(Piece::bytes));
        let whole = |piece: &'a [u8]| piece.as_chunks::<8>().0.as_flattened();
        let mut parts = room::vector(1 + 2 * self.tails.len())?;
        parts.push(self.head.as_slice());
        for (piece, tail) in pieces.zip(&self.tails) {
            parts.extend([whole(piece), tail.as_slice()]);
        }
        parts.retain(|part| !part.is_empty());
        Ok(parts)
    }
}

/// A payload of several pieces, all of which were found to lie in it.
pub struct Pieces<'a> {
    pub source: &'a dyn Source,
    /// Where the main piece starts, and its length.
    pub main: (usize, usize),
    /// Where each buffer starts, and its word.
    pub buffers: Vec<(usize, u64)>,
}

impl<'a> Pieces<'a> {
    /// None: they do not all lie in the payload.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn split(py: Python<'_>, source: &'a dyn Source) -> PyResult<Option<Pieces<'a>>> {
        let mut first = [0; 16];
        if first.len() > source.length() {
            return Ok(None);
        }
        source.copy(py, 0, &mut first);
        let Some(end) = head_of(&first).filter(|&end| end <= source.length()) else {
            return Ok(None);
        };
        let head = settle(py, source, 0, end)?;
        let mut buffers = room::vector(end / 8 - 2)?;
        let main = place(&head, source.length(), &mut buffers);
        Ok(main.map(|main| Pieces {
            source,
            main,
            buffers,
        }))
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let words = bytes.as_chunks::<8>().0.iter();
    words.copied().map(u64::from_ne_bytes)
}

/// How long the words before the main piece are, as the first two of them say.
fn head_of(first: &[u8]) -> Option<usize> {
    let count = words(first).nth(1)?;
    let words = usize::try_from(count).ok()?.checked_add(2)?;
    words.checked_mul(8)
}

/// Where the main piece is in a payload so long, as the words before it say, and the buffers, for which
/// there is room.
fn place(head: &[u8], all: usize, buffers: &mut Vec<(usize, u64)>) -> Option<(usize, usize)> {
    let place = |end: usize, length: u64| {
        let start = end.checked_next_multiple_of(ALIGNMENT)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= all).then_some((start, end))
    };
    let (start, mut end) = place(head.len(), words(head).next()?)?;
    let main = (start, end - start);
    for word in words(head).skip(2) {
        let (start, next) = place(end, word & !WRITABLE)?;
        buffers.push((start, word));
        end = next;
    }
    Some(main)
}
