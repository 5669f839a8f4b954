//! A stored object: a word that says it all, or leads to a block.

use super::head::{DATA, EVENT, SEQUENCE, Writer, guard};
use super::sequence::{Read, under_sequence};
use crate::error::Result;
use crate::heap;
use crate::memory::layout::{self, WORD, block, kind};
use crate::memory::segment::Segment;
use crate::process::keep::Keeper;
use crate::process::participant::Participant;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::pin::{self, Pin};
use crate::space::{Caller, Space, deferred_free};
use crate::sync::Ordering;

/// A stored word's low bits; what the rest means is the codec's affair. 0: the offset of a block.
pub const BLOCK_TAG: u64 = 0;
pub const TAG_MASK: u64 = 7;

/// A stored value, copied: its word if that says it all, else the codec's kind and the bytes; with `()`
/// for these where they went to a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored<Bytes = Vec<u8>> {
    Word(u64),
    Bytes(u8, Bytes),
}

impl<Bytes> Stored<Bytes> {
    /// The same value with its bytes in another form.
    #[inline]
    pub fn map<Other>(self, form: impl FnOnce(Bytes) -> Other) -> Stored<Other> {
        match self {
            Stored::Word(word) => Stored::Word(word),
            Stored::Bytes(kind, bytes) => Stored::Bytes(kind, form(bytes)),
        }
    }
}

/// Which state of a stored object was read, for `replace`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    word: u64,
    sequence: u64,
}

/// A block about to be stored, or the word that says it all.
pub enum NewValue<'a> {
    Word(u64),
    Block(PendingBlock<'a>),
}

/// Puts encoded bytes into a block, with nothing held.
///
/// # Errors
/// `Full`.
pub fn prepare<'a>(caller: Caller<'a, '_>, kind: u8, parts: &[&[u8]]) -> Result<NewValue<'a>> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let room = length.max(WORD);
    let new = PendingBlock::allocate(caller, room, u64::from(kind))?;
    let shape = caller.space.segment.word(new.block() + block::SHAPE);
    shape.store(length | u64::from(kind) << 56, Ordering::Relaxed);
    let mut at = new.payload();
    for part in parts {
        caller.space.segment.copy_in(at, part);
        at += part.len() as u64;
    }
    Ok(NewValue::Block(new))
}

/// A large block of a stored object: it stays as it is until this is dropped.
pub struct Pinned<'a> {
    segment: &'a Segment,
    /// Where the value's bytes are.
    pub payload: u64,
    pub length: u64,
    pub kind: u8,
    pin: Pin<'a>,
}

impl Pinned<'_> {
    /// Copies payload out, from a whole word on. A peer that breaks the rules may write meanwhile.
    ///
    /// # Panics
    /// Beyond the payload.
    pub fn copy_out(&self, offset: u64, to: &mut [u8]) {
        let end = offset.checked_add(to.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "beyond the block"
        );
        self.segment.copy_out(self.payload + offset, to);
    }

    /// Objects of the program's read it from now on: children that are forked do, too.
    pub fn keep(&self) {
        self.pin.keep(Keeper::Views);
    }
}

/// A stored object, found: copied, or pinned where it is.
pub enum Found<'a> {
    Copied(Stored),
    Pinned(Pinned<'a>),
}

/// Finds a stored object. A large block is pinned, a small one copied under the sequence; a large
/// one too if this process has no pin left.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`; `NoMemory` for what has to be copied.
pub fn find<'a>(caller: Caller<'a, '_>, writer: Writer) -> Result<(Found<'a>, Token)> {
    let segment = &caller.space.segment;
    let (data, sequence) = (
        segment.word(writer.object + DATA),
        segment.word(writer.object + SEQUENCE),
    );
    under_sequence(caller, writer, || {
        let before = sequence.load(Ordering::Acquire);
        let word = data.load(Ordering::Acquire);
        let token = Token {
            word,
            sequence: before,
        };
        if linked(segment, word)?.is_none() {
            return Ok(Read::Copied((Found::Copied(Stored::Word(word)), token)));
        }
        let still =
            || data.load(Ordering::SeqCst) == word && sequence.load(Ordering::SeqCst) == before;
        if let Some(pinned) = pinned(caller.space, caller.participant, word, still)? {
            return Ok(Read::Pinned((Found::Pinned(pinned), token)));
        }
        let (kind, length, payload) = shape_of(segment, word)?;
        if !still() {
            return Ok(Read::Lost); // before a length that means nothing is made room for
        }
        let mut bytes = room::bytes(length as usize)?;
        segment.copy_out(payload, &mut bytes);
        let copied = Found::Copied(Stored::Bytes(kind, bytes));
        Ok(Read::Copied((copied, token)))
    })
}

