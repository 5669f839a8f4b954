//! Blocks: runs of units by two bitmaps, small ones in chunks, a few at hand in magazines.
//!
//! Of each unit below the frontier the first bitmap says whether a run starts there, the second
//! whether that run is free. So a run is split or joined by changing one or two bits. A chunk is
//! a run cut into blocks of one class, with a bitmap of its own; chunks with free blocks are
//! linked in a list per class.
//!
//! | a block is in   | where that is written                    | changed under                |
//! | --------------- | ---------------------------------------- | ---------------------------- |
//! | its bitmap      | the chunk's bitmap, or the run's free bit | the heap lock                |
//! | a magazine      | the thread's record                      | its thread's record alone    |
//! | unfinished      | the participant's unfinished table       | that participant's records   |
//! | live            | one word that links it                   | that word's lock             |
//! | retired         | the list of retired blocks               | the retired lock             |
//!
//! A small block never starts on a unit's first byte, a large one always does.

use crate::error::{Attempt, Error, Result, Stop, corrupt};
use crate::layout::{self, CLASSES, UNIT, WORD, bitmap_pair, block, chunk, record, superblock};
use crate::operation::{Operation, class_for};
use crate::segment::Segment;
use crate::sync::Ordering;

/// Blocks moved by one refill or flush.
const BATCH: u64 = record::MAGAZINE_ROOM / 2;

fn unit_offset(segment: &Segment, unit: u64) -> u64 {
    segment.data() + unit * UNIT
}

fn unit_at(segment: &Segment, offset: u64) -> u64 {
    (offset - segment.data()) / UNIT
}

/// What a block is, by its offset alone.
pub fn is_large(segment: &Segment, block: u64) -> bool {
    (block - segment.data()).is_multiple_of(UNIT)
}

/// Where the payload of a block starts.
pub fn payload(segment: &Segment, block: u64) -> u64 {
    block
        + if is_large(segment, block) {
            block::LARGE
        } else {
            block::SMALL
        }
}

/// The block whose payload starts at `payload`, checked as data of a peer.
///
/// # Errors
/// `Corrupt` if no block can start there.
pub fn block_of(segment: &Segment, payload: u64) -> Result<u64> {
    segment.check_range(payload, WORD)?;
    let large = payload.wrapping_sub(block::LARGE);
    let block = if large >= segment.data() && is_large(segment, large) {
        large
    } else {
        payload - block::SMALL
    };
    segment.check_range(block, block::SMALL)?;
    Ok(block)
}

/// Bits of the two bitmaps, through the operation's record.
struct Units<'o, 'a> {
    operation: &'o mut Operation<'a>,
    frontier: u64,
}

impl<'o, 'a> Units<'o, 'a> {
    fn new(operation: &'o mut Operation<'a>) -> Result<Self> {
        let frontier = operation.read(superblock::FRONTIER);
        let segment = operation.segment;
        segment.check_range(segment.data(), frontier.saturating_mul(UNIT))?;
        Ok(Units {
            operation,
            frontier,
        })
    }

    fn starts(&self, pair: u64) -> u64 {
        self.operation.read(bitmap_pair(pair * 64))
    }

    fn free(&self, pair: u64) -> u64 {
        self.operation.read(bitmap_pair(pair * 64) + WORD)
    }

    fn set(&mut self, unit: u64, second: bool, value: bool) {
        let word = bitmap_pair(unit) + if second { WORD } else { 0 };
        let (old, bit) = (self.operation.read(word), 1 << (unit % 64));
        self.operation
            .write(word, if value { old | bit } else { old & !bit });
    }

    fn is_free(&self, unit: u64) -> bool {
        self.free(unit / 64) >> (unit % 64) & 1 != 0
    }

    fn is_start(&self, unit: u64) -> bool {
        self.starts(unit / 64) >> (unit % 64) & 1 != 0
    }

    /// The first unit after the run that `unit` is in.
    fn end(&self, unit: u64) -> u64 {
        let mut at = unit + 1;
        while at < self.frontier {
            let rest = self.starts(at / 64) >> (at % 64);
            if rest != 0 {
                return (at + u64::from(rest.trailing_zeros())).min(self.frontier);
            }
            at = (at / 64 + 1) * 64;
        }
        self.frontier
    }

