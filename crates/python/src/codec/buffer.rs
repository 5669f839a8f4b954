//! Memory of Python's objects on its way into a block, each piece copied once.
//!
//! A payload of several pieces: words (the length of the main piece, how many buffers follow, and of
//! each its length with the top bit set if it may be written to), the main piece, the buffers. Each
//! starts at a multiple of 64 bytes, so that arrays find their alignment.

use super::source::{Source, settle};
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
    pub fn new(main: &[u8], buffers: &[Piece]) -> Layout {
        let mut head: Vec<u8> = [main.len() as u64, buffers.len() as u64]
            .into_iter()
            .chain(buffers.iter().map(Piece::word))
            .flat_map(u64::to_ne_bytes)
            .collect();
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        let tail = |piece: &[u8]| {
            let mut tail = piece.as_chunks::<8>().1.to_vec();
            tail.resize(
                tail.len() + piece.len().next_multiple_of(ALIGNMENT) - piece.len(),
                0,
            );
            tail
        };
        let pieces = buffers.iter().map(|buffer| tail(buffer.bytes()));
        let tails = std::iter::once(tail(main)).chain(pieces).collect();
        Layout { head, tails }
    }

    /// The payload in parts, to be copied one after another; each but the last is whole words.
    pub fn parts<'a>(&'a self, main: &'a [u8], buffers: &'a [Piece]) -> Vec<&'a [u8]> {
        let pieces = std::iter::once(main).chain(buffers.iter().map(Piece::bytes));
        let whole = |piece: &'a [u8]| piece.as_chunks::<8>().0.as_flattened();
        let mut parts = vec![self.head.as_slice()];
        for (piece, tail) in pieces.zip(&self.tails) {
            parts.extend([whole(piece), tail.as_slice()]);
        }
        parts.retain(|part| !part.is_empty());
        parts
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
    pub fn split(py: Python<'_>, source: &'a dyn Source) -> Option<Pieces<'a>> {
        let length = source.length();
        let within = |end: usize| (end <= length).then_some(end);
        let mut first = [0; 16];
        within(first.len())?;
        source.copy(py, 0, &mut first);
        let [main, count] = words(&first)[..] else {
            return None;
        };
        let end = usize::try_from(count)
            .ok()?
            .checked_add(2)?
            .checked_mul(8)?;
        let head = settle(py, source, 0, within(end)?);
        let place = |end: usize, length: u64| {
            let start = end.checked_next_multiple_of(ALIGNMENT)?;
            let length = usize::try_from(length).ok()?;
            Some((start, within(start.checked_add(length)?)?))
        };
        let (start, mut end) = place(end, main)?;
        let main = (start, end - start);
        let mut buffers = Vec::with_capacity(count as usize);
        for word in words(&head[16..]) {
            let (start, next) = place(end, word & !WRITABLE)?;
            buffers.push((start, word));
            end = next;
        }
        Some(Pieces {
            source,
            main,
            buffers,
        })
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.as_chunks::<8>().0;
    words.iter().copied().map(u64::from_ne_bytes).collect()
}
