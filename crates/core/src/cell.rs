//! One value: a scalar in a word, bytes in place, or a stored object behind a word.
//!
//! | at | word     | changed by                                                         |
//! | -- | -------- | ------------------------------------------------------------------ |
//! |  0 | lock     | every writer of a guarded cell, and `get_lock()`'s holder           |
//! |  8 | owner    | `thread << 32 | RECOVERED | count`: get_lock()'s, under the lock    |
//! | 16 | event    | every change                                                       |
//! | 24 | sequence | around changes of more than one word                               |
//! | 32 | shape    | `length << 8 | kind`, once                                         |
//! | 40 | data     | the scalar, or the stored object's word                            |
//! | 48 | payload  | bytes in place                                                     |
//!
//! Every write touches lock, event and data, so they share a line.

use crate::directory;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::layout::{self, WORD, block};
use crate::lock::{self, Tried};
use crate::operation::Operation;
use crate::participant::Participant;
use crate::pin::{self, Pin};
use crate::roster::ObjectId;
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::{Ordering, compiler_fence, fence, relax};
use crate::unfinished::Unfinished;
use crate::wait;
use std::time::Duration;

/// The kind of object that the directory lists for all cells.
pub const KIND: u64 = 2;

pub const OWNER: u64 = 8;
pub const EVENT: u64 = 16;
pub const SEQUENCE: u64 = 24;
pub const SHAPE: u64 = 32;
pub const DATA: u64 = 40;
pub const PAYLOAD: u64 = 48;

/// What a cell holds: the low byte of its shape word.
pub const SCALAR: u64 = 1;
pub const BYTES: u64 = 2;
pub const STORED: u64 = 3;
pub const MUTEX: u64 = 4;

/// Set in the owner word when an internal writer took over from a dead holder, so that the next
/// holder of `get_lock()` still learns of it.
const RECOVERED: u64 = 1 << 31;
const COUNT: u64 = RECOVERED - 1;

/// A stored word's low bits; what the rest means is the codec's affair. 0: the offset of a block.
pub const BLOCK_TAG: u64 = 0;
pub const TAG_MASK: u64 = 7;

/// Words that one record's entries change in place; longer bytes go by a copy.
const ENTRIES: u64 = 32;
/// Failed attempts to read under the sequence before the reader takes the lock.
const PERSISTENCE: u32 = 1000;

/// Makes a cell of `kind` with room for `length` bytes in place, filled by `fill` (zero before)
/// with nothing held. Returns the object and our membership row.
///
/// # Errors
/// `Full`.
pub fn create(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    kind: u64,
    length: u64,
    fill: impl FnOnce(u64),
) -> Result<(ObjectId, u64)> {
    let room = layout::align_up(PAYLOAD + length, WORD);
    let root = Unfinished::allocate(space, participant, patience, room, KIND)?;
    let base = root.payload();
    space.segment.zero(base, room);
    space
        .segment
        .word(base + SHAPE)
        .store(length << 8 | kind, Ordering::Relaxed);
    fill(base);
    directory::create(space, participant, patience, &root, KIND)
}

/// The first word of a cell, and its kind and length, checked.
///
/// # Errors
/// `NotFound`, `Corrupt`.
pub fn open(segment: &Segment, object: ObjectId) -> Result<(u64, u64, u64)> {
    let base = heap::payload(segment, directory::root(segment, object)?);
    segment.check_range(base, PAYLOAD)?;
    let shape = segment.word(base + SHAPE).load(Ordering::Relaxed);
    let (kind, length) = (shape & 0xFF, shape >> 8);
    segment.check_range(base, layout::align_up(PAYLOAD.saturating_add(length), WORD))?;
    if !(SCALAR..=MUTEX).contains(&kind) {
        return Err(corrupt(format!("a cell of unknown kind {kind}")));
    }
    Ok((base, kind, length))
}

