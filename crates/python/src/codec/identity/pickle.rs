//! Pickles as keys: of their objects' content alone.

use super::form::{LONGEST, too_long};
use crate::codec::pickler::{Pickler, Refuse};
use crate::policy;
use crate::room;
use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::prelude::*;

/// # Errors
/// What pickling raises; `ValueError` for what is too long.
pub fn dump(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let py = value.py();
    policy::require(py)?;
    // An object met twice is written twice: equal keys may or may not share their parts, as texts
    // that are literals do. What contains itself, or too much of the same, needs references.
    match dump_as(value, true) {
        Err(error) if needs_references(py, &error) => dump_as(value, false),
        result => result,
    }
}

/// Whether the pickler itself gave up: no Python code was running, as it is where an object's own raises.
fn needs_references(py: Python<'_>, error: &PyErr) -> bool {
    let is_one =
        error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyRecursionError>(py);
    is_one && error.traceback(py).is_none()
}

fn dump_as(value: &Bound<'_, PyAny>, is_fast: bool) -> PyResult<Vec<u8>> {
    let pickler = Pickler::bounded(value.py(), Refuse, LONGEST, too_long)?;
    pickler.set_fast(is_fast)?; // as Python calls it to go without references
    with_one_main(room::copy(pickler.dump(value)?.as_bytes())?)
}

/// The main script's module, as a pickle names it in the process that it was started in, and in
/// children that multiprocessing spawned.
const MAIN: &[u8] = b"\x8c\x08__main__";
const SPAWNED_MAIN: &[u8] = b"\x8c\x0b__mp_main__";
/// Protocol 5, then the length of the one frame that all the rest is in.
const HEAD: usize = 11;

/// Has a pickle name what the main script defines as its own process does: a class of it is
/// one class, and so its instances are the same keys in a spawned child.
fn with_one_main(pickle: Vec<u8>) -> PyResult<Vec<u8>> {
    let is_here = |bytes: &[u8]| {
        let rest = bytes.strip_prefix(SPAWNED_MAIN);
        rest.is_some_and(is_name_of_global)
    };
    let Some((head, frame)) = pickle.split_at_checked(HEAD) else {
        return Ok(pickle);
    };
    let length = &(frame.len() as u64).to_le_bytes();
    if !head.ends_with(length) || !(0..frame.len()).any(|at| is_here(&frame[at..])) {
        return Ok(pickle);
    }
    let (mut renamed, mut at) = (room::vector(frame.len())?, 0);
    while at < frame.len() {
        if is_here(&frame[at..]) {
            renamed.extend_from_slice(MAIN);
            at += SPAWNED_MAIN.len();
        } else {
            renamed.push(frame[at]);
            at += 1;
        }
    }
    let length = (renamed.len() as u64).to_le_bytes();
    room::concat(&[&head[..HEAD - length.len()], &length, &renamed])
}

/// Whether a short text and the opcode that looks it up in a module follow: what is before is
/// the module, not a text that happens to be the same.
fn is_name_of_global(bytes: &[u8]) -> bool {
    const TEXT: u8 = 0x8c;
    const MEMOIZE: u8 = 0x94;
    const STACK_GLOBAL: u8 = 0x93;
    let after_memo = |bytes: &[u8]| usize::from(bytes.first() == Some(&MEMOIZE));
    let bytes = &bytes[after_memo(bytes)..];
    let [TEXT, length, rest @ ..] = bytes else {
        return false;
    };
    let Some(rest) = rest.get(usize::from(*length)..) else {
        return false;
    };
    rest.get(after_memo(rest)) == Some(&STACK_GLOBAL)
}
