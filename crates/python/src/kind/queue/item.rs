//! Items in blocks, and items with links to courtyard objects.

use super::state::Queue;
use crate::codec::{self, Buffers, Source, settle};
use crate::error::{copying, named, raise};
use crate::object::Use;
use crate::process;
use crate::room;
use crate::value::reference::{self, gone};
use courtyard_core::error::Error;
use courtyard_core::heap;
use courtyard_core::holding::Row;
use courtyard_core::keep::Keeper;
use courtyard_core::participant::Participant;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::sync::{Arc, OnceLock};

/// A kind beside the codec's, of an item that keeps courtyard objects: what it holds is a stored value's
/// block with links (`reference`). It always lies in a block of its own.
pub const KIND_LINKED: u8 = 64;

/// Whether decoding an item of this kind runs code, and so may fail.
#[inline(always)]
pub fn may_fail(kind: u8) -> bool {
    kind == KIND_LINKED || codec::is_pickle(kind)
}

/// Decodes an item that lay in the ring itself; its buffers are `whose`.
pub fn decode_bytes(py: Python<'_>, kind: u8, bytes: &[u8], whose: Buffers) -> PyResult<Py<PyAny>> {
    if kind == KIND_LINKED {
        let what = "an item that keeps objects lies in the ring of a queue";
        return Err(named(py, "CorruptError", what.into()));
    }
    Ok(codec::decode(py, kind, bytes, whose, &[])?.unbind())
}

/// Decodes an item seen, a copy of it: `Ok(None)` if it kept objects that are gone, since it was taken
/// meanwhile.
pub fn decode_seen(
    py: Python<'_>,
    open: &Use<'_>,
    kind: u8,
    bytes: &[u8],
) -> PyResult<Option<Py<PyAny>>> {
    if kind != KIND_LINKED {
        return decode_bytes(py, kind, bytes, Buffers::Own).map(Some);
    }
    let (space, participant) = (open.handle.space, open.participant);
    let item = reference::unpack(py, space, participant, bytes, Buffers::Own, || {})?;
    Ok(item.map(Bound::unbind))
}

/// Decodes an item that is in our hands, or that nobody else takes meanwhile, and keeps objects.
fn decode_linked(
    py: Python<'_>,
    space: &'static Space,
    participant: &'static Participant,
    source: &impl Source,
    whose: Buffers,
) -> PyResult<Py<PyAny>> {
    // Buffers in it are copies: an item that cannot be loaded goes back by its block.
    let bytes = settle(py, source, 0, source.length())?;
    let item = reference::unpack(py, space, participant, &bytes[..], whose, || {})?;
    item.map(Bound::unbind).ok_or_else(|| gone(py))
}

/// A block that was an item, in our hands: arrays may be views of it.
pub struct Held {
    space: &'static Space,
    holder: *const Participant,
    block: Option<PendingBlock<'static>>,
    /// Where it goes back to when the last view of it is gone.
    back: OnceLock<(Py<Queue>, Row)>,
    /// Dropped last.
    _way: process::Way,
}

impl Held {
    pub fn new(
        space: &'static Space,
        participant: &'static Participant,
        block: PendingBlock<'static>,
    ) -> Arc<Held> {
        Arc::new(Held {
            space,
            holder: std::ptr::from_ref(participant),
            block: Some(block),
            back: OnceLock::new(),
            _way: process::Way::new(space),
        })
    }

    fn payload(&self) -> u64 {
        self.block.as_ref().map_or(0, PendingBlock::payload)
    }

    /// With an item in its block, if this process is still whose it was.
    pub fn filled(self: Arc<Held>, kind: u8, bytes: &[u8]) -> Arc<Held> {
        if let Some(block) = &self.block
            && std::ptr::eq(self.space.registered(), self.holder)
        {
            queue::fill(&self.space.segment, block, kind, &[bytes]);
        }
        self
    }

    /// The block, to be an item again; as it was if views of it are in use.
    pub fn reclaim(held: Arc<Held>) -> Result<Option<PendingBlock<'static>>, Arc<Held>> {
        Arc::try_unwrap(held).map(|mut held| held.block.take())
    }

    /// It goes back to the queue when the last view of it is gone.
    pub fn give_back_later(&self, queue: &Bound<'_, Queue>, row: Row) {
        if self.back.set((queue.clone().unbind(), row)).is_ok() {
            queue.as_super().get().handle.retain(); // also after `close()`
        }
    }

    /// What is in the block.
    ///
    /// # Errors
    /// `CorruptError`.
    pub fn bytes(&self, py: Python<'_>) -> PyResult<(u8, Vec<u8>)> {
        let segment = &self.space.segment;
        let contents = queue::contents(segment, self.payload());
        let (kind, at, length) = contents.map_err(|error| raise(py, error))?;
        let mut bytes = room::bytes(length as usize)?;
        segment.copy_out(at, &mut bytes);
        Ok((kind, bytes))
    }
}

