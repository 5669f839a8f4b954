//! Values with links: blocks of kind `LINKED`, which name objects and keep them alive. In a block of
//! kind `LINKED_ITEM` all of it comes after the head of a queue's item.
//!
//! | at | word    | meaning                                                                      |
//! | -- | ------- | ---------------------------------------------------------------------------- |
//! |  0 | counted | of how many links, from the first on, this block holds the references        |
//! |  8 | links   | how many there are                                                           |
//! | 16 | link    | an object's row and its serial, two words each                               |
//! |    |         | from the next line on, counted from the payload: the bytes of the value      |
//!
//! `counted` changes under the directory lock, in the very records that count a reference or give it
//! back. It goes up while the block is pending: who dies before it is linked gives back what was
//! counted. It goes down once the block is on the list to be freed. In between the block is as any
//! other value's.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{LINE, WORD, align_up, block, kind, superblock};
use crate::memory::segment::Segment;
use crate::object::directory;
use crate::process::membership_cache::ObjectId;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{Blocks, Caller, Space, deferred_free, pin};
use crate::sync::{Ordering, compiler_fence};

const COUNTED: u64 = 0;
const LINKS: u64 = WORD;
const FIRST: u64 = 2 * WORD;
const LINK: u64 = 2 * WORD;

/// Bytes that a queue's item has at the start of its block's payload.
pub const ITEM_HEAD: u64 = 6 * WORD;

/// References that one record counts.
const PIECE: usize = 32;

/// Where the bytes of a value with so many links begin, counted from the payload.
pub const fn head(links: u64) -> u64 {
    align_up(FIRST + links * LINK, LINE)
}

/// The head of a payload of `length` bytes: how many links, read from its first line.
///
/// # Errors
/// `Corrupt`.
pub fn count(line: &[u8], length: u64) -> Result<u64> {
    let word = line.get(LINKS as usize..FIRST as usize);
    let word = word.and_then(|bytes| bytes.try_into().ok());
    let links = word.map(u64::from_ne_bytes);
    links
        .filter(|&links| links < length / LINK && head(links) <= length)
        .ok_or_else(|| {
            corrupt(format!(
                "a value of {length} bytes has not room for its links"
            ))
        })
}

/// The links in a copied head.
pub fn links(head: &[u8]) -> impl Iterator<Item = ObjectId> {
    let count = count(head, head.len() as u64).unwrap_or(0);
    let words = head[FIRST as usize..].chunks_exact(WORD as usize);
    let mut words = words.map(|bytes| bytes.try_into().map_or(0, u64::from_ne_bytes));
    (0..count).map_while(move |_| {
        Some(ObjectId {
            row: words.next()?,
            serial: words.next()?,
        })
    })
}

/// Puts a value's bytes into a block that keeps these objects, with nothing held. Each part but the
/// last is whole words.
///
/// # Errors
/// `NotFound` if one of them is gone; `Full`.
///
/// # Crash
/// The block is pending, and its contents are the references counted so far: they go with it.
pub fn prepare<'a>(
    caller: Caller<'a, '_>,
    objects: &[ObjectId],
    parts: &[&[u8]],
) -> Result<PendingBlock<'a>> {
    fill(caller, kind::LINKED, objects, parts)
}

/// As `prepare`, the block of a queue's item; its head is the caller's to fill.
///
/// # Errors
/// As `prepare`.
///
/// # Crash
/// As `prepare`.
pub fn prepare_item<'a>(
    caller: Caller<'a, '_>,
    objects: &[ObjectId],
    parts: &[&[u8]],
) -> Result<PendingBlock<'a>> {
    let kind = kind::LINKED_ITEM;
    fill(caller, kind, objects, parts)
}

/// Where the links of a block of this kind begin, counted from the payload.
const fn start(kind: u64) -> u64 {
    match kind {
        kind::LINKED_ITEM => ITEM_HEAD,
        _ => 0,
    }
}

