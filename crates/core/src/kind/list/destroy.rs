//! Taking lists apart, a piece a record, and what they consist of.

use super::rebuild::{leave, unlink};
use super::state::{FIRST, HEAD, LEFT, Ring, version};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::layout::{WORD, block};
use crate::memory::segment::Segment;
use crate::object::link;
use crate::object::sample::{COUNTED, SAMPLED, Sample, places};
use crate::object::{linked, shape_of};
use crate::offset::{Object, Root};
use crate::space::{Blocks, deferred_free as deferred};
use crate::sync::Ordering;
use crate::{heap, value};

/// Words of a ring that one record looks at.
const LOOKED_AT: u64 = 1024;

/// Writes the entries that free a list with its last reference: wholly if it has no ring.
///
/// # Errors
/// `Stop` as the heap and the directory have it.
pub(super) fn destroy(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    if Ring::read(operation.segment, object)?.block == 0 {
        return heap::discard(operation, root.0);
    }
    deferred::add(operation, root.0)
}

/// Writes and commits the record that frees the next piece of a list being freed: its ring is being
/// freed.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`.
pub(super) fn free_step(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    let ring = Ring::read(operation.segment, object)?;
    if ring.block == 0 {
        deferred::free_head(operation, root.0)?;
    } else {
        leave(operation, ring);
        unlink(operation, object, ring)?;
    }
    operation.commit();
    Ok(())
}

/// The ring in a block that is being freed, or in nobody's hands yet: its shape says how large.
fn ring_in(segment: &Segment, block: u64) -> Result<Ring> {
    segment.check_range(block, block::SMALL)?;
    let (_, length, payload) = shape_of(segment, block)?;
    let read = |at| segment.word(payload + at).load(Ordering::Relaxed);
    let capacity = length.saturating_sub(HEAD) / WORD;
    let words = super::state::words_of(segment, block, capacity)?;
    Ok(Ring {
        block,
        words,
        capacity,
        start: read(FIRST).min(capacity - 1),
        count: read(LEFT).min(capacity),
    })
}

/// As `free_step`, of a ring being freed with its elements.
///
/// # Errors
/// As `free_step`.
pub(super) fn free_ring_step(operation: &mut Operation, block: u64) -> Attempt<()> {
    let segment = operation.segment;
    let ring = ring_in(segment, block)?;
    let mut left = ring.count;
    let end = left.saturating_sub(LOOKED_AT);
    let mut found = None;
    while left > end && found.is_none() {
        left -= 1;
        found = linked(segment, operation.read(ring.word(left)))?;
    }
    if ring.count == 0 {
        deferred::free_head(operation, block)?;
    } else {
        operation.write(ring.words - HEAD + LEFT, left);
    }
    if let Some(found) = found {
        value::discard(operation, found)?;
    }
    operation.commit();
    Ok(())
}

/// What a list consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn blocks(segment: &Segment, root: Root, object: Object) -> Result<Blocks> {
    let ring = Ring::read(segment, object)?;
    let mut found = Blocks {
        version: version(segment, object),
        blocks: vec![root.0],
        links: Vec::new(),
    };
    if ring.block != 0 {
        found.blocks.push(ring.block);
    }
    add_elements(segment, &mut found, ring)?;
    Ok(found)
}

/// What a ring that is no list's consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn ring_blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let mut found = Blocks {
        blocks: vec![block],
        ..Blocks::default()
    };
    add_elements(segment, &mut found, ring_in(segment, block)?)?;
    Ok(found)
}

fn add_elements(segment: &Segment, found: &mut Blocks, ring: Ring) -> Result<()> {
    for index in 0..ring.count {
        let word = segment.word(ring.word(index)).load(Ordering::Relaxed);
        if let Some(block) = linked(segment, word)? {
            link::add(segment, found, block)?;
        }
    }
    Ok(())
}

/// Blocks of a list that stand for all of them: of the elements' a part.
///
/// # Errors
/// `Corrupt`.
pub(super) fn sample(segment: &Segment, root: Root, object: Object) -> Result<Sample> {
    let ring = Ring::read(segment, object)?;
    if ring.count <= COUNTED {
        return blocks(segment, root, object).map(Sample::from);
    }
    let (mut sample, mut found) = (Sample::default(), Blocks::default());
    sample.add(root.0);
    sample.add(ring.block);
    for index in places(ring.count, SAMPLED) {
        let word = segment.word(ring.word(index)).load(Ordering::Relaxed);
        if let Some(block) = linked(segment, word)? {
            link::add(segment, &mut found, block)?;
        }
    }
    sample.extend(found.blocks, (SAMPLED, ring.count));
    Ok(sample)
}
