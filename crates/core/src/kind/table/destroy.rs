//! Taking tables apart, a piece a record, and what they consist of.

use super::entry;
use super::entry::Entry;
use super::recent;
use super::state::{BLOCK, COUNT, FIRST, SHARDS, Shard, Storage, USED, count, version};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::memory::layout::{GRAIN, LINE, WORD, kind};
use crate::memory::segment::Segment;
use crate::object::link;
use crate::object::linked;
use crate::object::sample::{COUNTED, SAMPLED, Sample, places};
use crate::offset::{Object, Root};
use crate::seed::{Bug, seeded};
use crate::space::{Blocks, deferred_free as deferred};
use crate::sync::Ordering;
use crate::{heap, value};

/// Places of an order that one record looks at.
const LOOKED_AT: u64 = 1024;

/// Writes the entries that defer the freeing of a shard's index and order, with all entries, and
/// unlink them.
pub(super) fn defer_storage(operation: &mut Operation, link: u64, used: u64) -> Attempt<()> {
    if let Some(storage) = Storage::new(operation.segment, operation.read(link))? {
        let used = operation.read(used).min(storage.room());
        if !seeded(Bug::LeftNotCounted) {
            operation.write(storage.left(), used);
        }
        operation.write(link, 0);
        deferred::add(operation, storage.block)?;
    }
    Ok(())
}

/// Writes the entries that free a table with its last reference: wholly if it is empty.
///
/// # Errors
/// `Stop` as the heap and the directory have it.
pub(super) fn destroy(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    let is_whole = recent::block(operation.segment, object)?.is_none();
    if is_whole && Shard::all(object).all(|shard| operation.read(shard.0 + BLOCK) == 0) {
        return heap::discard(operation, root.0);
    }
    deferred::add(operation, root.0)
}

/// Writes and commits the record that frees the next piece of a table being freed.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`.
pub(super) fn free_step(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    let full = Shard::all(object).find(|shard| operation.read(shard.0 + BLOCK) != 0);
    match (full, recent::block(operation.segment, object)?) {
        (Some(shard), _) => defer_storage(operation, shard.0 + BLOCK, shard.0 + USED)?,
        (None, Some(block)) => recent::discard(operation, object, block)?,
        (None, None) => deferred::free_head(operation, root.0)?,
    }
    operation.commit();
    Ok(())
}

/// The storage in a block that is being freed, or in nobody's hands yet: its shape says how large.
fn storage_in(segment: &Segment, block: u64) -> Result<Storage> {
    let (_, length, _) = crate::object::shape_of(segment, block)?;
    let log = (2..GRAIN).find(|&log| super::state::bytes(1 << log) == length);
    let storage = match log {
        Some(log) => Storage::new(segment, block | log)?,
        None => None,
    };
    storage.ok_or_else(|| corrupt(format!("no index of a table has {length} bytes")))
}

/// As `free_step`, of an index that is being freed with its entries.
///
/// # Errors
/// As `free_step`.
pub(super) fn free_index_step(operation: &mut Operation, block: u64) -> Attempt<()> {
    let segment = operation.segment;
    let storage = storage_in(segment, block)?;
    let mut left = operation.read(storage.left()).min(storage.room());
    let end = left.saturating_sub(LOOKED_AT);
    while left > end {
        left -= 1;
        let word = operation.read(storage.place(left));
        if word != 0 {
            let entry = Entry::at(segment, word)?;
            heap::discard(operation, entry.0)?;
            value::discard(operation, entry.value(segment))?;
            break;
        }
    }
    if operation.read(storage.left()) == 0 {
        deferred::free_head(operation, block)?;
    } else {
        operation.write(storage.left(), left);
    }
    operation.commit();
    Ok(())
}

/// As `free_step`, of an entry that was never linked or is not any more.
///
/// # Errors
/// As `free_step`.
pub(super) fn free_entry_step(operation: &mut Operation, block: u64) -> Attempt<()> {
    let entry = Entry::at(operation.segment, block)?;
    let value = entry.value(operation.segment);
    // Off the list before its value may come onto it.
    deferred::free_head(operation, block)?;
    value::discard(operation, value)?;
    operation.commit();
    Ok(())
}

