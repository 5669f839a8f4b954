//! What a key is written as.

use courtyard_core::table::Key;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What is known of an object as a key.
pub struct Identity<'a> {
    pub key: Key<'a>,
    /// Whether decoding the key gives this very object back, its type included.
    pub is_exact: bool,
    /// Whether there is no pickle in it: a pickle may be another one next time.
    pub is_plain: bool,
}

pub const NONE: u8 = 1;
pub const ASCII: u8 = 2;
pub const LATIN: u8 = 3;
pub const WIDE_2: u8 = 4;
pub const WIDE_4: u8 = 5;
pub const BYTES: u8 = 6;
pub const INTEGER: u8 = 7;
pub const FLOAT: u8 = 8;
pub const COMPLEX: u8 = 9;
pub const TUPLE: u8 = 10;
pub const FROZENSET: u8 = 11;
pub const PICKLE: u8 = 12;

/// Whether decoding a key of this tag may run code, and so fail: tuples may have pickles in them.
pub fn may_fail(tag: u8) -> bool {
    matches!(tag, PICKLE | TUPLE | FROZENSET)
}

/// Tuples and frozensets inside one another; what is deeper is pickled.
pub const DEPTH: u32 = 100;

/// Bytes of the longest key.
pub const LONGEST: usize = 64 << 20;

#[cold]
pub fn too_long() -> PyErr {
    PyValueError::new_err(
        "a key of more than 64 MiB: keys are kept whole and compared byte by byte",
    )
}