    /// The first unit of the run that `unit` is in.
    fn start(&self, unit: u64) -> u64 {
        let mut pair = unit / 64;
        let mut word = self.starts(pair) & (u64::MAX >> (63 - unit % 64));
        while word == 0 && pair > 0 {
            pair -= 1;
            word = self.starts(pair);
        }
        if word == 0 {
            0
        } else {
            pair * 64 + 63 - u64::from(word.leading_zeros())
        }
    }

    /// First fit.
    fn find(&self, units: u64) -> Option<u64> {
        let segment = self.operation.segment;
        let hint = segment.word(superblock::FIRST_FREE);
        let first = hint.load(Ordering::Relaxed).min(self.frontier) / 64;
        let mut passed = true; // nothing free so far: the hint may rise
        for pair in first..self.frontier.div_ceil(64) {
            let mut word = self.free(pair);
            if passed && word != 0 {
                hint.store(pair * 64, Ordering::Relaxed);
                passed = false;
            }
            while word != 0 {
                let unit = pair * 64 + u64::from(word.trailing_zeros());
                if unit < self.frontier && self.end(unit) - unit >= units {
                    return Some(unit);
                }
                word &= word - 1;
            }
        }
        None
    }

    /// Writes the entries that make a run of `units` used.
    fn take(&mut self, units: u64) -> Attempt<u64> {
        let segment = self.operation.segment;
        if let Some(unit) = self.find(units) {
            let end = self.end(unit);
            self.set(unit, true, false);
            if end > unit + units {
                self.set(unit + units, false, true);
                self.set(unit + units, true, true);
            }
            return Ok(unit);
        }
        let unit = self.frontier;
        let end = unit.saturating_add(units);
        if end > (segment.size() - segment.data()) / UNIT {
            return Err(Stop::Grow(units * UNIT));
        }
        self.set(unit, false, true);
        self.operation.write(superblock::FRONTIER, end);
        Ok(unit)
    }

    /// Writes the entries that make the run starting at `unit` free, joined with its neighbours.
    fn give(&mut self, unit: u64) -> Result<()> {
        if unit >= self.frontier || !self.is_start(unit) || self.is_free(unit) {
            return Err(corrupt(format!(
                "unit {unit} is freed but starts no used run"
            )));
        }
        let next = self.end(unit);
        if next < self.frontier && self.is_free(next) {
            self.set(next, false, false);
            self.set(next, true, false);
        }
        let mut first = unit;
        if unit > 0 && self.is_free(self.start(unit - 1)) {
            first = self.start(unit - 1);
            self.set(unit, false, false);
        } else {
            self.set(unit, true, true);
        }
        let hint = self.operation.segment.word(superblock::FIRST_FREE);
        hint.fetch_min(first, Ordering::Relaxed); // before the commit: at worst too low
        Ok(())
    }
}