/// What a table consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn blocks(segment: &Segment, root: Root, object: Object) -> Result<Blocks> {
    let mut found = Blocks {
        version: version(segment, object),
        blocks: vec![root.0],
        links: Vec::new(),
    };
    found.blocks.extend(recent::block(segment, object)?);
    for shard in Shard::all(object) {
        if let Some(storage) = shard.store(segment)? {
            found.blocks.push(storage.block);
            let used = segment.word(shard.0 + USED).load(Ordering::Relaxed);
            add_entries(segment, &mut found, storage, used.min(storage.room()))?;
        }
    }
    Ok(found)
}

/// What an index that is no table's consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn index_blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let mut found = only(block);
    let storage = storage_in(segment, block)?;
    let left = segment.word(storage.left()).load(Ordering::Relaxed);
    add_entries(segment, &mut found, storage, left.min(storage.room()))?;
    Ok(found)
}

/// What an entry consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn entry_blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let mut found = only(block);
    let value = Entry::at(segment, block)?.value(segment);
    add_value(segment, &mut found, value)?;
    Ok(found)
}

/// What a block of words consists of: values, and entries.
///
/// # Errors
/// `Corrupt`.
pub(super) fn words_blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let mut found = only(block);
    let read = |word: u64| segment.word(word).load(Ordering::Relaxed);
    let count = heap::payload(segment, block);
    segment.check_range(count, WORD)?;
    for index in 0..read(count).min(segment.size() / LINE) {
        let word = count + WORD + index * WORD;
        segment.check_range(word, WORD)?;
        add_block(segment, &mut found, read(word))?;
    }
    Ok(found)
}

fn only(block: u64) -> Blocks {
    Blocks {
        blocks: vec![block],
        ..Blocks::default()
    }
}

/// Blocks of a table that stand for all of them: of the entries a part of each shard.
///
/// # Errors
/// `Corrupt`.
pub(super) fn sample(segment: &Segment, root: Root, object: Object) -> Result<Sample> {
    if count(segment, object) <= COUNTED {
        return blocks(segment, root, object).map(Sample::from);
    }
    let read = |word: u64| segment.word(word).load(Ordering::Relaxed);
    let mut sample = Sample::default();
    sample.add(root.0);
    if let Some(block) = recent::block(segment, object)? {
        sample.add(block);
    }
    for shard in Shard::all(object) {
        let Some(storage) = shard.store(segment)? else {
            continue;
        };
        sample.add(storage.block);
        let used = read(shard.0 + USED).min(storage.room());
        let first = read(shard.0 + FIRST).min(used);
        let (mut found, mut looked) = (Blocks::default(), 0);
        for place in places(used - first, SAMPLED / SHARDS) {
            let word = read(storage.place(first + place));
            if word != 0 {
                add_block(segment, &mut found, word)?;
                looked += 1;
            }
        }
        sample.extend(found.blocks, (looked, read(shard.0 + COUNT)));
    }
    Ok(sample)
}

fn add_entries(segment: &Segment, found: &mut Blocks, storage: Storage, used: u64) -> Result<()> {
    for place in 0..used {
        let word = segment.word(storage.place(place)).load(Ordering::Relaxed);
        if word != 0 {
            add_block(segment, found, word)?;
        }
    }
    Ok(())
}

/// A block that a word names, with the value of an entry.
fn add_block(segment: &Segment, found: &mut Blocks, word: u64) -> Result<()> {
    let Some(block) = linked(segment, word)? else {
        return Ok(());
    };
    link::add(segment, found, block)?;
    if deferred::kind_of(segment, block) == kind::ENTRY {
        add_value(segment, found, Entry::at(segment, block)?.value(segment))?;
    }
    Ok(())
}

fn add_value(segment: &Segment, found: &mut Blocks, word: u64) -> Result<()> {
    if !entry::is_inline(word)
        && let Some(block) = linked(segment, word)?
    {
        link::add(segment, found, block)?;
    }
    Ok(())
}
