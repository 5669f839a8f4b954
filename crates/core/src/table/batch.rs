//! Many keys at once: all of them, or none, by one record that chains.

use super::change::{Fresh, Item, exchange, insert, tidy};
use super::entry::Entry;
use super::grow::grow;
use super::read::{Probe, probe};
use super::{INLINE_MOST, Key, Shard, Table};
use crate::cell::EVENT;
use crate::error::Result;
use crate::layout::{WORD, block, kind};
use crate::participant::Participant;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use crate::unfinished::Unfinished;
use std::collections::HashMap;

/// Entries of the record for each item: at most its index word, its place, and the word of the
/// batch that then names the old entry; for each shard its counts.
const ENTRIES: u64 = 3;
const MORE: u64 = 64;

/// Entries about to be linked. They are ours, in the words of a block with contents.
pub struct Batch<'a> {
    space: &'a Space,
    participant: &'a Participant,
    words: Unfinished<'a>,
    room: u64,
}

impl<'a> Batch<'a> {
    /// Room for so many entries.
    ///
    /// # Errors
    /// `Full`.
    pub fn new(
        space: &'a Space,
        participant: &'a Participant,
        patience: Patience,
        room: u64,
    ) -> Result<Batch<'a>> {
        let length = (1 + room) * WORD;
        let words = Unfinished::allocate(space, participant, patience, length, kind::PLAIN)?;
        let segment = &space.segment;
        segment.zero(words.payload(), length);
        let shape = segment.word(words.block() + block::SHAPE);
        shape.store(length | kind::WORDS << 56, Ordering::Relaxed);
        Ok(Batch {
            space,
            participant,
            words,
            room,
        })
    }

    fn count(&self) -> u64 {
        let count = self.space.segment.word(self.words.payload());
        count.load(Ordering::Relaxed).min(self.room)
    }

    fn word(&self, index: u64) -> u64 {
        self.words.payload() + (1 + index) * WORD
    }

    fn entry(&self, index: u64) -> Result<Entry> {
        let segment = &self.space.segment;
        let word = segment.word(self.word(index)).load(Ordering::Relaxed);
        Entry::at(segment, word)
    }

    /// Makes an entry of the batch.
    ///
    /// # Errors
    /// `Full`: the batch then has one less.
    ///
    /// # Crash
    /// One record takes the entry from our hands into the batch, which is ours.
    pub fn add(&mut self, patience: Patience, item: &Item) -> Result<()> {
        let (space, segment) = (self.space, &self.space.segment);
        let inline: u64 = match &item.value {
            Fresh::Bytes(_, parts) => parts.iter().map(|part| part.len() as u64).sum(),
            _ => 0,
        };
        debug_assert!(inline <= INLINE_MOST);
        let size = Entry::size(&item.key, item.original, inline)?;
        let own = Unfinished::allocate(space, self.participant, &mut *patience, size, kind::PLAIN)?;
        let entry = Entry(own.block());
        entry.fill(segment, &item.key, item.original, size, 0);
        // Until its value is its own the block has no contents.
        let shape = segment.word(own.block() + block::SHAPE);
        shape.store(size | kind::PLAIN << 56, Ordering::Relaxed);
        let word = match &item.value {
            Fresh::Word(word) => *word,
            Fresh::Block(block) => block.block(),
            Fresh::Bytes(kind, parts) => entry.fill_inline(segment, *kind, parts)?,
        };
        entry.set_value(segment, word);
        let (count, place) = (self.count(), self.word(self.count()));
        space.run_as(self.participant, patience, |operation| {
            operation.write(own.block() + block::SHAPE, size | kind::ENTRY << 56);
            operation.write(place, own.block());
            operation.write(self.words.payload(), count + 1);
            own.pass_on(operation, 0);
            if let Fresh::Block(block) = &item.value {
                block.pass_on(operation, 0);
            }
            operation.commit();
            Ok(())
        })
    }
}

/// Stores all entries of a batch, the later of two with one key.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links all of them, and leaves to the batch the entries that they replaced.
pub fn store_all(patience: Patience, table: Table, batch: &Batch) -> Result<()> {
    let (space, participant) = (batch.space, batch.participant);
    let segment = &space.segment;
    let mut hashes = Vec::new();
    let mut buffer = Vec::new();
    for index in 0..batch.count() {
        let tag = batch.entry(index)?.copy_key(segment, &mut buffer)?;
        let key = Key {
            tag,
            bytes: &buffer,
        };
        hashes.push(key.hash());
    }
    let mut shards: HashMap<u64, u64> = HashMap::new();
    for &hash in &hashes {
        *shards.entry(hash % super::SHARDS).or_default() += 1;
    }
    let pairs = batch.count() * ENTRIES + MORE;
    let bytes = pairs * 2 * WORD;
    let chain = Unfinished::allocate(space, participant, &mut *patience, bytes, kind::PLAIN)?;
    loop {
        let full = space.run_as(participant, &mut *patience, |operation| {
            operation.chain(chain.payload(), pairs);
            for index in (0..super::SHARDS).filter(|index| shards.contains_key(index)) {
                Shard::at(table.cell, index).lock(operation, table)?;
            }
            let mut replaced = 0;
            for (index, &hash) in (0..).zip(&hashes) {
                let shard = Shard::of(table.cell, hash);
                let Some(storage) = shard.store(segment)? else {
                    return Ok(Some(shard));
                };
                let new = batch.entry(index)?;
                let tag = new.copy_key(segment, &mut buffer)?;
                let key = Key {
                    tag,
                    bytes: &buffer,
                };
                let found = probe(segment, |word| operation.read(word), storage, &key, hash)?;
                match found {
                    Probe::There(slot, old) => {
                        exchange(operation, storage, slot, old, new)?;
                        // It is read by nobody else from the commit on: the batch's.
                        operation.write(batch.word(replaced), old.0);
                        replaced += 1;
                    }
                    Probe::Vacant(slot) => {
                        if !insert(operation, shard, storage, slot, hash, new)? {
                            return Ok(Some(shard));
                        }
                    }
                }
            }
            operation.write(batch.words.payload(), replaced);
            for index in (0..super::SHARDS).filter(|index| shards.contains_key(index)) {
                operation.sequence(Shard::at(table.cell, index).sequence());
            }
            operation.owe_quietly(table.cell + EVENT);
            operation.commit();
            Ok(None)
        })?;
        let Some(shard) = full else {
            return tidy(space, participant, patience);
        };
        let more = (0..super::SHARDS).find(|&index| Shard::at(table.cell, index) == shard);
        let more = more.and_then(|index| shards.get(&index)).copied();
        grow(
            space,
            participant,
            &mut *patience,
            table,
            shard,
            more.unwrap_or(1),
        )?;
    }
}
