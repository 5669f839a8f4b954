//! Values in containers as Python objects, and Python objects as such values.

use crate::codec::{self, Block, Buffers, Encoded, LINKED, Source};
use crate::error::{LONG, raise};
use crate::object::Use;
use crate::process;
use crate::room;
use crate::value::reference::{self, Foreign, gone};
use courtyard_core::error::Result;
use courtyard_core::link;
use courtyard_core::object::{self, Pinned, Stored};
use courtyard_core::participant::Participant;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Caller, Space};
use courtyard_core::value::{Form, Found, NewValue, SHORT_MOST, Taken, prepare};
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Arc;

thread_local! {
    /// Room to copy a value into; who decodes with it in hand leaves none to who comes meanwhile.
    static BUFFER: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// More than this is given back to the system after use.
const BUFFER_KEPT: usize = 1 << 16;

/// Runs `work` with room to copy a value into.
pub fn with_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = BUFFER.take().unwrap_or_default();
    let result = work(&mut buffer);
    if buffer.capacity() <= BUFFER_KEPT {
        BUFFER.set(Some(buffer));
    }
    result
}

/// Makes an encoded value ready to be stored and runs `work` with it, without the GIL if that copies
/// much.
///
/// # Errors
/// `SpaceFull`; `CourtyardError` for a courtyard object of another space; what `work` fails with.
pub fn with_new<T: Send>(
    py: Python<'_>,
    open: &Use<'_>,
    encoded: Encoded<'_, '_>,
    work: impl FnOnce(Caller<'static, '_>, NewValue<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    match encoded {
        Encoded::Word(word) => open.waiting(py, |caller| work(caller, NewValue::Word(word))),
        Encoded::Block(block) if !block.links.is_empty() => {
            let own = keeping(py, open, &block)?;
            open.waiting(py, |caller| work(caller, NewValue::Block(own)))
        }
        Encoded::Block(block) => block.with_parts(|parts, length| {
            let kind = block.kind;
            open.copying(py, length, |caller| {
                work(caller, prepare(caller, kind, parts)?)
            })
        }),
    }
}

/// Puts an encoded value with links into a block that keeps what it links, with nothing held.
///
/// # Errors
/// `SpaceFull`; `CourtyardError` for a courtyard object of another space.
pub fn keeping(
    py: Python<'_>,
    open: &Use<'_>,
    block: &Block<'_, '_>,
) -> PyResult<PendingBlock<'static>> {
    let link_header = reference::pack(
        py,
        open.handle.space,
        block.kind,
        &block.links,
        Foreign::Refused,
    )?;
    block.with_parts(|parts, length| {
        let all = room::concat(&[&[link_header.bytes.as_slice()], parts])?;
        open.copying(py, length, |caller| {
            link::prepare(caller, &link_header.objects, &all)
        })
    })
}

/// Decodes a value found; short ones are in `buffer`, and its buffers are `whose`. None: it names
/// courtyard objects and was replaced since; find it again.
///
/// # Errors
/// `CorruptError`; what unpickling raises.
pub fn decode<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    found: Found<'static>,
    buffer: &[u8],
    whose: Buffers,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match found {
        Found::Word(word) => codec::decode_word(py, word).map(Some),
        Found::Bytes(kind) => decode_bytes(py, space, participant, kind, buffer, whose),
        Found::Pinned(pinned) => {
            let kind = pinned.kind;
            let held = Arc::new(Held {
                _way: process::Way::new(space),
                space,
                holder: participant,
                pinned: Some(pinned),
            });
            let source = InPlace(held);
            match kind {
                LINKED => reference::unpack(py, space, participant, source, whose, || {}),
                _ => codec::decode(py, kind, source, whose, &[]).map(Some),
            }
        }
    }
}

/// As `decode`, of a value that was copied.
///
/// # Errors
/// As `decode`.
pub fn decode_copied<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    copied: Stored<&[u8]>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match copied {
        Stored::Word(word) => codec::decode_word(py, word).map(Some),
        Stored::Bytes(kind, bytes) => {
            decode_bytes(py, space, participant, kind, bytes, Buffers::Own)
        }
    }
}

