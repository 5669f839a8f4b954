//! What an object consists of, and taking it apart.

use super::head::{DATA, PAYLOAD, SEQUENCE, SHAPE, STORED};
use super::stored::linked;
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::heap;
use crate::memory::layout::{block, kind};
use crate::memory::segment::Segment;
use crate::object::link;
use crate::offset::Root;
use crate::space::{Blocks, deferred_free};
use crate::sync::Ordering;

/// Writes the entries that free an object, its root block included.
///
/// # Errors
/// `Stop` as the heap has it.
pub fn destroy(operation: &mut Operation, root: Root) -> Attempt<()> {
    for block in blocks(operation.segment, root)?.blocks {
        if kind::has_contents(deferred_free::kind_of(operation.segment, block)) {
            deferred_free::add(operation, block)?;
        } else {
            heap::discard(operation, block)?;
        }
    }
    Ok(())
}

/// What an object consists of.
///
/// # Errors
/// `Corrupt`.
pub fn blocks(segment: &Segment, root: Root) -> Result<Blocks> {
    segment.check_range(root.0, block::SMALL)?;
    let base = heap::payload(segment, root.0);
    segment.check_range(base, PAYLOAD)?;
    let read = |offset| segment.word(base + offset).load(Ordering::Relaxed);
    let mut found = Blocks {
        version: read(SEQUENCE),
        blocks: vec![root.0],
        links: Vec::new(),
    };
    if read(SHAPE) & 0xFF == STORED
        && let Some(block) = linked(segment, read(DATA))?
    {
        link::add(segment, &mut found, block)?;
    }
    Ok(found)
}
