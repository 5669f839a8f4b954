//! Values that are no single word: ctypes arrays and structures by their bytes, any object by the
//! codec, and how to change either if nothing else did.

use super::state::RawValue;
use crate::codec::{self, Buffers, Encoded, LINKED, Links, Source, failure};
use crate::error::{LONG, changed_inside};
use crate::format::Format;
use crate::object::waiter::Deadline;
use crate::object::{self, This, Use};
use crate::room;
use crate::value::{reference, stored};
use courtyard_core::object::{self as engine, Found, NewValue, Pinned, Stored, Token};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

/// How often a change is tried beside others before these are locked out.
const MAX_ATTEMPTS: u32 = 30;
/// And how often where they cannot be.
pub const MANY: u32 = 100_000;

fn ctypes<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("ctypes")?.getattr(name)
}

/// Whether a ctypes object is an array of characters, which has a text for its value.
fn is_text(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.is_instance(&ctypes(object.py(), "Array")?)? && object.hasattr("value")?)
}

impl This<'_, RawValue> {
    pub fn read_bytes(self, py: Python<'_>, open: &Use<'_>) -> PyResult<Vec<u8>> {
        let mut bytes = room::bytes(self.handle.length as usize)?;
        open.copying(py, self.handle.length, |caller| {
            engine::read_bytes(caller, self.writer(), &mut bytes)
        })?;
        Ok(bytes)
    }

    pub fn write_bytes(
        self,
        py: Python<'_>,
        offset: u64,
        bytes: &[u8],
        expected: Option<&[u8]>,
    ) -> PyResult<bool> {
        let participant = self.handle.open(py)?;
        if offset.saturating_add(bytes.len() as u64) > self.handle.length {
            return Err(PyValueError::new_err("the bytes reach beyond the value"));
        }
        participant.copying(py, bytes.len() as u64, |caller| {
            let writer = self.writer();
            engine::write_bytes(caller, writer, offset, bytes, expected)
        })
    }

    /// The bytes that stand for an object of the declared ctypes type.
    pub fn raw_of(self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let py = value.py();
        let ctype = self.ctype.bind(py);
        if self.format == Format::Chars {
            let bytes = value.cast::<PyBytes>().map_err(|_| {
                PyTypeError::new_err(format!("expected bytes, found {:?}", value.get_type()))
            })?;
            let (bytes, length) = (bytes.as_bytes(), self.handle.length as usize);
            if bytes.len() > length {
                return Err(PyValueError::new_err(format!(
                    "byte string too long: {} bytes for a value of {length}",
                    bytes.len()
                )));
            }
            // As ctypes has it: a NUL after it, and the rest as it was.
            let end: &[u8] = if bytes.len() < length { &[0] } else { &[] };
            return room::concat(&[bytes, end]);
        }
        let made = if value.is_instance(ctype)? {
            value.clone()
        } else if let Ok(fields) = value.cast::<PyTuple>()
            && !ctype
                .cast::<PyType>()?
                .is_subclass(&ctypes(py, "_SimpleCData")?)?
        {
            ctype.call1(fields)?
        } else if value.is_instance_of::<PyString>() && is_text(&ctype.call0()?)? {
            let text = ctype.call0()?;
            text.setattr("value", value)?;
            text
        } else {
            ctype.call1((value,))?
        };
        let bytes = py.get_type::<PyBytes>().call1((made,))?; // by its buffer
        room::copy(bytes.cast::<PyBytes>()?.as_bytes())
    }

    pub fn object_of(self, py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
        if self.format == Format::Chars {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            return Ok(room::python_bytes(py, text)?.into_any().unbind());
        }
        let bytes = room::python_bytes(py, bytes)?;
        let copy = self
            .ctype
            .bind(py)
            .call_method1("from_buffer_copy", (bytes,))?;
        let plain = copy.is_instance(&ctypes(py, "_SimpleCData")?)? || is_text(&copy)?;
        Ok(if plain { copy.getattr("value")? } else { copy }.unbind())
    }

    pub fn load_stored(self, py: Python<'_>) -> PyResult<(Py<PyAny>, Token)> {
        let open = self.handle.open(py)?;
        let loaded = reference::again(py, || self.try_load_stored(py, &open));
        loaded.map_err(|error| failure::of_value(py, error, || self.handle.shown_name(py)))
    }

    /// None: it names courtyard objects and was replaced since; again.
    fn try_load_stored(
        self,
        py: Python<'_>,
        open: &Use<'_>,
    ) -> PyResult<Option<(Py<PyAny>, Token)>> {
        let (space, participant) = (self.handle.space, open.participant);
        let (found, token) = open.waiting(py, |caller| engine::find(caller, self.writer()))?;
        let value = match found {
            Found::Copied(Stored::Word(word)) => Some(codec::decode_word(py, word)?),
            Found::Copied(Stored::Bytes(kind, bytes)) => {
                stored::decode_copied(py, space, participant, Stored::Bytes(kind, &bytes))?
            }
            Found::Pinned(pinned) if pinned.kind == LINKED => {
                // Not in place: loading its objects runs code, perhaps a fork.
                let mut bytes = room::bytes(pinned.length as usize)?;
                pinned.copy_out(0, &mut bytes);
                drop(pinned);
                stored::decode_copied(py, space, participant, Stored::Bytes(LINKED, &bytes))?
            }
            Found::Pinned(pinned) => Some(codec::decode(
                py,
                pinned.kind,
                InPlace(pinned),
                Buffers::Own,
                &[],
            )?),
        };
        Ok(value.map(|value| (value.unbind(), token)))
    }

    pub fn store_stored(self, value: &Bound<'_, PyAny>, expected: Option<Token>) -> PyResult<bool> {
        let py = value.py();
        let participant = self.handle.open(py)?;
        let new_value = match codec::encode(value, Links::Keep)? {
            Encoded::Word(word) => NewValue::Word(word),
            Encoded::Block(block) if !block.links.is_empty() => {
                NewValue::Block(stored::keeping(py, &participant, &block)?)
            }
            Encoded::Block(block) => block.with_parts(|parts, length| {
                participant.copying(py, length, |caller| {
                    engine::prepare(caller, block.kind, parts)
                })
            })?,
        };
        participant.waiting(py, |caller| {
            let writer = self.writer();
            engine::store(caller, writer, &new_value, expected)
        })
    }

    /// Reads, lets `next` say what to store, and stores that if nothing changed meanwhile; else
    /// again. None from `next`: store nothing. Returns what was read last. In the end with others locked
    /// out, where there is a lock for it.
    ///
    /// # Errors
    /// What `next` and storing raise; `RuntimeError` if `next` itself changes the value.
    pub fn update<'py>(
        self,
        py: Python<'py>,
        mut next: impl FnMut(&Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut attempt = || {
            let (value, done);
            if self.is_scalar() {
                let _open = self.handle.open(py)?;
                let bits = self.load_bits();
                value = self.format.decode(py, bits)?.into_bound(py);
                done = match next(&value)? {
                    None => true,
                    Some(new) => self.exchange_bits(py, bits, self.format.encode(&new)?)?,
                };
            } else if self.format == Format::Stored {
                let (loaded, token) = self.load_stored(py)?;
                value = loaded.into_bound(py);
                done = match next(&value)? {
                    None => true,
                    Some(new) => self.store_stored(&new, Some(token))?,
                };
            } else {
                let open = self.handle.open(py)?;
                let bytes = self.read_bytes(py, &open)?;
                value = self.object_of(py, &bytes)?.into_bound(py);
                done = match next(&value)? {
                    None => true,
                    Some(new) => self.write_bytes(py, 0, &self.raw_of(&new)?, Some(&bytes))?,
                };
            }
            Ok(done.then_some(value))
        };
        let guarded = self.writer().guarded;
        for _ in 0..if guarded { MAX_ATTEMPTS } else { MANY } {
            if let Some(value) = attempt()? {
                return Ok(value);
            }
        }
        if !guarded {
            return Err(changed_inside("the value"));
        }
        object::acquire(py, self.handle, Some(Deadline::NEVER))?;
        let mut tries = (0..MAX_ATTEMPTS).map(|_| attempt());
        let done = tries.find_map(Result::transpose);
        object::release(py, self.handle)?;
        done.unwrap_or_else(|| Err(changed_inside("the value")))
    }
}

/// A large block, read where it is: each text or bytes is copied once, into the object.
struct InPlace(Pinned<'static>);

impl Source for InPlace {
    fn length(&self) -> usize {
        self.0.length as usize
    }

    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]) {
        if to.len() as u64 >= LONG {
            py.detach(|| self.0.copy_out(offset as u64, to));
        } else {
            self.0.copy_out(offset as u64, to);
        }
    }
}