fn decode_bytes<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    kind: u8,
    bytes: &[u8],
    whose: Buffers,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match kind {
        LINKED => reference::unpack(py, space, participant, bytes, whose, || {}),
        _ => codec::decode(py, kind, bytes, whose, &[]).map(Some),
    }
}

/// Whether a value may be taken out first and decoded then: that runs no code, and takes little memory. Any
/// other is decoded first, and then taken out if it is still there: so what raises leaves it.
pub fn may_take(form: Form) -> bool {
    form.is_none_or(|(kind, length)| !codec::may_fail(kind) && length <= SHORT_MOST)
}

/// Decodes a value taken out.
///
/// # Errors
/// As `decode`.
pub fn decode_taken<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    taken: Taken<'static>,
) -> PyResult<Bound<'py, PyAny>> {
    match taken {
        Taken::Word(word) => codec::decode_word(py, word),
        Taken::Bytes(kind, bytes) => codec::decode(py, kind, bytes.as_slice(), Buffers::Own, &[]),
        Taken::Pinned(pinned) => {
            let found = decode(
                py,
                space,
                participant,
                Found::Pinned(pinned),
                &[],
                Buffers::Own,
            )?;
            found.ok_or_else(|| gone(py))
        }
        Taken::Block(block) => {
            let segment = &space.segment;
            let (kind, length, payload) =
                object::shape_of(segment, block.block()).map_err(|error| raise(py, error))?;
            let mut bytes = room::bytes(length as usize)?;
            segment.copy_out(payload, &mut bytes);
            if kind == LINKED {
                let release = || drop(block); // it kept its objects until they are ours
                let found =
                    reference::unpack(py, space, participant, &bytes[..], Buffers::Own, release)?;
                return found.ok_or_else(|| gone(py));
            }
            drop(block);
            codec::decode(py, kind, bytes.as_slice(), Buffers::Own, &[])
        }
    }
}

/// A pinned block; views of it keep the pin.
struct Held {
    space: &'static Space,
    holder: &'static Participant,
    pinned: Option<Pinned<'static>>,
    /// Dropped last.
    _way: process::Way,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.pinned.take());
    }
}

/// A large block, read where it is: each text, bytes or array is copied once, into the object.
struct InPlace(Arc<Held>);

/// So many of a process's pins are left to those who read.
const PINS_LEFT: u32 = 16;

impl Source for InPlace {
    fn length(&self) -> usize {
        let pinned = self.0.pinned.as_ref();
        pinned.map_or(0, |pinned| pinned.length as usize)
    }

    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]) {
        let Some(pinned) = &self.0.pinned else {
            return;
        };
        if to.len() as u64 >= LONG {
            py.detach(|| pinned.copy_out(offset as u64, to));
        } else {
            pinned.copy_out(offset as u64, to);
        }
    }

    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: usize,
        length: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.0.holder.pins_left() < PINS_LEFT {
            return Ok(None);
        }
        if let Some(pinned) = &self.0.pinned {
            pinned.keep();
        }
        let view = View {
            held: self.0.clone(),
            offset,
            length,
        };
        Ok(Some(Bound::new(py, view)?.into_any()))
    }
}

/// Memory of a value that a NumPy array or the like reads where it is. It keeps the value's block,
/// also when the key has another value by now.
#[pyclass(frozen, weakref, module = "courtyard._native")]
pub struct View {
    held: Arc<Held>,
    offset: usize,
    length: usize,
}

#[pymethods]
impl View {
    /// # Safety
    /// Called by the interpreter with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        let payload = this.held.pinned.as_ref().map_or(0, |pinned| pinned.payload);
        let start = this
            .held
            .space
            .segment
            .address(payload + this.offset as u64);
        let (object, length) = (slf.as_ptr(), this.length as ffi::Py_ssize_t);
        // SAFETY: the memory stays while the view keeps this object.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, object, start.as_ptr().cast(), length, 1, flags)
        };
        if filled == 0 {
            return Ok(());
        }
        Err(PyErr::fetch(slf.py()))
    }
}
