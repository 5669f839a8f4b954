//! Keys by themselves, for their tests: they look at what is written, and read what was spoilt.

use super::decode::decode;
use super::encode::{original, with_key};
use crate::room;
use courtyard_core::table::Key;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

type Written<'py> = (u8, Bound<'py, PyBytes>);

/// (tag, bytes, original); the original is None, or a kind and a payload.
#[pyfunction]
pub fn _key_encode<'py>(
    key: &Bound<'py, PyAny>,
) -> PyResult<(u8, Bound<'py, PyBytes>, Option<Written<'py>>)> {
    let py = key.py();
    with_key(key, |identity| {
        let original = original(key, &identity)?;
        let original = original
            .map(|(kind, payload)| Ok::<_, PyErr>((kind, room::python_bytes(py, &payload)?)))
            .transpose()?;
        let Key { tag, bytes } = identity.key;
        Ok((tag, room::python_bytes(py, bytes)?, original))
    })
}

/// The key that `_key_encode` encoded.
#[pyfunction]
#[pyo3(signature = (tag, content, original = None))]
pub fn _key_decode<'py>(
    tag: u8,
    content: &Bound<'py, PyBytes>,
    original: Option<Written<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = content.as_bytes();
    let original = original.as_ref();
    let original = original.map(|(kind, payload)| (*kind, payload.as_bytes()));
    decode(content.py(), Key { tag, bytes }, original)
}
