//! Chunks: runs cut into small blocks of one class, and what moves between them and magazines.

use super::unit::{Units, is_large, is_scarce, unit_at, unit_offset};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, Stop, corrupt};
use crate::memory::layout::{self, CLASSES, UNIT, WORD, block, chunk, record, superblock};
use crate::memory::segment::Segment;
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;

/// Blocks moved by one refill or flush.
const BATCH: u64 = record::MAGAZINE_ROOM / 2;

pub(super) fn partial(class: usize) -> u64 {
    superblock::PARTIAL + class as u64 * WORD
}

/// Links a chunk with a free block in front of its class's list.
fn link_chunk(operation: &mut Operation, class: usize, at: u64) -> Result<()> {
    let head = operation.read(partial(class));
    operation.write(at + chunk::NEXT, head);
    operation.write(at + chunk::PREVIOUS, 0);
    if head != 0 {
        operation.segment.check_range(head, chunk::BLOCKS)?;
        operation.write(head + chunk::PREVIOUS, at);
    }
    operation.write(partial(class), at);
    Ok(())
}

fn unlink_chunk(operation: &mut Operation, class: usize, at: u64) -> Result<()> {
    let (next, previous) = (
        operation.read(at + chunk::NEXT),
        operation.read(at + chunk::PREVIOUS),
    );
    for neighbour in [next, previous].into_iter().filter(|&offset| offset != 0) {
        operation.segment.check_range(neighbour, chunk::BLOCKS)?;
    }
    match previous {
        0 => operation.write(partial(class), next),
        previous => operation.write(previous + chunk::NEXT, next),
    }
    if next != 0 {
        operation.write(next + chunk::PREVIOUS, previous);
    }
    Ok(())
}

/// Moves some blocks of the class from its chunks into this thread's magazine.
///
/// # Errors
/// `Stop::Busy` on the heap lock, `Stop::Grow` when there is no unit left.
///
/// # Crash
/// Each record moves whole blocks: they are in the bitmap or in the magazine.
pub fn refill(operation: &mut Operation, class: usize) -> Attempt<()> {
    operation.lock(superblock::HEAP_LOCK)?;
    let no_room = |stop: Stop| stop.of_bytes(CLASSES[class] - block::SMALL);
    // A chunk with free blocks may be of the reserve.
    Units::new(operation)?.spare(0).map_err(no_room)?;
    let mut at = operation.read(partial(class));
    if at == 0 {
        at = new_chunk(operation, class).map_err(no_room)?;
    }
    let segment = operation.segment;
    let blocks = shape_of(segment, at, class)?.blocks;
    let (stock, magazine) = operation.stock(class);
    let mut free = operation.read(at + chunk::FREE);
    let mut count = stock;
    // Where memory is scarce, what one process has at hand is missing to another.
    let most = if is_scarce(segment) { stock + 1 } else { BATCH };
    for word in 0..4 {
        let bitmap = at + chunk::BITMAP + word * WORD;
        let mut bits = operation.read(bitmap);
        while bits != 0 && count < most && free > 0 {
            let index = word * 64 + u64::from(bits.trailing_zeros());
            bits &= bits - 1;
            if index >= blocks {
                return Err(corrupt(format!("chunk {at:#x} has no block {index}")).into());
            }
            count += 1;
            free -= 1;
            operation.write(
                magazine + count * WORD,
                at + chunk::BLOCKS + index * CLASSES[class],
            );
        }
        operation.write(bitmap, bits);
    }
    if count == stock {
        return Err(corrupt(format!("chunk {at:#x} is listed but has no free block")).into());
    }
    if seeded(Bug::RefillInTwo) {
        operation.commit();
    }
    operation.write(magazine, count);
    operation.write(at + chunk::FREE, free);
    if free == 0 {
        unlink_chunk(operation, class, at)?;
    }
    operation.commit();
    Ok(())
}

/// What a chunk is cut into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub class: usize,
    pub blocks: u64,
    pub units: u64,
}

impl Shape {
    fn new(class: usize, units: u64) -> Shape {
        let blocks = layout::chunk_blocks(class, units);
        Shape {
            class,
            blocks,
            units,
        }
    }

    /// The first word of such a chunk, which no large block's head equals.
    fn word(self) -> u64 {
        self.class as u64 | self.blocks << 8 | self.units << chunk::UNITS | chunk::TAG
    }

    /// The shape of the chunk at `at`, if it is one.
    pub fn read(segment: &Segment, at: u64) -> Option<Shape> {
        let word = segment.word(at + chunk::SHAPE).load(Ordering::Relaxed);
        let (class, units) = ((word & 0xFF) as usize, word >> chunk::UNITS & 0xFF);
        let is_any = class < CLASSES.len() && (1..=layout::chunk_units(class)).contains(&units);
        let shape = is_any.then(|| Shape::new(class, units))?;
        (shape.blocks > 0 && shape.word() == word).then_some(shape)
    }
}

/// The shape of the chunk at `at`, which is on the list of this class, as data of a peer.
fn shape_of(segment: &Segment, at: u64, class: usize) -> Result<Shape> {
    segment.check_range(at, chunk::BLOCKS)?;
    let shape = Shape::read(segment, at).filter(|shape| shape.class == class);
    let shape =
        shape.ok_or_else(|| corrupt(format!("{at:#x} is listed as a chunk of class {class}")))?;
    segment.check_range(at, shape.units * UNIT)?;
    Ok(shape)
}

/// Writes the entries that give an empty chunk's units back.
fn give_chunk(operation: &mut Operation, class: usize, at: u64) -> Result<()> {
    unlink_chunk(operation, class, at)?;
    let unit = unit_at(operation.segment, at);
    Units::new(operation)?.give(unit)
}

