//! Integers of more than 64 bits, as two's complement, lowest byte first. By way of hexadecimal
//! digits: that is linear, and the same in all versions of Python.

use super::create;
use super::object::Object;
use crate::room;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// # Errors
/// `MemoryError`.
pub fn bytes(number: Object) -> PyResult<Vec<u8>> {
    // SAFETY: an exact int.
    let digits = unsafe { ffi::PyNumber_ToBase(number.as_ptr(), 16) };
    // SAFETY: a new reference, or null with an exception.
    let digits = unsafe { Bound::from_owned_ptr_or_err(number.py(), digits) }?;
    let digits = digits.cast::<PyString>()?.to_str()?;
    let is_negative = digits.starts_with('-');
    let digits = digits.trim_start_matches('-').trim_start_matches("0x");
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or_default() as u8;
    let pairs = digits.as_bytes().rchunks(2);
    let mut bytes = room::vector(pairs.len() + 1)?;
    bytes.extend(pairs.map(|pair| pair.iter().fold(0, |byte, &digit| byte << 4 | value(digit))));
    bytes.push(0); // the sign
    if is_negative {
        negate(&mut bytes);
    }
    Ok(bytes)
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// # Errors
/// `MemoryError`.
pub fn from_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(bytes) = bytes.try_into() {
        return create::integer(py, i64::from_le_bytes(bytes));
    }
    let is_negative = bytes.last().is_some_and(|&top| top >= 128);
    let mut bytes = room::copy(bytes)?;
    if is_negative {
        negate(&mut bytes); // of the lowest number of all it is that number, unsigned
    }
    let mut digits = room::vector(2 * bytes.len() + 3)?;
    digits.extend_from_slice(if is_negative { b"-0" } else { b"0" });
    for byte in bytes.iter().rev() {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        digits.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    digits.push(0);
    // SAFETY: digits, with a NUL at their end.
    let number =
        unsafe { ffi::PyLong_FromString(digits.as_ptr().cast(), std::ptr::null_mut(), 16) };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, number) }
}
