//! Does the space contradict itself? Every block in exactly one state, every reference counted.
//!
//! Exact while no other participant operates; beside busy ones it may see a change half done.

use crate::directory;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::layout::{self, CLASSES, SLOTS, WORD, record, slot, superblock};
use crate::operation::{self, Operation};
use crate::participant::{FREE, State};
use crate::pin;
use crate::rows;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use std::collections::HashMap;

/// What a space holds, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Bytes of the file that may be used, and of these in blocks that hold something.
    pub size: u64,
    pub used: u64,
    /// Blocks linked by an object or a table.
    pub live_blocks: u64,
    /// Blocks at hand in magazines, unfinished, or retired.
    pub idle_blocks: u64,
    pub objects: u64,
    pub tickets: u64,
    /// Slots that are not FREE.
    pub participants: u64,
}

/// Walks the whole space. What the dead still hold is given back first.
///
/// # Errors
/// `Corrupt` names the first contradiction.
pub fn check(space: &Space, patience: Patience) -> Result<Census> {
    space.sweep(patience)?;
    let segment = &space.segment;
    let damaged = segment.word(superblock::DAMAGED).load(Ordering::Relaxed);
    if damaged != 0 {
        return Err(corrupt(format!(
            "{}: a record at {damaged:#x} could not be replayed; copy out what you need and \
             make a new space",
            segment.path().display()
        )));
    }
    if segment.word(superblock::CRC).load(Ordering::Relaxed) != u64::from(segment.superblock_crc())
    {
        return Err(corrupt(format!(
            "{}: the superblock changed",
            segment.path().display()
        )));
    }
    space.run(patience, |operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        operation.lock(superblock::RETIRED_LOCK)?;
        let walk = heap::walk(operation)?;
        examine(space, operation, &walk)
    })
}

/// Who claims a block, and how often.
struct Claims {
    claimed: HashMap<u64, &'static str>,
}

impl Claims {
    fn add(&mut self, block: u64, owner: &'static str) -> Result<()> {
        match self.claimed.insert(block, owner) {
            None => Ok(()),
            Some(other) => Err(corrupt(format!(
                "block {block:#x} is {owner} and also {other}"
            ))),
        }
    }
}

fn examine(space: &Space, operation: &mut Operation, walk: &heap::Walk) -> Attempt<Census> {
    let segment = &space.segment;
    let mut claims = Claims {
        claimed: HashMap::new(),
    };
    let mut references: HashMap<u64, u64> = HashMap::new();
    let mut census = Census {
        size: segment.size() - segment.data(),
        ..Census::default()
    };
    for &block in &walk.free {
        claims.add(block, "free in its chunk")?;
    }
    for block in pin::list(operation)? {
        claims.add(block, "retired")?;
        census.idle_blocks += 1;
    }
    let mut table = |claims: &mut Claims, head: u64| -> Result<()> {
        for part in 0..rows::SEGMENTS {
            let payload = segment.word(head + part * WORD).load(Ordering::Relaxed);
            if payload != 0 {
                claims.add(heap::block_of(segment, payload)?, "a table")?;
                census.live_blocks += 1;
            }
        }
        Ok(())
    };
    table(&mut claims, superblock::OBJECTS)?;
    table(&mut claims, superblock::TICKETS)?;
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
        table(&mut claims, layout::slot_record(slot) + slot::MEMBERS)?;
    }
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
        census.participants += 1;
        let base = layout::slot_record(slot);
        for index in 0..slot::RECORD_COUNT {
            for class in 0..CLASSES.len() {
                let magazine = operation::magazine(layout::thread_record(slot, index), class);
                let count = segment.word(magazine).load(Ordering::Relaxed);
                for at in 1..=count.min(record::MAGAZINE_ROOM) {
                    let block = segment.word(magazine + at * WORD).load(Ordering::Relaxed);
                    claims.add(block, "in a magazine")?;
                    census.idle_blocks += 1;
                }
            }
        }
        for row in 0..slot::UNFINISHED_ROWS {
            let word = base + slot::UNFINISHED + row * WORD;
            let block = segment.word(word).load(Ordering::Relaxed);
            if block != 0 {
                claims.add(block, "unfinished")?;
                census.idle_blocks += 1;
            }
        }
    }
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
        let members = layout::slot_record(slot) + slot::MEMBERS;
        for (_, at) in rows::each(segment, members, directory::MEMBER_ROW)? {
            let row = segment.word(at).load(Ordering::Relaxed);
            if row != 0 {
                *references.entry(row - 1).or_default() += 1;
            }
        }
    }
    for row in directory::tickets(operation)? {
        *references.entry(row).or_default() += 1;
        census.tickets += 1;
    }
    for object in directory::list(operation)? {
        census.objects += 1;
        let counted = references.remove(&object.row).unwrap_or(0);
        if counted != object.references {
            return Err(corrupt(format!(
                "object {} has {} references, {counted} were found",
                object.row, object.references
            ))
            .into());
        }
        for block in (space.hooks.blocks)(segment, object.kind, object.root)? {
            claims.add(block, "part of an object")?;
            census.live_blocks += 1;
        }
    }
    if let Some(row) = references.keys().next() {
        return Err(corrupt(format!("a reference names object {row}, which is gone")).into());
    }
    for &(block, bytes) in &walk.blocks {
        match claims.claimed.remove(&block) {
            Some("free in its chunk" | "in a magazine") => {}
            Some(_) => census.used += bytes,
            None => return Err(corrupt(format!("block {block:#x} belongs to nobody")).into()),
        }
    }
    match claims.claimed.iter().next() {
        None => Ok(census),
        Some((block, owner)) => Err(corrupt(format!("{block:#x}, {owner}, is no block")).into()),
    }
}