/// The kind of a value's block, how long it is, and where its payload starts: data of a peer.
///
/// # Errors
/// `Corrupt`.
pub fn shape_of(segment: &Segment, block: u64) -> Result<(u8, u64, u64)> {
    let shape = segment.word(block + block::SHAPE).load(Ordering::Relaxed);
    let (kind, length) = ((shape >> 56) as u8, shape & 0x00FF_FFFF_FFFF_FFFF);
    let payload = heap::payload(segment, block);
    segment.check_range(payload, layout::align_up(length, WORD))?;
    Ok((kind, length, payload))
}

/// Pins a value's block, if it is large, a pin is left, and `still` holds after.
///
/// # Errors
/// `Corrupt`.
pub fn pinned<'a>(
    space: &'a Space,
    participant: &'a Participant,
    block: u64,
    still: impl Fn() -> bool,
) -> Result<Option<Pinned<'a>>> {
    if !heap::is_large(&space.segment, block) {
        return Ok(None);
    }
    let Some(pin) = Pin::new(space, participant, block, still) else {
        return Ok(None);
    };
    let (kind, length, payload) = shape_of(&space.segment, block)?;
    Ok(Some(Pinned {
        segment: &space.segment,
        payload,
        length,
        kind,
        pin,
    }))
}

/// As `find`, copied in any case.
///
/// # Errors
/// As `find`.
pub fn load(caller: Caller, writer: Writer) -> Result<(Stored, Token)> {
    let (found, token) = find(caller, writer)?;
    let stored = match found {
        Found::Copied(stored) => stored,
        Found::Pinned(pinned) => {
            let mut bytes = room::bytes(pinned.length as usize)?;
            pinned.copy_out(0, &mut bytes);
            Stored::Bytes(pinned.kind, bytes)
        }
    };
    Ok((stored, token))
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
    caller: Caller,
    writer: Writer,
    new: &NewValue,
    expected: Option<Token>,
) -> Result<bool> {
    let segment = &caller.space.segment;
    let data = writer.object + DATA;
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    let mut left = false;
    let stored = caller.run(|operation| {
        guard(operation, exclusive)?;
        let old = operation.read(data);
        let now = Token {
            word: old,
            sequence: operation.read(writer.object + SEQUENCE),
        };
        if expected.is_some_and(|expected| expected != now) {
            return Ok(false);
        }
        operation.queue_wake(writer.object + EVENT);
        let old_block = linked(segment, old)?;
        if let (NewValue::Word(word), None) = (new, old_block) {
            operation.commit_with(|| segment.word(data).store(*word, Ordering::Release));
            return Ok(true);
        }
        let mut instead = 0;
        if let Some(old) = old_block {
            let has_contents = kind::has_contents(deferred_free::kind_of(segment, old));
            left = has_contents || heap::is_large(segment, old);
            match new {
                _ if has_contents => deferred_free::add(operation, old)?,
                _ if left => pin::retire(operation, old)?,
                NewValue::Block(_) => instead = old, // freed with the guard of the new one
                NewValue::Word(_) => heap::discard(operation, old)?,
            }
        }
        match new {
            NewValue::Word(word) => operation.write(data, *word),
            NewValue::Block(pending) => {
                operation.write(data, pending.block());
                if seeded(Bug::ExchangeInTwo) {
                    operation.commit();
                }
                pending.transfer(operation, instead);
            }
        }
        operation.sequence(writer.object + SEQUENCE);
        operation.commit();
        Ok(true)
    })?;
    if left {
        deferred_free::run(caller)?;
        pin::sweep(caller)?;
    }
    Ok(stored)
}

/// The block that a stored word links, if it does: checked as data of a peer.
///
/// # Errors
/// `Corrupt` if no block can be there.
#[inline(always)]
pub fn linked(segment: &Segment, word: u64) -> Result<Option<u64>> {
    if word == 0 || word & TAG_MASK != BLOCK_TAG {
        return Ok(None);
    }
    segment.check_range(word, block::SMALL)?;
    Ok(Some(word))
}