// SAFETY: the pointer is only compared.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let (block, back) = (self.block.take(), self.back.take());
        let (Some(block), Some((queue, row))) = (block, back) else {
            return;
        };
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let me = unsafe { self.space.registered().as_ref() };
        let me = me.filter(|&me| std::ptr::eq(me, self.holder));
        // Where there is no GIL to be had the interpreter ends, and the item with this process.
        Python::try_attach(|py| {
            let base = queue.bind(py).as_super().get();
            if let Some(me) = me {
                queue::put_back_later(self.space, me, Queue::queue(base), row, block);
            }
            base.handle.give_up();
        });
    }
}

/// An item in a block that stays where it is meanwhile.
struct InPlace {
    space: &'static Space,
    at: u64,
    length: u64,
}

impl Source for InPlace {
    fn length(&self) -> usize {
        self.length as usize
    }

    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]) {
        let (segment, at) = (&self.space.segment, self.at + offset as u64);
        let copied = copying(py, to.len() as u64, |_| {
            segment.copy_out(at, to);
            Ok(())
        });
        debug_assert!(copied.is_ok(), "nothing is waited for");
    }
}

/// An item in a block of ours, which views of it keep.
struct InBlock {
    held: Arc<Held>,
    item: InPlace,
}

/// So many of a process's rows for blocks in hand are left to those who put and get.
const ROWS_LEFT: u32 = 16;

impl Source for InBlock {
    fn length(&self) -> usize {
        self.item.length()
    }

    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]) {
        self.item.copy(py, offset, to);
    }

    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: usize,
        length: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let participant = unsafe { self.held.holder.as_ref() };
        if participant.is_none_or(|participant| participant.pending_left() < ROWS_LEFT) {
            return Ok(None);
        }
        // A small one cannot stay for a child's views when ours are gone; it is copied at once.
        match self.held.block.as_ref() {
            Some(block)
                if heap::is_large(&self.held.space.segment, block.block())
                    && block.keep(Keeper::Views) => {}
            _ => return Ok(None),
        }
        let piece = Piece {
            held: self.held.clone(),
            at: self.item.at + offset as u64,
            length,
        };
        Ok(Some(Bound::new(py, piece)?.into_any()))
    }
}

/// Memory of an item that a NumPy array or the like reads where it is. It keeps the item's block.
#[pyclass(frozen, weakref, module = "courtyard._native")]
pub struct Piece {
    held: Arc<Held>,
    at: u64,
    length: usize,
}

#[pymethods]
impl Piece {
    /// # Safety
    /// Called by the interpreter with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        let start = this.held.space.segment.address(this.at);
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

/// Decodes an item in a block of ours; its buffers are `whose`, and views of it keep the block.
pub fn decode_block(py: Python<'_>, held: Arc<Held>, whose: Buffers) -> PyResult<Py<PyAny>> {
    let contents = queue::contents(&held.space.segment, held.payload());
    let (kind, at, length) = contents.map_err(|error| raise(py, error))?;
    if kind == queue::VALUE_WORD {
        let word = held.space.segment.word(at).load(Ordering::Relaxed);
        return Ok(codec::decode_word(py, word)?.unbind());
    }
    let (space, holder) = (held.space, held.holder);
    let item = InPlace { space, at, length };
    let source = InBlock { held, item };
    let item = if kind == KIND_LINKED {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let participant = unsafe { holder.as_ref() };
        let participant = participant.ok_or_else(|| raise(py, Error::Forked))?;
        decode_linked(py, space, participant, &source, whose)?
    } else {
        codec::decode(py, kind, source, whose, &[])?.unbind()
    };
    if space.registered() != holder {
        // Loading it forked: what the child read its parent may have given back meanwhile.
        return Err(raise(py, Error::Forked));
    }
    Ok(item)
}

/// Decodes an item on a lease, whose block stays where it is.
pub fn decode_leased(
    py: Python<'_>,
    space: &'static Space,
    participant: &'static Participant,
    block: u64,
) -> PyResult<Py<PyAny>> {
    let segment = &space.segment;
    let contents = queue::contents(segment, heap::payload(segment, block));
    let (kind, at, length) = contents.map_err(|error| raise(py, error))?;
    if kind == queue::VALUE_WORD {
        let word = segment.word(at).load(Ordering::Relaxed);
        return Ok(codec::decode_word(py, word)?.unbind());
    }
    let source = InPlace { space, at, length };
    if kind == KIND_LINKED {
        return decode_linked(py, space, participant, &source, Buffers::Own);
    }
    Ok(codec::decode(py, kind, source, Buffers::Own, &[])?.unbind())
}
