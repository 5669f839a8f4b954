//! The codec by itself, for its tests: they look at what is written, and read what was spoilt.

use super::decode::{decode, decode_word};
use super::encode::{Encoded, encode};
use super::link::Links;
use super::pickle;
use super::source::{Buffers, Source};
use crate::room;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

/// Stands for a word, where blocks have their kind.
const WORD: u8 = 0;

/// (kind, payload, courtyard objects); a word has the kind 0.
#[pyfunction]
#[pyo3(signature = (value, keep = false))]
pub fn _encode<'py>(
    value: &Bound<'py, PyAny>,
    keep: bool,
) -> PyResult<(u8, Bound<'py, PyBytes>, Vec<Py<PyAny>>)> {
    let py = value.py();
    let links = if keep { Links::Keep } else { Links::Refuse };
    match encode(value, links)? {
        Encoded::Word(word) => Ok((
            WORD,
            room::python_bytes(py, &word.to_le_bytes())?,
            Vec::new(),
        )),
        Encoded::Block(mut block) => {
            let payload =
                block.with_parts(|parts, _| room::python_bytes(py, &room::concat(parts)?))?;
            Ok((block.kind, payload, std::mem::take(&mut block.links)))
        }
    }
}

/// What `_encode` encoded. With `in_place`, as if it lay in a block that can hand out its buffers.
#[pyfunction]
#[pyo3(signature = (kind, payload, links = Vec::new(), in_place = false))]
pub fn _decode<'py>(
    kind: u8,
    payload: &Bound<'py, PyBytes>,
    links: Vec<Py<PyAny>>,
    in_place: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = payload.py();
    if kind == WORD {
        let bytes = payload.as_bytes().try_into();
        let bytes = bytes.map_err(|_| PyValueError::new_err("a word has 8 bytes"))?;
        return decode_word(py, u64::from_le_bytes(bytes));
    }
    if in_place {
        decode(py, kind, InPlace(payload), Buffers::Shown, &links)
    } else {
        decode(py, kind, payload.as_bytes(), Buffers::Own, &links)
    }
}

struct InPlace<'a, 'py>(&'a Bound<'py, PyBytes>);

impl Source for InPlace<'_, '_> {
    fn length(&self) -> usize {
        self.0.as_bytes().len()
    }

    fn copy(&self, _py: Python<'_>, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.as_bytes()[offset..offset + to.len()]);
    }

    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: usize,
        length: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let payload = self.0.clone().unbind().into_bound(py);
        let view = PyMemoryView::from(&payload)?;
        let range = pyo3::types::PySlice::new(py, offset as isize, (offset + length) as isize, 1);
        view.get_item(range).map(Some)
    }
}

/// Calls `look()` so that nothing is unpickled meanwhile: pickles come as what stands for them.
#[pyfunction]
pub fn peek<'py>(look: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    pickle::looking(|| look.call0())
}