fn partial(class: usize) -> u64 {
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
    let mut at = operation.read(partial(class));
    if at == 0 {
        at = new_chunk(operation, class)?;
    }
    operation.segment.check_range(at, chunk::BLOCKS)?;
    let (stock, magazine) = operation.stock(class);
    let mut free = operation.read(at + chunk::FREE);
    let mut count = stock;
    for word in 0..4 {
        let bitmap = at + chunk::BITMAP + word * WORD;
        let mut bits = operation.read(bitmap);
        while bits != 0 && count < BATCH && free > 0 {
            let index = word * 64 + u64::from(bits.trailing_zeros());
            bits &= bits - 1;
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
    operation.write(magazine, count);
    operation.write(at + chunk::FREE, free);
    if free == 0 {
        unlink_chunk(operation, class, at)?;
    }
    operation.commit();
    Ok(())
}

/// The first word of a chunk, which no large block's head equals.
fn chunk_shape(class: usize, blocks: u64) -> u64 {
    class as u64 | blocks << 8 | chunk::TAG
}

/// How many blocks of the class a chunk holds.
fn chunk_blocks(class: usize) -> u64 {
    (layout::chunk_units(class) * UNIT - chunk::BLOCKS) / CLASSES[class]
}

/// The class of the chunk at `at`, if it is one.
fn chunk_class(segment: &Segment, at: u64) -> Option<usize> {
    let shape = segment.word(at + chunk::SHAPE).load(Ordering::Relaxed);
    let class = (shape & 0xFF) as usize;
    (class < CLASSES.len() && shape == chunk_shape(class, chunk_blocks(class))).then_some(class)
}

/// Cuts a run into free blocks and lists it; a record of its own.
fn new_chunk(operation: &mut Operation, class: usize) -> Attempt<u64> {
    let segment = operation.segment;
    let units = layout::chunk_units(class);
    let unit = Units::new(operation)?.take(units)?;
    let at = unit_offset(segment, unit);
    let blocks = chunk_blocks(class);
    // Nobody reads a free run: its new head needs no entry.
    segment
        .word(at + chunk::SHAPE)
        .store(chunk_shape(class, blocks), Ordering::Relaxed);
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

/// The chunk of a small block: its offset, class and the block's index.
fn chunk_of(operation: &mut Operation, block: u64) -> Result<(u64, usize, u64)> {
    let segment = operation.segment;
    segment.check_range(block, block::SMALL)?;
    let units = Units::new(operation)?;
    let at = unit_offset(segment, units.start(unit_at(segment, block)));
    let inside = block.wrapping_sub(at + chunk::BLOCKS);
    chunk_class(segment, at)
        .filter(|&class| {
            inside.is_multiple_of(CLASSES[class]) && inside / CLASSES[class] < chunk_blocks(class)
        })
        .map(|class| (at, class, inside / CLASSES[class]))
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
    let (at, class, index) = chunk_of(operation, block)?;
    let bitmap = at + chunk::BITMAP + index / 64 * WORD;
    let (bits, bit) = (operation.read(bitmap), 1 << (index % 64));
    if bits & bit != 0 {
        return Err(corrupt(format!("block {block:#x} is freed twice")));
    }
    let free = operation.read(at + chunk::FREE).wrapping_add(1);
    operation.write(bitmap, bits | bit);
    operation.write(at + chunk::FREE, free);
    if free == 1 {
        link_chunk(operation, class, at)?;
    } else if free == chunk_blocks(class) && !is_only_chunk(operation, class, at) {
        unlink_chunk(operation, class, at)?;
        return Units::new(operation)?.give(unit_at(segment, at));
    }
    Ok(())
}

/// Keeps one empty chunk of a class, lest a block taken and given makes and breaks chunks.
fn is_only_chunk(operation: &Operation, class: usize, at: u64) -> bool {
    operation.read(partial(class)) == at && operation.read(at + chunk::NEXT) == 0
}

/// Takes a block that holds `payload` bytes and records it in `owner`, a word of the caller's
/// tables, by one record.
///
/// # Errors
/// `Stop` as the magazines and the heap lock have it; `Full` if no space can hold it.
///
/// # Crash
/// Before the commit it is free, after it the drainer of `owner`'s slot frees it.
pub fn allocate(operation: &mut Operation, payload: u64, owner: u64) -> Attempt<u64> {
    let segment = operation.segment;
    let block = match class_for(payload) {
        Some(class) => operation.take(class)?,
        None => {
            let bytes = payload
                .checked_add(block::LARGE)
                .filter(|&bytes| bytes < 1 << 60);
            let bytes = bytes.ok_or_else(|| Error::Full(format!("{payload} bytes fit nowhere")))?;
            operation.lock(superblock::HEAP_LOCK)?;
            let unit = Units::new(operation)?.take(bytes.div_ceil(UNIT))?;
            unit_offset(segment, unit)
        }
    };
    operation.write(owner, block);
    operation.commit();
    crate::crash_point!("heap.allocated");
    Ok(block)
}

/// Frees the block recorded in `owner`, and clears that word, by one record.
///
/// # Errors
/// `Stop`, as for `allocate`; `Corrupt` if the word names no used block.
pub fn free(operation: &mut Operation, owner: u64) -> Attempt<()> {
    let block = operation.read(owner);
    if block == 0 {
        return Ok(());
    }
    discard(operation, block)?;
    operation.write(owner, 0);
    operation.commit();
    Ok(())
}

/// Writes the entries that free a used block: into the magazine, or the heap if it is large or
/// if we are the guest in the reserved slot, which is freed without being drained.
///
/// # Errors
/// `Stop`, as for `allocate`; `Corrupt` if it is no used block.
pub fn discard(operation: &mut Operation, block: u64) -> Attempt<()> {
    operation.segment.check_range(block, block::SMALL)?;
    if is_large(operation.segment, block) || operation.me().slot == layout::RESERVED_SLOT {
        operation.lock(superblock::HEAP_LOCK)?;
        return Ok(release(operation, block)?);
    }
    // Not under the heap lock: the bits that bound a chunk stay while a block in it is used.
    let (_, class, _) = chunk_of(operation, block)?;
    operation.give(class, block)
}

/// Writes a new block's head: how many bytes it holds, what they are, and its serial.
pub fn head(segment: &Segment, block: u64, length: u64, kind: u64) -> u64 {
    let serial = segment
        .word(superblock::NEXT_SERIAL)
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_add(1);
    segment
        .word(block + block::SHAPE)
        .store(length | kind << 56, Ordering::Relaxed);
    segment
        .word(block + block::SERIAL)
        .store(serial, Ordering::Relaxed);
    serial
}

/// A walk over the heap, for `check`: each chunk and each large block, and what is free.
pub struct Walk {
    pub blocks: Vec<(u64, u64)>,
    pub free: Vec<u64>,
    pub free_units: u64,
}

/// Walks all runs under the heap lock, checking the bitmaps against each other.
///
/// # Errors
/// `Corrupt` with what contradicts what.
pub fn walk(operation: &mut Operation) -> Attempt<Walk> {
    operation.lock(superblock::HEAP_LOCK)?;
    let segment = operation.segment;
    let mut walk = Walk {
        blocks: Vec::new(),
        free: Vec::new(),
        free_units: 0,
    };
    let mut listed = Vec::new();
    for class in 0..CLASSES.len() {
        let (mut at, mut previous) = (operation.read(partial(class)), 0);
        while at != 0 {
            segment.check_range(at, chunk::BLOCKS)?;
            if operation.read(at + chunk::PREVIOUS) != previous || listed.contains(&(class, at)) {
                return Err(corrupt(format!("the list of class {class} breaks at {at:#x}")).into());
            }
            listed.push((class, at));
            (previous, at) = (at, operation.read(at + chunk::NEXT));
        }
    }
    let units = Units::new(operation)?;
    let (mut unit, mut was_free) = (0, false);
    let mut runs = Vec::new();
    while unit < units.frontier {
        let (end, free) = (units.end(unit), units.is_free(unit));
        let inner = (unit + 1..end).any(|inside| units.is_free(inside));
        if !units.is_start(unit) || inner || (free && was_free) {
            return Err(
                corrupt(format!("the bitmaps contradict each other at unit {unit}")).into(),
            );
        }
        if free {
            walk.free_units += end - unit;
        } else {
            runs.push((unit, end - unit));
        }
        (unit, was_free) = (end, free);
    }
    for (unit, length) in runs {
        walk_run(segment, &mut walk, &mut listed, unit, length)?;
    }
    match listed.first() {
        None => Ok(walk),
        Some((_, at)) => Err(corrupt(format!("chunk {at:#x} is listed but is none")).into()),
    }
}

/// One used run: a chunk if a class's list or its shape says so, else a large block.
fn walk_run(
    segment: &Segment,
    walk: &mut Walk,
    listed: &mut Vec<(usize, u64)>,
    unit: u64,
    length: u64,
) -> Result<()> {
    let at = unit_offset(segment, unit);
    let read = |offset| segment.word(at + offset).load(Ordering::Relaxed);
    let class = chunk_class(segment, at).filter(|&class| length == layout::chunk_units(class));
    let Some(class) = class else {
        walk.blocks.push((at, length * UNIT));
        return Ok(());
    };
    let mut free = 0;
    for index in 0..chunk_blocks(class) {
        let block = at + chunk::BLOCKS + index * CLASSES[class];
        walk.blocks.push((block, CLASSES[class]));
        if read(chunk::BITMAP + index / 64 * WORD) >> (index % 64) & 1 != 0 {
            walk.free.push(block);
            free += 1;
        }
    }
    let place = listed.iter().position(|&entry| entry == (class, at));
    if free != read(chunk::FREE) || (free > 0) != place.is_some() {
        return Err(corrupt(format!(
            "chunk {at:#x}: {free} free, counted {}",
            read(chunk::FREE)
        )));
    }
    if let Some(place) = place {
        listed.swap_remove(place);
    }
    Ok(())
}
