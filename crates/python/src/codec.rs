//! Python objects as stored values: a word, or bytes with a kind that says how to read them.

use crate::error::{copying, named};
use courtyard_core::cell::{Fresh, Stored, TAG_MASK};
use courtyard_core::participant::Participant;
use courtyard_core::space::Space;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use std::cell::Cell;

const INTEGER: u64 = 1;
const SPECIAL: u64 = 2;
const TEXT: u64 = 3;
const BYTES: u64 = 4;
/// What a new value holds.
pub const NONE: u64 = SPECIAL;
const FALSE: u64 = SPECIAL | 1 << 3;
const TRUE: u64 = SPECIAL | 2 << 3;

const KIND_FLOAT: u8 = 16;
const KIND_TEXT: u8 = 17;
const KIND_BYTES: u8 = 18;
const KIND_PICKLE: u8 = 19;

/// Bytes that fit into a word beside its tag and their count.
const INLINE: usize = 7;

thread_local! {
    /// Set while this thread pickles an object to store it.
    static STORING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is pickling a value to be stored, where a handle cannot go yet.
pub fn is_storing() -> bool {
    STORING.get()
}

fn inline(tag: u64, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[1..=bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word) | (bytes.len() as u64) << 3 | tag
}

fn outline(word: u64) -> ([u8; 8], usize) {
    (word.to_le_bytes(), (word >> 3 & 7) as usize)
}

/// The object as a word, if it fits one.
fn word_of(value: &Bound<'_, PyAny>) -> Option<u64> {
    if value.is_none() {
        return Some(NONE);
    }
    if value.is_exact_instance_of::<PyBool>() {
        return Some(if value.is_truthy().unwrap_or(false) {
            TRUE
        } else {
            FALSE
        });
    }
    if value.is_exact_instance_of::<PyInt>() {
        let number = value.extract::<i64>().ok()?;
        return (number << 3 >> 3 == number).then_some((number as u64) << 3 | INTEGER);
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        let bytes = text.to_str().ok()?.as_bytes();
        return (bytes.len() <= INLINE).then(|| inline(TEXT, bytes));
    }
    let bytes = value.cast_exact::<PyBytes>().ok()?.as_bytes();
    (bytes.len() <= INLINE).then(|| inline(BYTES, bytes))
}

/// Encodes an object, into a block of its own if it needs one.
///
/// # Errors
/// What pickling raises; `SpaceFull`.
pub fn encode(
    value: &Bound<'_, PyAny>,
    space: &'static Space,
    participant: &'static Participant,
) -> PyResult<Fresh<'static>> {
    let py = value.py();
    let block = |kind: u8, bytes: &[u8]| {
        copying(py, bytes.len() as u64, |patience| {
            courtyard_core::cell::prepare(space, participant, patience, kind, &[bytes])
        })
    };
    if let Some(word) = word_of(value) {
        return Ok(Fresh::Word(word));
    }
    if value.is_exact_instance_of::<PyFloat>() {
        return block(KIND_FLOAT, &value.extract::<f64>()?.to_ne_bytes());
    }
    if let Ok(text) = value.cast_exact::<PyString>()
        && let Ok(text) = text.to_str()
    {
        return block(KIND_TEXT, text.as_bytes());
    }
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return block(KIND_BYTES, bytes.as_bytes());
    }
    let before = STORING.replace(true);
    let pickled = py
        .import("pickle")
        .and_then(|pickle| pickle.call_method1("dumps", (value, 5)));
    STORING.set(before);
    block(KIND_PICKLE, pickled?.cast::<PyBytes>()?.as_bytes())
}

/// Decodes what was read.
///
/// # Errors
/// `CorruptError` for what no codec wrote; what unpickling raises.
pub fn decode(py: Python<'_>, stored: Stored) -> PyResult<Py<PyAny>> {
    let corrupt = |what: String| Err(named(py, "CorruptError", what));
    match stored {
        Stored::Word(NONE) => Ok(py.None()),
        Stored::Word(word @ (TRUE | FALSE)) => {
            Ok(PyBool::new(py, word == TRUE).to_owned().into_any().unbind())
        }
        Stored::Word(word) => match word & TAG_MASK {
            INTEGER => Ok((word as i64 >> 3).into_pyobject(py)?.into_any().unbind()),
            TEXT => {
                let (bytes, length) = outline(word);
                match std::str::from_utf8(&bytes[1..=length.min(INLINE)]) {
                    Ok(text) => Ok(PyString::new(py, text).into_any().unbind()),
                    Err(_) => corrupt(format!("the stored word {word:#x} is no text")),
                }
            }
            BYTES => {
                let (bytes, length) = outline(word);
                Ok(PyBytes::new(py, &bytes[1..=length.min(INLINE)])
                    .into_any()
                    .unbind())
            }
            _ => corrupt(format!("the stored word {word:#x} has no meaning")),
        },
        Stored::Bytes(KIND_FLOAT, bytes) if bytes.len() == 8 => {
            let bits = bytes
                .as_slice()
                .try_into()
                .map(f64::from_ne_bytes)
                .unwrap_or(f64::NAN);
            Ok(PyFloat::new(py, bits).into_any().unbind())
        }
        Stored::Bytes(KIND_TEXT, bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any().unbind()),
            Err(_) => corrupt("a stored text is not UTF-8".into()),
        },
        Stored::Bytes(KIND_BYTES, bytes) => Ok(PyBytes::new(py, &bytes).into_any().unbind()),
        Stored::Bytes(KIND_PICKLE, bytes) => {
            let loads = py.import("pickle")?.getattr("loads")?;
            Ok(loads.call1((PyBytes::new(py, &bytes),))?.unbind())
        }
        Stored::Bytes(kind, bytes) => corrupt(format!(
            "a stored block of kind {kind} with {} bytes",
            bytes.len()
        )),
    }
}

/// Whether two objects are equal, as Python has it.
///
/// # Errors
/// What the comparison raises.
pub fn equal(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> PyResult<bool> {
    // SAFETY: both are alive and the GIL is held. Identity counts, as in a list.
    match unsafe { ffi::PyObject_RichCompareBool(left.as_ptr(), right.as_ptr(), ffi::Py_EQ) } {
        -1 => Err(PyErr::fetch(left.py())),
        result => Ok(result == 1),
    }
}

/// What a handle raises when it is pickled into a stored value.
pub fn refuse_handle(py: Python<'_>) -> PyErr {
    named(
        py,
        "CourtyardError",
        "a courtyard object cannot be kept inside Value(object): nothing would keep it alive; \
         hold it in a variable, or pass it as an argument"
            .into(),
    )
}
