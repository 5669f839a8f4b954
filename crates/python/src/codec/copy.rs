//! Copies of objects.

use super::decode::decode;
use super::encode::{Encoded, encode, encode_flat};
use super::failure;
use super::link::{Links, is_courtyard};
use super::source::Buffers;
use crate::object::is_immutable;
use crate::room;
use pyo3::prelude::*;

/// A copy of a default, as it would be read back after it was stored; itself if nothing in it can be
/// changed, and a courtyard object, which would be the same one.
///
/// # Errors
/// What pickling it raises, and loading it.
pub fn copy_of_default<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let is_same = encode_flat(value).is_some() || is_courtyard(value.as_borrowed());
    if is_same || is_immutable(value)? {
        return Ok(value.clone());
    }
    let Encoded::Block(block) = encode(value, Links::Keep)? else {
        return Ok(value.clone());
    };
    let bytes = block.with_parts(|parts, _| room::concat(parts))?;
    decode(
        value.py(),
        block.kind,
        bytes.as_slice(),
        Buffers::Own,
        &block.links,
    )
    .map_err(|error| failure::at(value.py(), error, "the default"))
}
