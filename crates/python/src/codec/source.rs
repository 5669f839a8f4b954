//! Where encoded bytes are read from.

use crate::room;
use pyo3::prelude::*;
use std::borrow::Cow;

/// Whose the buffers of a decoded value are: those of NumPy arrays, of DataFrames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Buffers {
    /// The caller's: copied into memory of its own, which may be written to.
    Own,
    /// Read-only, of whatever size: views of the payload where the source has some to give, else
    /// copies.
    Shown,
}

impl Buffers {
    /// As the argument `copy` of those who read asks for.
    pub fn copied(copy: bool) -> Buffers {
        if copy { Buffers::Own } else { Buffers::Shown }
    }
}

/// A payload: in memory of our own, or in a block that peers may write to. What is read from a
/// block is copied out first, once, and only the copy is believed.
pub trait Source {
    fn length(&self) -> usize;

    /// The payload, if nobody else can write to it.
    fn private(&self) -> Option<&[u8]> {
        None
    }

    /// Copies bytes out. `offset` is a multiple of 64, and all of it lies in the payload.
    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]);

    /// An object with a read-only buffer of these bytes where they are, which keeps them alive;
    /// None: they have to be copied.
    ///
    /// # Errors
    /// `MemoryError`.
    fn view<'py>(
        &self,
        _py: Python<'py>,
        _offset: usize,
        _length: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(None)
    }
}

impl Source for &[u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn private(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn copy(&self, _py: Python<'_>, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self[offset..offset + to.len()]);
    }
}

/// Bytes of the payload that nobody changes any more.
///
/// # Errors
/// `MemoryError`.
pub fn settle<'a>(
    py: Python<'_>,
    source: &'a dyn Source,
    offset: usize,
    length: usize,
) -> PyResult<Cow<'a, [u8]>> {
    if let Some(bytes) = source.private() {
        return Ok(Cow::Borrowed(&bytes[offset..offset + length]));
    }
    let mut bytes = room::bytes(length)?;
    source.copy(py, offset, &mut bytes);
    Ok(Cow::Owned(bytes))
}
