//! What a name says of its object: a plain tuple.

use crate::codec::{self, Buffers, Encoded, Links};
use crate::error::named;
use crate::room;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// What a description is encoded as, and back: a plain tuple.
pub fn describe(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match codec::encode(value, Links::Refuse)? {
        Encoded::Block(block) if !codec::is_pickle(block.kind) => block.with_parts(|parts, _| {
            let mut bytes = room::copy(&[block.kind])?;
            for part in parts {
                room::append(&mut bytes, part)?;
            }
            Ok(bytes)
        }),
        _ => Err(PyTypeError::new_err(format!(
            "a description is a tuple of plain values, found {value:?}"
        ))),
    }
}

/// The plain tuple.
///
/// # Errors
/// `CorruptError` if it is none.
pub fn described<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match bytes.split_first() {
        Some((&kind, payload)) if !codec::is_pickle(kind) => {
            codec::decode(py, kind, payload, Buffers::Own, &[])
        }
        _ => Err(named(
            py,
            "CorruptError",
            "a name's description is no plain value".into(),
        )),
    }
}