/// Cuts a run into free blocks and lists it; a record of its own. Where there is no room for a chunk as
/// usual, and none can be made, a smaller one has to do.
fn new_chunk(operation: &mut Operation, class: usize) -> Attempt<u64> {
    let segment = operation.segment;
    let mut units = layout::chunk_units(class);
    let unit = loop {
        let taken = Units::new(operation)?.take(units);
        let smaller = layout::smaller_chunk(class, units).filter(|_| operation.is_scarce());
        match (taken, smaller) {
            (Err(Stop::Grow(..) | Stop::Reserve(..)), Some(fewer)) => units = fewer,
            (taken, _) => break taken?,
        }
    };
    let at = unit_offset(segment, unit);
    let shape = Shape::new(class, units);
    let blocks = shape.blocks;
    // Nobody reads a free run: its new head needs no entry.
    segment
        .word(at + chunk::SHAPE)
        .store(shape.word(), Ordering::Relaxed);
    segment
        .word(at + chunk::FREE)
        .store(blocks, Ordering::Relaxed);
    for word in 0..4 {
        let here = blocks.saturating_sub(word * 64).min(64);
        let bits = if here == 0 {
            0
        } else {
            u64::MAX >> (64 - here)
        };
        segment
            .word(at + chunk::BITMAP + word * WORD)
            .store(bits, Ordering::Relaxed);
    }
    link_chunk(operation, class, at)?;
    operation.commit();
    Ok(at)
}

/// Moves some blocks of the class from this thread's magazine back into their chunks.
///
/// # Errors
/// `Stop::Busy` on the heap lock.
pub fn flush(operation: &mut Operation, class: usize) -> Attempt<()> {
    operation.lock(superblock::HEAP_LOCK)?;
    for _ in 0..BATCH {
        let (stock, magazine) = operation.stock(class);
        if stock == 0 {
            break;
        }
        let block = operation.read(magazine + stock * WORD);
        release(operation, block)?;
        operation.write(magazine, stock - 1);
        operation.commit();
    }
    Ok(())
}

/// Moves all blocks of this thread's magazines back into their chunks.
///
/// # Errors
/// As `flush`.
pub fn flush_all(operation: &mut Operation) -> Attempt<()> {
    for class in 0..CLASSES.len() {
        while operation.stock(class).0 > 0 {
            flush(operation, class)?;
        }
    }
    Ok(())
}

/// Gives the chunks back to the heap that are kept empty, so that other classes can have their units.
///
/// # Errors
/// As `flush`.
///
/// # Crash
/// One record a chunk: it is on its class's list, or free.
pub fn release_empty(operation: &mut Operation) -> Attempt<()> {
    operation.lock(superblock::HEAP_LOCK)?;
    let segment = operation.segment;
    for class in 0..CLASSES.len() {
        let at = operation.read(partial(class));
        if at == 0 {
            continue;
        }
        let shape = shape_of(segment, at, class)?; // before anything is read there
        if operation.read(at + chunk::FREE) == shape.blocks {
            unlink_chunk(operation, class, at)?;
            if seeded(Bug::ChunkInTwo) {
                operation.commit();
            }
            Units::new(operation)?.give(unit_at(segment, at))?;
            operation.commit();
        }
    }
    Ok(())
}

/// The chunk of a small block: its offset, its shape and the block's index.
pub(super) fn chunk_of(operation: &mut Operation, block: u64) -> Result<(u64, Shape, u64)> {
    let segment = operation.segment;
    segment.check_range(block, block::SMALL)?;
    let units = Units::new(operation)?;
    let at = unit_offset(segment, units.start(unit_at(segment, block)));
    let inside = block.wrapping_sub(at + chunk::BLOCKS);
    Shape::read(segment, at)
        .map(|shape| (at, shape, inside / CLASSES[shape.class]))
        .filter(|(_, shape, index)| {
            inside.is_multiple_of(CLASSES[shape.class]) && *index < shape.blocks
        })
        .ok_or_else(|| corrupt(format!("no block starts at {block:#x}")))
}

/// Writes the entries that return a block of any size to the heap. The heap lock is held; the
/// caller adds the entry that takes it from where it was, and commits.
///
/// # Errors
/// `Corrupt` if it is no used block.
pub fn release(operation: &mut Operation, block: u64) -> Result<()> {
    let segment = operation.segment;
    segment.check_range(block, block::SMALL)?;
    if is_large(segment, block) {
        return Units::new(operation)?.give(unit_at(segment, block));
    }
    let (at, shape, index) = chunk_of(operation, block)?;
    let class = shape.class;
    let bitmap = at + chunk::BITMAP + index / 64 * WORD;
    let (bits, bit) = (operation.read(bitmap), 1 << (index % 64));
    if bits & bit != 0 {
        return Err(corrupt(format!("block {block:#x} is freed twice")));
    }
    let free = operation.read(at + chunk::FREE).wrapping_add(1);
    operation.write(bitmap, bits | bit);
    operation.write(at + chunk::FREE, free);
    if free == 1 {
        let kept = operation.read(partial(class));
        link_chunk(operation, class, at)?;
        // One that was kept empty is not needed any more.
        if kept != 0 && operation.read(kept + chunk::FREE) == shape_of(segment, kept, class)?.blocks
        {
            give_chunk(operation, class, kept)?;
        }
    } else if free == shape.blocks && (is_scarce(segment) || !is_only_chunk(operation, class, at)) {
        give_chunk(operation, class, at)?;
    }
    Ok(())
}

/// Keeps one empty chunk of a class, lest a block taken and given makes and breaks chunks.
fn is_only_chunk(operation: &Operation, class: usize, at: u64) -> bool {
    operation.read(partial(class)) == at && operation.read(at + chunk::NEXT) == 0
}
