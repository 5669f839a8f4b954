//! What the heap holds: every block, for `check`, or only how many.

use super::chunk::{Shape, partial};
use super::unit::{Units, unit_offset};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::memory::layout::{self, CLASSES, UNIT, WORD, bits, chunk, superblock};
use crate::memory::segment::Segment;
use crate::room;
use crate::sync::Ordering;
use std::collections::HashMap;

/// A walk over the heap, for `check`: each chunk and each large block, and what is free.
pub struct Walk {
    pub blocks: Vec<(u64, u64)>,
    pub free: Vec<u64>,
    pub free_units: u64,
    /// How many units are given back.
    pub given: u64,
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
        given: 0,
    };
    let mut listed = HashMap::new();
    for class in 0..CLASSES.len() {
        let (mut at, mut previous) = (operation.read(partial(class)), 0);
        while at != 0 {
            segment.check_range(at, chunk::BLOCKS)?;
            if operation.read(at + chunk::PREVIOUS) != previous || listed.contains_key(&at) {
                return Err(corrupt(format!("the list of class {class} breaks at {at:#x}")).into());
            }
            room::reserve_in(&mut listed, 1)?;
            listed.insert(at, class);
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
            room::push(&mut runs, (unit, end - unit))?;
        }
        (unit, was_free) = (end, free);
    }
    let used: u64 = runs.iter().map(|(_, length)| length).sum();
    let counted = operation.read(superblock::USED);
    if used != counted {
        return Err(corrupt(format!("{used} units are in use, counted {counted}")).into());
    }
    walk.given = given(operation, &runs)?;
    for (unit, length) in runs {
        walk_run(segment, &mut walk, &mut listed, unit, length)?;
    }
    match listed.keys().next() {
        None => Ok(walk),
        Some(at) => Err(corrupt(format!("chunk {at:#x} is listed but is none")).into()),
    }
}

/// How many units are given back: none of them in a used run, or beyond the file.
fn given(operation: &mut Operation, used: &[(u64, u64)]) -> Result<u64> {
    let (segment, all) = (operation.segment, operation.segment.units());
    let units = Units::new(operation)?;
    for &(unit, length) in used {
        if let Some(given) = units.next_given(unit, unit + length) {
            return Err(corrupt(format!("unit {given} is in use, and given back")));
        }
    }
    let mut given = 0;
    for pair in 0..all.div_ceil(64) {
        given += u64::from(units.given(pair).count_ones());
    }
    let last = layout::bitmaps(all) + bits::GIVEN;
    let beyond =
        all.is_multiple_of(64) || segment.word(last).load(Ordering::Relaxed) >> (all % 64) == 0;
    let counted = segment.word(superblock::GIVEN).load(Ordering::Relaxed);
    if !beyond || given != counted {
        return Err(corrupt(format!(
            "{given} units are given back, counted {counted}"
        )));
    }
    Ok(given)
}

/// One used run: a chunk if a class's list or its shape says so, else a large block.
fn walk_run(
    segment: &Segment,
    walk: &mut Walk,
    listed: &mut HashMap<u64, usize>,
    unit: u64,
    length: u64,
) -> Result<()> {
    let at = unit_offset(segment, unit);
    let read = |offset| segment.word(at + offset).load(Ordering::Relaxed);
    let shape = Shape::read(segment, at).filter(|shape| length == shape.units);
    let Some(Shape { class, blocks, .. }) = shape else {
        return room::push(&mut walk.blocks, (at, length * UNIT));
    };
    let mut free = 0;
    for index in 0..blocks {
        let block = at + chunk::BLOCKS + index * CLASSES[class];
        room::push(&mut walk.blocks, (block, CLASSES[class]))?;
        if read(chunk::BITMAP + index / 64 * WORD) >> (index % 64) & 1 != 0 {
            room::push(&mut walk.free, block)?;
            free += 1;
        }
    }
    let is_listed = listed.remove(&at) == Some(class);
    if free != read(chunk::FREE) || (free > 0) != is_listed {
        return Err(corrupt(format!(
            "chunk {at:#x}: {free} free, counted {}",
            read(chunk::FREE)
        )));
    }
    Ok(())
}

/// How many blocks are not free, those at hand among them, and their bytes: a look at each run's
/// start, and at the heads of the chunks.
///
/// # Errors
/// `Stop::Busy` on the heap lock; `Corrupt`.
pub fn tally(operation: &mut Operation) -> Attempt<(u64, u64)> {
    operation.lock(superblock::HEAP_LOCK)?;
    let segment = operation.segment;
    let units = Units::new(operation)?;
    let (mut blocks, mut bytes, mut unit) = (0, 0, 0);
    while unit < units.frontier {
        let end = units.end(unit);
        if !units.is_free(unit) {
            let (at, length) = (unit_offset(segment, unit), end - unit);
            let (count, size) = match Shape::read(segment, at) {
                Some(shape) if length == shape.units => {
                    let free = segment.word(at + chunk::FREE).load(Ordering::Relaxed);
                    (shape.blocks.saturating_sub(free), CLASSES[shape.class])
                }
                _ => (1, length * UNIT),
            };
            blocks += count;
            bytes += count * size;
        }
        unit = end;
    }
    Ok((blocks, bytes))
}
