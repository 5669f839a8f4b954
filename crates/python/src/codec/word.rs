//! Objects that are a word by themselves.
//!
//! A float has its sign and the top of its exponent, `s e10 e9 e8 e7`, rotated to the low end. In
//! floats of ordinary size, from 2^-127 to 2^128, `e9 e8 e7` all differ from `e10`, so that they can
//! make room for the tag.

use super::create;
use super::object::{self, Class, Object};
use courtyard_core::object::TAG_MASK;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

const INTEGER: u64 = 1;
const SPECIAL: u64 = 2;
const TEXT: u64 = 3;
const BYTES: u64 = 4;
const FLOAT: u64 = 5;

/// What a new value holds.
pub const NONE: u64 = SPECIAL;
const FALSE: u64 = SPECIAL | 1 << 3;
const TRUE: u64 = SPECIAL | 2 << 3;
/// Floats that have no ordinary size, from here on.
const FLOATS: u64 = 3;
const NAN: f64 = f64::from_bits(0x7FF8_0000_0000_0000); // Python's; others keep their payload
const SPECIAL_FLOATS: [f64; 5] = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, NAN];

/// Bytes that fit into a word beside its tag and their count.
const INLINE: usize = 7;

fn inline(tag: u64, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word[1..].iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word) | (bytes.len() as u64) << 3 | tag
}

fn of_float(number: f64) -> Option<u64> {
    let turned = number.to_bits().rotate_left(5);
    let expected = if turned & 8 == 0 { 7 } else { 0 };
    if turned & 7 == expected {
        return Some(turned & !7 | FLOAT);
    }
    let is_same = |special: &f64| special.to_bits() == number.to_bits();
    let index = SPECIAL_FLOATS.iter().position(is_same)?;
    Some(SPECIAL | (FLOATS + index as u64) << 3)
}

fn to_float(word: u64) -> f64 {
    let middle = if word & 8 == 0 { 7 } else { 0 };
    f64::from_bits((word & !7 | middle).rotate_right(5))
}

/// The object as a word, if it fits one.
#[inline]
pub fn encode(value: Object, class: Class) -> Option<u64> {
    match class {
        Class::None => Some(NONE),
        Class::Bool => Some(if object::is_true(value) { TRUE } else { FALSE }),
        Class::Int => {
            let number = object::integer(value)?;
            (number << 3 >> 3 == number).then_some((number as u64) << 3 | INTEGER)
        }
        Class::Float => of_float(object::float(value)),
        Class::Text => {
            let text = object::text(value)?;
            if text.is_ascii {
                return (text.units.len() <= INLINE).then(|| inline(TEXT, text.units));
            }
            if text.units.len() > INLINE * text.width {
                return None;
            }
            let text = value.cast::<PyString>().ok()?;
            let bytes = text.to_str().ok()?; // not with surrogates
            (bytes.len() <= INLINE).then(|| inline(TEXT, bytes.as_bytes()))
        }
        Class::Bytes => {
            let bytes = object::bytes(value);
            (bytes.len() <= INLINE).then(|| inline(BYTES, bytes))
        }
        _ => None,
    }
}

/// The word of an integer that is that much more than a word's. None: it is no integer, or the sum
/// does not fit one.
#[inline(always)]
pub fn add(word: u64, step: i64) -> Option<u64> {
    let sum = (word as i64 >> 3).checked_add(step)?;
    (word & TAG_MASK == INTEGER && sum << 3 >> 3 == sum).then_some((sum as u64) << 3 | INTEGER)
}

/// The word of what an integer's word adds, or, `negative`, takes off. None: it is no integer.
#[inline(always)]
pub fn step(word: u64, negative: bool) -> Option<u64> {
    let number = word as i64 >> 3;
    add(INTEGER, if negative { -number } else { number }).filter(|_| word & TAG_MASK == INTEGER)
}

/// As `add`, of two words.
#[inline(always)]
pub fn sum(word: u64, step: u64) -> Option<u64> {
    add(word, step as i64 >> 3).filter(|_| step & TAG_MASK == INTEGER)
}

/// The object that a word stands for. None: no word of ours.
///
/// # Errors
/// `MemoryError`.
#[inline]
pub fn decode(py: Python<'_>, word: u64) -> PyResult<Option<Bound<'_, PyAny>>> {
    let bytes = word.to_le_bytes();
    let short = bytes[1..].get(..(word >> 3 & 31) as usize);
    Ok(match (word & TAG_MASK, short) {
        (INTEGER, _) => Some(create::integer(py, word as i64 >> 3)?),
        (FLOAT, _) => Some(create::float(py, to_float(word))?),
        (SPECIAL, _) => match word {
            NONE => Some(py.None().into_bound(py)),
            FALSE | TRUE => Some(PyBool::new(py, word == TRUE).to_owned().into_any()),
            _ => usize::try_from((word >> 3).wrapping_sub(FLOATS))
                .ok()
                .and_then(|index| SPECIAL_FLOATS.get(index))
                .map(|&number| create::float(py, number))
                .transpose()?,
        },
        (TEXT, Some(short)) => match std::str::from_utf8(short) {
            Ok(_) => {
                let (start, length) = (short.as_ptr().cast(), short.len() as ffi::Py_ssize_t);
                // SAFETY: valid UTF-8 of this length.
                let text = unsafe { ffi::PyUnicode_DecodeUTF8(start, length, c"strict".as_ptr()) };
                // SAFETY: a new reference, or null with an exception.
                Some(unsafe { Bound::from_owned_ptr_or_err(py, text) }?)
            }
            Err(_) => None,
        },
        (BYTES, Some(short)) => Some(create::bytes(py, short.len(), |to| {
            to.copy_from_slice(short)
        })?),
        _ => None,
    })
}