fn fill<'a>(
    caller: Caller<'a, '_>,
    kind: u64,
    objects: &[ObjectId],
    parts: &[&[u8]],
) -> Result<PendingBlock<'a>> {
    let segment = &caller.space.segment;
    let head = head(objects.len() as u64);
    let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let length = start(kind) + head + bytes;
    let room = align_up(length, WORD);
    let own = PendingBlock::allocate(caller, room, kind::PLAIN)?;
    let payload = own.payload() + start(kind);
    segment.zero(own.payload(), start(kind) + head);
    let put = |at: u64, word| segment.word(at).store(word, Ordering::Relaxed);
    put(payload + LINKS, objects.len() as u64);
    for (at, id) in (payload + FIRST..).step_by(LINK as usize).zip(objects) {
        put(at, id.row);
        put(at + WORD, id.serial);
    }
    let mut at = payload + head;
    for part in parts {
        segment.copy_in(at, part);
        at += part.len() as u64;
    }
    compiler_fence(Ordering::SeqCst); // what it has for contents, before it has any
    put(own.block() + block::SHAPE, length | kind << 56);
    let mut counted = 0;
    for piece in objects.chunks(PIECE) {
        counted += piece.len() as u64;
        caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            for &id in piece {
                directory::link(operation, id)?;
            }
            if seeded(Bug::CountedInTwo) {
                operation.commit();
            }
            operation.write(payload + COUNTED, counted);
            operation.commit();
            Ok(())
        })?;
        crate::memory::crash_point!("link.counted");
    }
    Ok(own)
}

/// As `prepare`, of what was read from another such block.
///
/// # Errors
/// `NotFound` if one of the objects is gone, since that block is; `Full`, `NoMemory`, `Corrupt`.
///
/// # Crash
/// As `prepare`.
pub fn copy<'a>(caller: Caller<'a, '_>, payload: &[u8]) -> Result<PendingBlock<'a>> {
    let (head, bytes) = payload.split_at(head(count(payload, payload.len() as u64)?) as usize);
    let objects = room::collect(links(head))?;
    prepare(caller, &objects, &[bytes])
}

/// The payload of such a block and how many references it holds: data of a peer.
fn counted(segment: &Segment, block: u64, read: impl Fn(u64) -> u64) -> Result<(u64, u64)> {
    let payload = heap::payload(segment, block) + start(deferred_free::kind_of(segment, block));
    segment.check_range(payload, FIRST)?;
    let counted = read(payload + COUNTED);
    let links = counted
        .checked_mul(LINK)
        .and_then(|bytes| bytes.checked_add(FIRST));
    match links.map(|bytes| segment.check_range(payload, bytes)) {
        Some(Ok(())) => Ok((payload, counted)),
        _ => Err(corrupt(format!("block {block:#x} counts {counted} links"))),
    }
}

/// Writes and commits the record that gives back the next reference of a block being freed, or frees
/// it.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`.
///
/// # Crash
/// Each record gives back one reference, and defers the freeing of what goes with it.
pub fn free_step(space: &Space, operation: &mut Operation, block: u64) -> Attempt<()> {
    let (payload, counted) = counted(operation.segment, block, |word| operation.read(word))?;
    match counted.checked_sub(1) {
        None if heap::is_large(operation.segment, block) => {
            deferred_free::unlink_head(operation, block);
            pin::retire(operation, block)?; // somebody may read it where it is
        }
        None => deferred_free::free_head(operation, block)?,
        Some(last) => {
            let at = payload + FIRST + last * LINK;
            let id = ObjectId {
                row: operation.read(at),
                serial: operation.read(at + WORD),
            };
            operation.write(payload + COUNTED, last);
            if seeded(Bug::LinkDroppedInTwo) {
                operation.commit();
            }
            directory::unlink(space, operation, id)?;
        }
    }
    operation.commit();
    Ok(())
}

/// Adds a value's block to what its holder consists of, and the objects that it keeps.
///
/// # Errors
/// `Corrupt`.
pub fn add(segment: &Segment, found: &mut Blocks, block: u64) -> Result<()> {
    segment.check_range(block, block::SMALL)?;
    room::push(&mut found.blocks, block)?;
    if matches!(
        deferred_free::kind_of(segment, block),
        kind::LINKED | kind::LINKED_ITEM
    ) {
        let read = |word| segment.word(word).load(Ordering::Relaxed);
        let (payload, counted) = counted(segment, block, read)?;
        let rows = (0..counted).map(|link| read(payload + FIRST + link * LINK));
        room::reserve(&mut found.links, counted as usize)?;
        found.links.extend(rows);
    }
    Ok(())
}

/// What such a block consists of.
///
/// # Errors
/// `Corrupt`.
pub fn blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let mut found = Blocks::default();
    add(segment, &mut found, block)?;
    Ok(found)
}