/// Who writes: a thread of this process, for whom `get_lock()` may be held already.
#[derive(Clone, Copy)]
pub struct Writer {
    pub cell: u64,
    /// 0 for a cell without `get_lock()` whose changes are single words.
    pub guarded: bool,
    pub thread: u32,
}

/// Takes the cell's lock for an operation, unless this thread holds it through `get_lock()`.
fn guard(operation: &mut Operation, writer: Writer) -> Attempt<()> {
    if !writer.guarded || is_mine(operation.segment, operation.participant, writer) {
        return Ok(());
    }
    if operation.lock(writer.cell)? == Tried::Recovered {
        // The dead holder's thread and count mean nothing now, but its death does.
        operation
            .segment
            .word(writer.cell + OWNER)
            .store(RECOVERED, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether this very thread holds the cell through `get_lock()`: only it writes its own name.
pub fn is_mine(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    let word = segment.word(writer.cell).load(Ordering::Relaxed);
    let owner = segment.word(writer.cell + OWNER).load(Ordering::Relaxed);
    word != 0
        && lock::is_held_by(word, participant.me)
        && (owner >> 32) as u32 == writer.thread
        && owner & COUNT != 0
}

/// Changes a cell by one store that `change` makes, and tells the waiters.
///
/// # Errors
/// `Interrupted` as `patience` says; `System`.
///
/// # Crash
/// The store commits; the wake owed is written before it.
pub fn change<T>(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    mut change: impl FnMut() -> T,
) -> Result<T> {
    space.run_as(participant, patience, |operation| {
        guard(operation, writer)?;
        operation.owe(writer.cell + EVENT);
        let mut result = None;
        operation.commit_with(|| result = Some(change()));
        crate::crash_point!("cell.stored");
        result.ok_or_else(|| corrupt("the change did not run").into())
    })
}

/// As `change`, where nothing stands in the way: no spinning, no waiting, no general machinery.
/// None: the lock is held or was a dead one's, nothing was done, `change` is due.
///
/// # Safety
/// No other thread of this process is in this function meanwhile: it uses a thread record that
/// is set apart for one caller at a time (who holds the GIL throughout).
///
/// # Crash
/// As `change`: owed, store, unlock, wake, owed cleared, in this order.
#[inline(always)]
pub unsafe fn change_alone<T>(
    segment: &Segment,
    participant: &Participant,
    cell: u64,
    guarded: bool,
    change: impl FnOnce() -> T,
) -> Option<T> {
    if guarded {
        match lock::try_acquire(segment, cell, participant.me, 0) {
            Ok(Tried::Acquired) => {}
            Ok(Tried::Recovered) => {
                segment
                    .word(cell + OWNER)
                    .store(RECOVERED, Ordering::Relaxed);
            }
            _ => return None,
        }
    }
    let event = cell + EVENT;
    let owed = segment.word(participant.lone_owed());
    owed.store(event, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst); // owed before the change
    let result = change();
    compiler_fence(Ordering::SeqCst); // the change before unlock and wake
    crate::crash_point!("cell.stored");
    if guarded {
        lock::release(segment, cell);
    }
    wait::notify(segment, event);
    owed.store(0, Ordering::Release);
    Some(result)
}

/// Reads bytes in place, never torn.
///
/// # Errors
/// `Interrupted` as `patience` says; `System`.
pub fn read_bytes(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    to: &mut [u8],
) -> Result<()> {
    let payload = writer.cell + PAYLOAD;
    under_sequence(space, participant, patience, writer, || {
        space.segment.copy_out(payload, to);
        Ok(Read::Copied(()))
    })
}

/// What an attempt to read under the sequence came to.
enum Read<T> {
    /// Right if the sequence did not change meanwhile.
    Copied(T),
    /// Right by itself: a pin held what was read.
    Pinned(T),
    /// The sequence changed already.
    Lost,
}

/// Runs `read` until the sequence did not change meanwhile; after many losses, under the lock.
fn under_sequence<T>(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    mut read: impl FnMut() -> Result<Read<T>>,
) -> Result<T> {
    let segment = &space.segment;
    let sequence = segment.word(writer.cell + SEQUENCE);
    for turn in 0..PERSISTENCE {
        let before = sequence.load(Ordering::Acquire); // pairs with apply's Release of even
        if before & 1 == 0 {
            let result = read();
            fence(Ordering::Acquire); // pairs with apply's Release fence after odd
            let steady = sequence.load(Ordering::Relaxed) == before;
            match result {
                Ok(Read::Pinned(value)) => return Ok(value),
                Ok(Read::Copied(value)) if steady => return Ok(value),
                Err(error) if steady => return Err(error), // so it is no torn read
                _ => {}
            }
        } else if turn > 100 {
            // Odd for long: ask after the writer, who may be dead.
            patience(&mut || space.stand_slice(writer.cell, Duration::from_millis(1)))?;
        }
        relax();
    }
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    space.run_as(participant, patience, |operation| {
        guard(operation, exclusive)?;
        match read()? {
            Read::Copied(value) | Read::Pinned(value) => Ok(value),
            Read::Lost => Err(corrupt("a sequence changed while its lock was held").into()),
        }
    })
}

/// Writes bytes in place, `from` the start of the payload plus `offset`: all of them or none,
/// whatever happens. With `expected`, only if the whole payload reads so: false says it did not.
///
/// # Errors
/// `Interrupted`, `Full` (a long write needs room for its copy), `System`.
///
/// # Crash
/// One record: its entries, or for a long write a copy from a block that stays ours meanwhile.
pub fn write_bytes(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    offset: u64,
    from: &[u8],
    expected: Option<&[u8]>,
) -> Result<bool> {
    let segment = &space.segment;
    let payload = writer.cell + PAYLOAD;
    // Whole words, the first and the last perhaps written in part.
    let lead = (offset % WORD) as usize;
    let start = offset - offset % WORD;
    let words = ((lead + from.len()) as u64).div_ceil(WORD);
    let mut image = vec![0; (words * WORD) as usize];
    image[lead..lead + from.len()].copy_from_slice(from);
    let redo = if words > ENTRIES {
        let length = words * WORD;
        let block = Unfinished::allocate(space, participant, patience, length, KIND)?;
        segment.copy_in(block.payload(), &image);
        Some(block)
    } else {
        None
    };
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    space.run_as(participant, patience, |operation| {
        guard(operation, exclusive)?;
        if let Some(expected) = expected {
            let mut now = vec![0; expected.len()];
            segment.copy_out(payload, &mut now);
            if now != expected {
                return Ok(false);
            }
        }
        let (chunks, _) = image.as_chunks::<8>();
        for (index, bytes) in chunks.iter().enumerate() {
            let at = payload + start + index as u64 * WORD;
            let first = if index == 0 { lead } else { 0 };
            let last = (lead + from.len() - index * 8).min(8);
            if (first, last) == (0, 8) && redo.is_some() {
                continue; // copied below
            }
            let mut word = operation.read(at).to_ne_bytes();
            word[first..last].copy_from_slice(&bytes[first..last]);
            operation.write(at, u64::from_ne_bytes(word));
        }
        if let Some(block) = &redo {
            let skip = u64::from(lead != 0);
            let whole = ((lead + from.len()) as u64 / WORD) - skip;
            let shift = skip * WORD;
            operation.copy(block.payload() + shift, payload + start + shift, whole);
        }
        operation.sequence(writer.cell + SEQUENCE);
        operation.owe(writer.cell + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// A stored object, read: its word if the value is in it, else its block's bytes and their kind.
pub enum Stored {
    Word(u64),
    Bytes(u8, Vec<u8>),
}

/// Which state of a stored object was read, for `replace`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    word: u64,
    sequence: u64,
}

/// A block about to be stored, or the word that says it all.
pub enum Fresh<'a> {
    Word(u64),
    Block(Unfinished<'a>),
}

/// Puts encoded bytes into a block, with nothing held.
///
/// # Errors
/// `Full`.
pub fn prepare<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    kind: u8,
    parts: &[&[u8]],
) -> Result<Fresh<'a>> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let room = length.max(WORD);
    let fresh = Unfinished::allocate(space, participant, patience, room, u64::from(kind))?;
    let shape = space.segment.word(fresh.block() + block::SHAPE);
    shape.store(length | u64::from(kind) << 56, Ordering::Relaxed);
    let mut at = fresh.payload();
    for part in parts {
        space.segment.copy_in(at, part);
        at += part.len() as u64;
    }
    Ok(Fresh::Block(fresh))
}

/// About how many bytes `load` will copy: a hint, as the object may change meanwhile.
pub fn stored_length(segment: &Segment, cell: u64) -> u64 {
    let word = segment.word(cell + DATA).load(Ordering::Relaxed);
    let is_block = word & TAG_MASK == BLOCK_TAG && segment.check_range(word, block::LARGE).is_ok();
    if !is_block {
        return 0;
    }
    segment.word(word + block::SHAPE).load(Ordering::Relaxed) & 0x00FF_FFFF_FFFF_FFFF
}

/// Reads a stored object. A large block is pinned while it is copied, a small one copied under
/// the sequence.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`.
pub fn load(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
) -> Result<(Stored, Token)> {
    let segment = &space.segment;
    let (data, sequence) = (
        segment.word(writer.cell + DATA),
        segment.word(writer.cell + SEQUENCE),
    );
    under_sequence(space, participant, patience, writer, || {
        let before = sequence.load(Ordering::Acquire);
        let word = data.load(Ordering::Acquire);
        let token = Token {
            word,
            sequence: before,
        };
        if linked(segment, word)?.is_none() {
            return Ok(Read::Copied((Stored::Word(word), token)));
        }
        let still =
            || data.load(Ordering::SeqCst) == word && sequence.load(Ordering::SeqCst) == before;
        let large = heap::is_large(segment, word);
        let pin = large
            .then(|| Pin::new(space, participant, word, still))
            .flatten();
        let shape = segment.word(word + block::SHAPE).load(Ordering::Relaxed);
        let (kind, length) = ((shape >> 56) as u8, shape & 0x00FF_FFFF_FFFF_FFFF);
        let payload = heap::payload(segment, word);
        segment.check_range(payload, layout::align_up(length, WORD))?;
        if pin.is_none() && !still() {
            return Ok(Read::Lost); // before a length that means nothing is made room for
        }
        let mut bytes = vec![0; length as usize];
        segment.copy_out(payload, &mut bytes);
        let value = (Stored::Bytes(kind, bytes), token);
        Ok(if pin.is_some() {
            Read::Pinned(value)
        } else {
            Read::Copied(value)
        })
    })
}

/// Stores a prepared object. With `expected`, only if nothing changed since that was read:
/// false says that something did.
///
/// # Errors
/// `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links the new block and unlinks the old one; or, word for word, one store.
pub fn store(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    writer: Writer,
    fresh: &Fresh,
    expected: Option<Token>,
) -> Result<bool> {
    let segment = &space.segment;
    let data = writer.cell + DATA;
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    let mut retired = false;
    let stored = space.run_as(participant, patience, |operation| {
        guard(operation, exclusive)?;
        let old = operation.read(data);
        let now = Token {
            word: old,
            sequence: operation.read(writer.cell + SEQUENCE),
        };
        if expected.is_some_and(|expected| expected != now) {
            return Ok(false);
        }
        operation.owe(writer.cell + EVENT);
        let old_block = linked(segment, old)?;
        if let (Fresh::Word(word), None) = (fresh, old_block) {
            operation.commit_with(|| segment.word(data).store(*word, Ordering::Release));
            return Ok(true);
        }
        retired = old_block.is_some_and(|old| heap::is_large(segment, old));
        let mut instead = 0;
        if let Some(old) = old_block {
            match fresh {
                _ if retired => pin::retire(operation, old)?,
                Fresh::Block(_) => instead = old, // freed with the guard of the new one
                Fresh::Word(_) => heap::discard(operation, old)?,
            }
        }
        match fresh {
            Fresh::Word(word) => operation.write(data, *word),
            Fresh::Block(unfinished) => {
                operation.write(data, unfinished.block());
                unfinished.pass_on(operation, instead);
            }
        }
        operation.sequence(writer.cell + SEQUENCE);
        operation.commit();
        Ok(true)
    })?;
    if retired {
        pin::sweep(space, participant, patience)?;
    }
    Ok(stored)
}

/// The block that a stored word links, if it does: checked as data of a peer.
///
/// # Errors
/// `Corrupt` if no block can be there.
fn linked(segment: &Segment, word: u64) -> Result<Option<u64>> {
    if word == 0 || word & TAG_MASK != BLOCK_TAG {
        return Ok(None);
    }
    segment.check_range(word, block::SMALL)?;
    Ok(Some(word))
}

/// How an attempt to take the cell's lock for its user went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    Yes,
    No,
}

/// One attempt of `get_lock().acquire()`: recursive, by thread.
///
/// # Errors
/// `Corrupt`.
///
/// # Crash
/// The lock word alone decides; the owner word is reset by whoever takes over.
pub fn enter(
    segment: &Segment,
    participant: &Participant,
    writer: Writer,
    flags: u64,
) -> Result<Entered> {
    let owner = segment.word(writer.cell + OWNER);
    if is_mine(segment, participant, writer) {
        let now = owner.load(Ordering::Relaxed);
        if now & COUNT == COUNT {
            return Err(corrupt("the lock was acquired 2**31 times by its owner"));
        }
        owner.store(now + 1, Ordering::Relaxed);
        return Ok(Entered::Yes);
    }
    let recovered = match lock::try_acquire(segment, writer.cell, participant.me, flags)? {
        Tried::Held(_) => return Ok(Entered::No),
        Tried::Acquired => owner.load(Ordering::Relaxed) & RECOVERED,
        Tried::Recovered => RECOVERED,
    };
    owner.store(
        u64::from(writer.thread) << 32 | recovered | 1,
        Ordering::Relaxed,
    );
    Ok(Entered::Yes)
}

/// One release of `get_lock()`; false if this thread does not hold it.
///
/// # Crash
/// Thread and count are cleared before the unlock.
pub fn exit(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    if !is_mine(segment, participant, writer) {
        return false;
    }
    let owner = segment.word(writer.cell + OWNER);
    let now = owner.load(Ordering::Relaxed);
    if now & COUNT > 1 {
        owner.store(now - 1, Ordering::Relaxed);
    } else {
        owner.store(0, Ordering::Relaxed);
        lock::release(segment, writer.cell);
    }
    true
}

/// Whether the holder of `get_lock()` before this one died.
pub fn is_recovered(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    is_mine(segment, participant, writer)
        && segment.word(writer.cell + OWNER).load(Ordering::Relaxed) & RECOVERED != 0
}

/// Writes the entries that take a cell apart, its root block included.
///
/// # Errors
/// `Stop` as the heap has it.
pub fn dismantle(operation: &mut Operation, root: u64) -> Attempt<()> {
    for block in blocks(operation.segment, root)? {
        heap::discard(operation, block)?;
    }
    Ok(())
}

/// The blocks that a cell consists of.
///
/// # Errors
/// `Corrupt`.
pub fn blocks(segment: &Segment, root: u64) -> Result<Vec<u64>> {
    segment.check_range(root, block::SMALL)?;
    let base = heap::payload(segment, root);
    segment.check_range(base, PAYLOAD)?;
    let read = |offset| segment.word(base + offset).load(Ordering::Relaxed);
    let mut blocks = vec![root];
    if read(SHAPE) & 0xFF == STORED {
        blocks.extend(linked(segment, read(DATA))?);
    }
    Ok(blocks)
}
