//! Items on their way into a queue and out of it.

use super::state::{A_BLOCK, A_WORD, ATTEMPTS, BLOCK_HEAD};
use crate::error::Result;
use crate::memory::layout::{WORD, align_up};
use crate::memory::segment::Segment;
use crate::object::link;
use crate::process::membership_cache::ObjectId;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// An item about to be put: a value word, bytes with the codec's kind, or a filled block.
pub enum NewItem<'a> {
    Word(u64),
    Bytes(u8, &'a [&'a [u8]]),
    Block(PendingBlock<'a>),
}

/// An item taken: a value word; so many bytes of the codec's kind, copied into the caller's buffer
/// of at least `INLINE`; or a block, ours until it is dropped.
pub enum Got<'a> {
    Word(u64),
    Bytes(u8, usize),
    Block(PendingBlock<'a>),
}

/// What an attempt to put came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    Done,
    Full,
    ShutDown,
    /// It counts more bytes than all items together may.
    TooLarge,
}

/// A block for an item of so many bytes.
///
/// # Errors
/// `Full`.
pub fn reserve<'a>(caller: Caller<'a, '_>, length: u64) -> Result<PendingBlock<'a>> {
    let room = BLOCK_HEAD + align_up(length, WORD);
    PendingBlock::allocate(caller, room, 0)
}

/// Puts an item's bytes into a block with room for them, which is ours.
pub fn fill(segment: &Segment, block: &PendingBlock, kind: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len() as u64).sum();
    let payload = block.payload();
    set_contents(segment, payload, u64::from(kind), length);
    let mut at = payload + BLOCK_HEAD;
    for part in parts {
        segment.copy_in(at, part);
        at += part.len() as u64;
    }
}

/// Puts an item's bytes into a block, with nothing held.
///
/// # Errors
/// `Full`.
pub fn prepare<'a>(caller: Caller<'a, '_>, kind: u8, parts: &[&[u8]]) -> Result<NewItem<'a>> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let room = BLOCK_HEAD + align_up(length, WORD);
    let new = PendingBlock::allocate(caller, room, u64::from(kind))?;
    fill(&caller.space.segment, &new, kind, parts);
    Ok(NewItem::Block(new))
}

/// As `prepare`, of an item that keeps these objects as long as it is one: what follows the head of the
/// block is as in a value with links.
///
/// # Errors
/// `NotFound` if one of them is gone; `Full`.
///
/// # Crash
/// As `link::prepare`.
pub fn prepare_linked<'a>(
    caller: Caller<'a, '_>,
    kind: u8,
    objects: &[ObjectId],
    parts: &[&[u8]],
) -> Result<NewItem<'a>> {
    let block = link::prepare_item(caller, objects, parts)?;
    let length = length_linked(objects, parts);
    set_contents(
        &caller.space.segment,
        block.payload(),
        u64::from(kind),
        length,
    );
    Ok(NewItem::Block(block))
}

/// How long the contents of such an item are.
pub fn length_linked(objects: &[ObjectId], parts: &[&[u8]]) -> u64 {
    let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
    link::head(objects.len() as u64) + bytes
}

/// Says what follows the head of a block.
pub(super) fn set_contents(segment: &Segment, payload: u64, kind: u64, length: u64) {
    let word = segment.word(payload + WORD);
    word.store(kind << 56 | length, Ordering::Relaxed);
    let leased = segment.word(payload + ATTEMPTS);
    leased.store(0, Ordering::Relaxed);
}

/// How often the item in a block was leased.
///
/// # Errors
/// `Corrupt`.
pub fn attempts(segment: &Segment, block: u64) -> Result<u64> {
    let word = segment.word(super::state::payload_of(segment, block)? + ATTEMPTS);
    Ok(word.load(Ordering::Relaxed) & 0xFFFF_FFFF)
}

/// What follows the head of a block: its kind, where it is and how long.
///
/// # Errors
/// `Corrupt` if it reaches beyond what there is.
pub fn contents(segment: &Segment, payload: u64) -> Result<(u8, u64, u64)> {
    segment.check_range(payload, BLOCK_HEAD)?;
    let word = segment.word(payload + WORD).load(Ordering::Relaxed);
    let (kind, length) = ((word >> 56) as u8, word & 0x00FF_FFFF_FFFF_FFFF);
    segment.check_range(payload + BLOCK_HEAD, align_up(length, WORD))?;
    Ok((kind, payload + BLOCK_HEAD, length))
}

/// The kind and length of what goes into the ring itself.
#[inline]
pub(super) fn shape(item: &NewItem) -> (u64, u64) {
    match item {
        NewItem::Word(_) => (A_WORD, WORD),
        NewItem::Bytes(kind, parts) => {
            let length = parts.iter().map(|part| part.len() as u64).sum();
            (u64::from(*kind), length)
        }
        NewItem::Block(_) => (A_BLOCK, WORD),
    }
}

/// Copies what goes into the ring itself to `at`.
#[inline]
pub(super) fn copy(segment: &Segment, item: &NewItem, mut at: u64) {
    match item {
        NewItem::Word(word) => segment.word(at).store(*word, Ordering::Relaxed),
        NewItem::Block(block) => segment.word(at).store(block.block(), Ordering::Relaxed),
        NewItem::Bytes(_, parts) => {
            for part in *parts {
                segment.copy_in(at, part);
                at += part.len() as u64;
            }
        }
    }
}
