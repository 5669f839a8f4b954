//! Many keys at once, stored and taken out: all of them, or none, by one record that chains.

use super::change::{Item, exchange, insert};
use super::entry::{self, Entry};
use super::grow::{grow, shrink};
use super::read::{Probe, original_of, probe};
use super::removal::unlink;
use super::{Key, Shard, Table};
use crate::cell::EVENT;
use crate::error::Result;
use crate::layout::{WORD, block, kind};
use crate::participant::Participant;
use crate::space::{Patience, Space};
use crate::unfinished::Unfinished;
use crate::value::{Fresh, SHORT_MOST, Words, tidy};
use std::collections::HashMap;

/// Entries of the record for each key: at most its index word, its place, and the word of the batch
/// that then names the old entry; for each shard its counts.
const ENTRIES: u64 = 3;
const MORE: u64 = 64;

/// Entries about to be linked. They are ours, in the words of a block with contents.
pub struct Batch<'a> {
    space: &'a Space,
    participant: &'a Participant,
    words: Words<'a>,
    /// How many there are: what the block says of it may be scribbled on.
    count: u64,
    /// Keys to take out.
    removed: Vec<(u8, Vec<u8>)>,
}

impl<'a> Batch<'a> {
    /// Room for so many entries, stored or taken out.
    ///
    /// # Errors
    /// `Full`.
    pub fn new(
        space: &'a Space,
        participant: &'a Participant,
        patience: Patience,
        room: u64,
    ) -> Result<Batch<'a>> {
        let words = Words::new(space, participant, patience, room)?;
        Ok(Batch {
            space,
            participant,
            words,
            count: 0,
            removed: Vec::new(),
        })
    }

    fn entry(&self, index: u64) -> Result<Entry> {
        Entry::at(&self.space.segment, self.words.read(index))
    }

    /// Makes it take a key out, if there is one, before it stores anything.
    pub fn remove(&mut self, key: &Key) {
        self.removed.push((key.tag, key.bytes.to_vec()));
    }

    /// Makes an entry of the batch.
    ///
    /// # Errors
    /// `Full`: the batch then has one less.
    ///
    /// # Crash
    /// One record takes the entry from our hands into the batch, which is ours.
    pub fn add(&mut self, patience: Patience, table: Table, item: &Item) -> Result<()> {
        let (space, segment) = (self.space, &self.space.segment);
        let kept = original_of(space, self.participant, &mut *patience, table, &item.key)?;
        let original = kept.as_ref().map_or(item.original, entry::borrow);
        let inline = item.value.short();
        debug_assert!(inline <= SHORT_MOST);
        let size = Entry::size(&item.key, original, inline)?;
        let own = Unfinished::allocate(space, self.participant, &mut *patience, size, kind::PLAIN)?;
        let entry = Entry(own.block());
        entry.fill(segment, &item.key, original, size, 0);
        let word = match &item.value {
            Fresh::Word(word) => *word,
            Fresh::Block(block) => block.block(),
            Fresh::Bytes(kind, parts) => entry.fill_inline(segment, *kind, parts)?,
        };
        entry.set_value(segment, word);
        let count = self.count;
        assert!(
            count < self.words.room,
            "a batch has room for {}",
            self.words.room
        );
        let place = self.words.word(count);
        space.run_as(self.participant, patience, |operation| {
            operation.write(own.block() + block::SHAPE, size | kind::ENTRY << 56);
            operation.write(place, own.block());
            operation.write(self.words.count_word(), count + 1);
            own.pass_on(operation, 0);
            if let Fresh::Block(block) = &item.value {
                block.pass_on(operation, 0);
            }
            operation.commit();
            Ok(())
        })?;
        self.count += 1;
        Ok(())
    }
}

/// Stores all entries of a batch, the later of two with one key. False, with nothing changed: a key
/// was first written in another way by now than when the batch was made; make it again.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links all of them, and leaves to the batch the entries that they replaced.
pub fn store_all(patience: Patience, table: Table, batch: &Batch) -> Result<bool> {
    let (space, participant) = (batch.space, batch.participant);
    let segment = &space.segment;
    let mut hashes = Vec::new();
    let mut buffer = Vec::new();
    for index in 0..batch.count {
        let tag = batch.entry(index)?.copy_key(segment, &mut buffer)?;
        let key = Key {
            tag,
            bytes: &buffer,
        };
        hashes.push(key.hash());
    }
    let key = |(tag, bytes): &(u8, Vec<u8>)| Key { tag: *tag, bytes }.hash();
    let gone: Vec<u64> = batch.removed.iter().map(key).collect();
    let mut shards: HashMap<u64, u64> = HashMap::new();
    for &hash in hashes.iter().chain(&gone) {
        *shards.entry(hash % super::SHARDS).or_default() += 1;
    }
    let pairs = batch.words.room * ENTRIES + MORE;
    let bytes = pairs * 2 * WORD;
    let chain = Unfinished::allocate(space, participant, &mut *patience, bytes, kind::PLAIN)?;
    loop {
        let full = space.run_as(participant, &mut *patience, |operation| {
            operation.chain(chain.payload(), pairs);
            for index in (0..super::SHARDS).filter(|index| shards.contains_key(index)) {
                Shard::at(table.cell, index).lock(operation, table)?;
            }
            let mut replaced = 0;
            for ((tag, bytes), &hash) in batch.removed.iter().zip(&gone) {
                let shard = Shard::of(table.cell, hash);
                let Some(storage) = shard.store(segment)? else {
                    continue;
                };
                let key = Key { tag: *tag, bytes };
                let read = |word| operation.read(word);
                if let Probe::There(slot, old) = probe(segment, read, storage, &key, hash)? {
                    unlink(operation, shard, storage, slot, old)?;
                    operation.write(batch.words.word(replaced), old.0);
                    replaced += 1;
                }
            }
            for (index, &hash) in (0..).zip(&hashes) {
                let shard = Shard::of(table.cell, hash);
                let Some(storage) = shard.store(segment)? else {
                    return Ok(Ok(Some(shard)));
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
                        if !old.is_same_as(segment, new)? {
                            return Ok(Err(()));
                        }
                        exchange(operation, storage, slot, old, new)?;
                        // It is read by nobody else from the commit on: the batch's.
                        operation.write(batch.words.word(replaced), old.0);
                        replaced += 1;
                    }
                    Probe::Vacant(slot) => {
                        if !insert(operation, shard, storage, slot, hash, new)? {
                            return Ok(Ok(Some(shard)));
                        }
                    }
                }
            }
            operation.write(batch.words.count_word(), replaced);
            for index in (0..super::SHARDS).filter(|index| shards.contains_key(index)) {
                operation.sequence(Shard::at(table.cell, index).sequence());
            }
            operation.owe_quietly(table.cell + EVENT);
            operation.commit();
            Ok(Ok(None))
        })?;
        let Ok(full) = full else {
            return Ok(false);
        };
        let Some(shard) = full else {
            for hash in &gone {
                shrink(space, participant, table, Shard::of(table.cell, *hash));
            }
            tidy(space, participant, patience)?;
            return Ok(true);
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
