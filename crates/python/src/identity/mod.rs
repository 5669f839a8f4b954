//! Which key a Python object is: two objects are the same key if tag and bytes are equal.
//!
//! | tag        | bytes                                                                           |
//! | ---------- | ------------------------------------------------------------------------------- |
//! | none       | nothing                                                                         |
//! | text       | its units, of the width that the tag says: equal texts have equal widths        |
//! | bytes      | themselves                                                                      |
//! | integer    | two's complement, lowest byte first: 8, or more if need be                      |
//! | float      | 8 bytes; not for whole numbers, which are integers: `1 == 1.0 == True`          |
//! | complex    | both parts as floats; not for those that are real                               |
//! | tuple      | count, so many items                                                            |
//! | frozenset  | count, so many items, sorted by their bytes                                     |
//! | pickle     | what pickle makes of any other object                                           |
//!
//! An item is a tag and its bytes, behind their length where they don't begin with a count. Lengths
//! and counts are written as in the codec. Subclasses of these types that compare and hash as their
//! base does (`IntEnum`, named tuples) are the same key as their base would be.
//!
//! Pickled keys are the same if their pickles are. So a `Decimal` or a `Fraction` is not the same
//! key as the number that it equals, and an object whose state is in no fixed order (a set of texts)
//! may not be found again. Which of its parts are the same object makes no difference.

mod decode;
mod encode;
mod hook;
mod pickle;

pub use decode::decode;
pub use encode::{original, text_key, with_flat_key, with_key, with_known_key};
pub use hook::{_key_decode, _key_encode};

use courtyard_core::table::Key;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What is known of an object as a key.
pub struct Identity<'a> {
    pub key: Key<'a>,
    /// Whether decoding the key gives this very object back, its type included.
    pub is_exact: bool,
    /// Whether there is no pickle in it: a pickle may be another one next time.
    is_plain: bool,
}

const NONE: u8 = 1;
const ASCII: u8 = 2;
const LATIN: u8 = 3;
const WIDE_2: u8 = 4;
const WIDE_4: u8 = 5;
const BYTES: u8 = 6;
const INTEGER: u8 = 7;
const FLOAT: u8 = 8;
const COMPLEX: u8 = 9;
const TUPLE: u8 = 10;
const FROZENSET: u8 = 11;
const PICKLE: u8 = 12;

/// Whether decoding a key of this tag may run code, and so fail: tuples may have pickles in them.
pub fn may_fail(tag: u8) -> bool {
    matches!(tag, PICKLE | TUPLE | FROZENSET)
}

/// Tuples and frozensets inside one another; what is deeper is pickled.
const DEPTH: u32 = 100;

/// Bytes of the longest key.
const LONGEST: usize = 64 << 20;

#[cold]
fn too_long() -> PyErr {
    PyValueError::new_err(
        "a key of more than 64 MiB: keys are kept whole and compared byte by byte",
    )
}
