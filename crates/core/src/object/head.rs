//! One value: a scalar in a word, bytes in place, or a stored object behind a word.
//!
//! | at | word     | changed by                                                         |
//! | -- | -------- | ------------------------------------------------------------------ |
//! |  0 | lock     | every writer of a guarded object, and `get_lock()`'s holder         |
//! |  8 | owner    | `thread << 32 | RECOVERED | count`: get_lock()'s, under the lock    |
//! | 16 | event    | every change                                                       |
//! | 24 | sequence | around changes of more than one word                               |
//! | 32 | shape    | `length << 8 | kind`, once                                         |
//! | 40 | data     | the scalar, or the stored object's word                            |
//! | 48 | payload  | bytes in place, from the next line on                              |
//!
//! Every write touches lock, event and data, so they share a line.

use crate::change::lock::{self, Tried};
use crate::change::operation::{Operation, Purpose, class_for};
use crate::error::{Attempt, Error, Result, corrupt};
use crate::heap;
use crate::memory::layout::{self, WORD, block};
use crate::memory::segment::Segment;
use crate::object::directory;
use crate::offset::{EventAt, Object, Root};
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// The kind of a root block.
pub const KIND: u64 = layout::kind::OBJECT;

pub const OWNER: u64 = 8;

pub const EVENT: EventAt = EventAt(16);

pub const SEQUENCE: u64 = 24;

pub const SHAPE: u64 = 32;

pub const DATA: u64 = 40;

pub const PAYLOAD: u64 = 48;

/// Where bytes in place start: on a line of their own, as vector instructions like it. That is
/// PAYLOAD itself in a small block.
pub const fn payload(object: Object) -> u64 {
    layout::align_up(object.0 + PAYLOAD, LINE)
}

pub(super) const LINE: u64 = 64;

/// What a block must hold for an object with so many bytes in place.
pub(super) fn room(length: u64) -> Result<u64> {
    if length >> 56 != 0 {
        return Err(Error::Full(format!("{length} bytes fit nowhere")));
    }
    // Whole lines, so that it is a block that starts on one.
    let small = layout::align_up(block::SMALL + PAYLOAD + length, LINE) - block::SMALL;
    let large = LINE + layout::align_up(length, WORD);
    Ok(class_for(small).map_or(large, |_| small))
}

/// What an object holds: the low byte of its shape word.
pub const SCALAR: u64 = 1;

pub const BYTES: u64 = 2;

pub const STORED: u64 = 3;

pub const MUTEX: u64 = 4;

/// Synchronisation: what their words mean, the modules of these names say.
pub const RMUTEX: u64 = 16;

pub const FLAG: u64 = 17;

pub const SEMAPHORE: u64 = 18;

pub const CONDITION: u64 = 19;

pub const BARRIER: u64 = 20;

/// What its words mean, `queue` says.
pub const QUEUE: u64 = 32;

/// What its words mean, `table` says.
pub const TABLE: u64 = 33;

/// What its words mean, `list` says.
pub const LIST: u64 = 34;

/// Set in the owner word when an internal writer took over from a dead holder, so that the next
/// holder of `get_lock()` still learns of it.
pub const RECOVERED: u64 = 1 << 31;

pub(super) const COUNT: u64 = RECOVERED - 1;

/// How many bytes of payload an object of this kind has at least: it uses them as its own words.
pub const fn least(kind: u64) -> u64 {
    match kind {
        SEMAPHORE | CONDITION => 24,
        BARRIER => 32,
        QUEUE => 200,
        TABLE => 8 * LINE,
        LIST => LINE,
        _ => 0,
    }
}

/// Makes an object of `kind` with room for `length` bytes in place, filled by `fill` (zero before)
/// with nothing held. Returns the object and our membership row.
///
/// # Errors
/// `Full`.
pub fn create(
    caller: Caller,
    kind: u64,
    length: u64,
    fill: impl FnOnce(Object),
) -> Result<(ObjectId, u64)> {
    create_with(caller, kind, length, fill, &[])
}

/// As `create`; the same record ends our ownership of `parts`, blocks that `fill` linked.
///
/// # Errors
/// `Full`.
pub fn create_with(
    caller: Caller,
    kind: u64,
    length: u64,
    fill: impl FnOnce(Object),
    parts: &[&PendingBlock],
) -> Result<(ObjectId, u64)> {
    let root = unlisted(Purpose::Store, caller, kind, length)?;
    fill(Object(root.payload()));
    directory::create(caller, &root, parts, KIND)
}

/// The block of an object of `kind` with `length` bytes in place, all zero, that no object names.
///
/// # Errors
/// `Full`.
pub fn unlisted<'a>(
    purpose: Purpose,
    caller: Caller<'a, '_>,
    kind: u64,
    length: u64,
) -> Result<PendingBlock<'a>> {
    let room = room(length)?;
    let root = PendingBlock::allocate_for(purpose, caller, room, KIND)?;
    let base = root.payload();
    caller.space.segment.zero(base, room);
    let shape = caller.space.segment.word(base + SHAPE);
    shape.store(length << 8 | kind, Ordering::Relaxed);
    Ok(root)
}

/// The first word of an object, and its kind and length, checked.
///
/// # Errors
/// `NotFound`, `Corrupt`.
pub fn open(segment: &Segment, id: ObjectId) -> Result<(Object, u64, u64)> {
    at(segment, directory::root(segment, id)?)
}

/// As `open`, of a root block.
///
/// # Errors
/// `Corrupt`.
pub fn at(segment: &Segment, root: Root) -> Result<(Object, u64, u64)> {
    segment.check_range(root.0, block::SMALL)?;
    let object = Object(heap::payload(segment, root.0));
    segment.check_range(object.0, PAYLOAD)?;
    let shape = segment.word(object + SHAPE).load(Ordering::Relaxed);
    let (kind, length) = (shape & 0xFF, shape >> 8);
    segment.check_range(
        object.0,
        payload(object) - object.0 + layout::align_up(length, WORD),
    )?;
    if !matches!(kind, SCALAR..=MUTEX | RMUTEX..=BARRIER | QUEUE..=LIST) || length < least(kind) {
        return Err(corrupt(format!(
            "a cell of kind {kind} and {length} bytes, which there is none of"
        )));
    }
    Ok((object, kind, length))
}

/// Who writes: a thread of this process, for whom `get_lock()` may be held already.
#[derive(Clone, Copy)]
pub struct Writer {
    pub object: Object,
    /// 0 for an object without `get_lock()` whose changes are single words.
    pub guarded: bool,
    pub thread: u32,
}

/// Takes the object's lock for an operation, unless this thread holds it through `get_lock()`.
///
/// # Errors
/// `Stop::Busy` if another holds it.
pub fn guard(operation: &mut Operation, writer: Writer) -> Attempt<()> {
    if !writer.guarded || is_mine(operation.segment, operation.participant, writer) {
        return Ok(());
    }
    if operation.lock(writer.object.lock())? == Tried::Recovered {
        // The dead holder's thread and count mean nothing now, but its death does.
        operation
            .segment
            .word(writer.object + OWNER)
            .store(RECOVERED, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether this very thread holds the object through `get_lock()`: only it writes its own name.
pub fn is_mine(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    let word = segment.word(writer.object.0).load(Ordering::Relaxed);
    let owner = segment.word(writer.object + OWNER).load(Ordering::Relaxed);
    word != 0
        && lock::is_held_by(word, participant.me)
        && (owner >> 32) as u32 == writer.thread
        && owner & COUNT != 0
}
