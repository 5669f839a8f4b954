//! The kinds of blocks.

use crate::error::named;
use pyo3::prelude::*;

/// The kind of a block with links to courtyard objects (`value::reference`).
pub const LINKED: u8 = courtyard_core::layout::kind::LINKED as u8;

pub const KIND_FLOAT: u8 = 16;
pub const KIND_ASCII: u8 = 17;
pub const KIND_LATIN: u8 = 18;
pub const KIND_WIDE_2: u8 = 19;
pub const KIND_WIDE_4: u8 = 20;
pub const KIND_BYTES: u8 = 21;
pub const KIND_BYTEARRAY: u8 = 22;
pub const KIND_INTEGER: u8 = 23;
pub const KIND_NATIVE: u8 = 24;
pub const KIND_NATIVE_BUFFERS: u8 = 25;
pub const KIND_PICKLE: u8 = 26;
pub const KIND_PICKLE_BUFFERS: u8 = 27;

/// Whether a payload of this kind runs code when it is decoded.
pub fn is_pickle(kind: u8) -> bool {
    matches!(kind, KIND_PICKLE | KIND_PICKLE_BUFFERS)
}

/// Whether decoding a payload of this kind runs code, and so may fail: of the codec's own kinds.
pub fn may_fail(kind: u8) -> bool {
    is_pickle(kind) || kind == LINKED
}

/// What is raised for what no codec wrote.
pub fn corrupt(py: Python<'_>, what: String) -> PyErr {
    named(py, "CorruptError", what)
}
