//! Many keys at once, stored and taken out: all of them, or none, by one record that chains.
//!
//! A value that is a word, or short bytes, is first kept beside its key, in our own memory: where the
//! table has the key, it then comes into the entry that is there, as one stored alone does. Only for
//! keys that are new, and for values that find no room, entries are made.

use super::change::{Item, Room, exchange, insert};
use super::entry::{self, Entry, OwnOriginal, VALUE, borrow};
use super::grow::{grow, shrink};
use super::read::{Probe, original_of, probe};
use super::removal::unlink;
use super::{Key, Shard, Table};
use crate::cell::{EVENT, linked};
use crate::error::Result;
use crate::layout::{WORD, kind};
use crate::operation::{Operation, Purpose};
use crate::participant::Participant;
use crate::space::{Patience, Space};
use crate::unfinished::Unfinished;
use crate::value::{Fresh, SHORT_MOST, Words, tidy};
use std::ops::Range;

/// Entries of the record for each key that gets an entry or goes: at most its index word, its place,
/// and the word of the batch that then names the old entry; for each shard its counts.
const ENTRIES: u64 = 3;
const MORE: u64 = 64;
/// The longest bytes that are written over others by the record.
const KEPT_MOST: u64 = 128;

/// A value that may come in the place of another; its bytes are the batch's.
#[derive(Clone)]
enum Kept {
    Word(u64),
    Bytes(u8, Range<usize>),
}

impl Kept {
    /// How many words its bytes take.
    fn words(&self) -> u64 {
        match self {
            Kept::Word(_) => 0,
            Kept::Bytes(_, range) => range.len().div_ceil(WORD as usize) as u64,
        }
    }
}

/// What is to be stored, in its turn.
enum Step {
    /// An entry of the batch, and the hash of its key.
    Entry(u64, u64),
    Kept {
        tag: u8,
        key: Range<usize>,
        hash: u64,
        original: OwnOriginal,
        value: Kept,
    },
}

/// What is about to be stored. Entries that were made for it are ours, in the words of a block with
/// contents.
pub struct Batch<'a> {
    space: &'a Space,
    participant: &'a Participant,
    words: Words<'a>,
    /// How many entries there are: what the block says of it may be scribbled on.
    count: u64,
    steps: Vec<Step>,
    /// Keys and values of steps that are kept.
    bytes: Vec<u8>,
    /// Keys to take out.
    removed: Vec<(u8, Vec<u8>)>,
    /// Whether entries are made with the originals that the table has of their keys.
    is_careful: bool,
    purpose: Purpose,
}

impl<'a> Batch<'a> {
    /// Room for so many entries, stored or taken out. `is_careful` after `store_all` said to make it
    /// again.
    ///
    /// # Errors
    /// `Full`.
    pub fn new(
        space: &'a Space,
        participant: &'a Participant,
        patience: Patience,
        room: u64,
        is_careful: bool,
    ) -> Result<Batch<'a>> {
        let purpose = Purpose::Store;
        Batch::new_for(purpose, space, participant, patience, room, is_careful)
    }

    /// As `new`, for something else than to store entries.
    ///
    /// # Errors
    /// `Full`.
    pub fn new_for(
        purpose: Purpose,
        space: &'a Space,
        participant: &'a Participant,
        patience: Patience,
        room: u64,
        is_careful: bool,
    ) -> Result<Batch<'a>> {
        let words = Words::new(purpose, space, participant, patience, room)?;
        Ok(Batch {
            space,
            participant,
            words,
            count: 0,
            steps: Vec::with_capacity(room.min(1 << 20) as usize),
            bytes: Vec::new(),
            removed: Vec::new(),
            is_careful,
            purpose,
        })
    }

    fn entry(&self, index: u64) -> Result<Entry> {
        Entry::at(&self.space.segment, self.words.read(index))
    }

    /// Makes it take a key out, if there is one, before it stores anything.
    pub fn remove(&mut self, key: &Key) {
        self.removed.push((key.tag, key.bytes.to_vec()));
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// `Full`: the batch then has one less.
    ///
    /// # Crash
    /// One record takes an entry from our hands into the batch, which is ours.
    pub fn add(&mut self, patience: Patience, table: Table, item: &Item) -> Result<()> {
        let is_short = item.value.short() <= KEPT_MOST;
        // Of an empty table no key can be there.
        let value = match &item.value {
            _ if super::count(&self.space.segment, table.cell) == 0 => None,
            Fresh::Word(word) => Some(Kept::Word(*word)),
            Fresh::Bytes(kind, parts) if is_short => {
                let from = self.bytes.len();
                parts.iter().for_each(|part| self.bytes.extend(*part));
                Some(Kept::Bytes(*kind, from..self.bytes.len()))
            }
            _ => None,
        };
        let step = match value {
            None => Step::Entry(self.make_entry(patience, table, item)?, item.key.hash()),
            Some(value) => {
                let from = self.bytes.len();
                self.bytes.extend(item.key.bytes);
                Step::Kept {
                    tag: item.key.tag,
                    key: from..self.bytes.len(),
                    hash: item.key.hash(),
                    original: item.original.map(|(kind, bytes)| (kind, bytes.to_vec())),
                    value,
                }
            }
        };
        self.steps.push(step);
        Ok(())
    }

    /// Makes an entry of the batch; its number.
    fn make_entry(&mut self, patience: Patience, table: Table, item: &Item) -> Result<u64> {
        let (space, participant) = (self.space, self.participant);
        let kept = match self.is_careful {
            true => original_of(space, participant, &mut *patience, table, &item.key)?,
            false => None,
        };
        let original = kept.as_ref().map_or(item.original, borrow);
        debug_assert!(item.value.short() <= SHORT_MOST);
        let count = self.count;
        assert!(
            count < self.words.room,
            "a batch has room for {}",
            self.words.room
        );
        let room = Room::new(space, participant, &mut *patience, item, original)?;
        let place = self.words.word(count);
        space.run_as(participant, patience, |operation| {
            let new = room.fill(operation, item, original)?;
            room.take(operation)?;
            operation.write(place, new.0);
            operation.write(self.words.count_word(), count + 1);
            if let Fresh::Block(block) = &item.value {
                block.pass_on(operation, 0);
            }
            operation.commit();
            Ok(())
        })?;
        self.count += 1;
        Ok(count)
    }

    /// Makes entries for these steps, whose values cannot come in the place of others.
    fn make_entries(&mut self, patience: Patience, table: Table, steps: &[usize]) -> Result<()> {
        for &index in steps {
            let Some(Step::Kept {
                tag,
                key,
                original,
                value,
                hash,
            }) = self.steps.get(index)
            else {
                continue;
            };
            let (tag, original, value, hash) = (*tag, original.clone(), value.clone(), *hash);
            let bytes = self.bytes[key.clone()].to_vec();
            let short = match &value {
                Kept::Bytes(_, range) => self.bytes[range.clone()].to_vec(),
                Kept::Word(_) => Vec::new(),
            };
            let parts: &[&[u8]] = &[&short];
            let item = Item {
                key: Key { tag, bytes: &bytes },
                original: borrow(&original),
                value: match value {
                    Kept::Word(word) => Fresh::Word(word),
                    Kept::Bytes(kind, _) => Fresh::Bytes(kind, parts),
                },
            };
            let number = self.make_entry(&mut *patience, table, &item)?;
            self.steps[index] = Step::Entry(number, hash);
        }
        Ok(())
    }

    /// How many entries the record has at most, and how many of them are looked up again.
    fn pairs(&self) -> (u64, u64) {
        let (mut all, mut read) = (MORE, MORE);
        for step in &self.steps {
            match step {
                Step::Entry(..) => (all, read) = (all + ENTRIES, read + ENTRIES),
                // The value's word, and that of the batch for a block.
                Step::Kept { value, .. } => all += 2 + value.words(),
            }
        }
        let removed = self.removed.len() as u64 * ENTRIES;
        (all + removed, read + removed)
    }
}

/// What an attempt came to.
enum Done {
    Yes,
    /// A key was first written in another way.
    Differs,
    Grow(Shard),
    /// These steps need entries.
    Lacks(Vec<usize>),
}

/// Writes the entries that give an entry another value where it is, and add the block of the one before
/// to the words of the batch, of which so many count; false: it has no room for that.
fn put(
    operation: &mut Operation,
    batch: &Batch,
    entry: Entry,
    value: &Kept,
    gone: &mut u64,
) -> Result<bool> {
    let segment = operation.segment;
    let word = match value {
        Kept::Word(word) => *word,
        Kept::Bytes(kind, range) => {
            let Some(at) = entry.room_for(segment, range.len() as u64) else {
                return Ok(false);
            };
            let chunks = batch.bytes[range.clone()].chunks(WORD as usize);
            for (chunk, number) in chunks.zip(0..) {
                let mut word = [0; WORD as usize];
                word[..chunk.len()].copy_from_slice(chunk);
                operation.write_unread(at + number * WORD, u64::from_ne_bytes(word));
            }
            entry::inline_word(*kind, range.len() as u64)
        }
    };
    let at = entry.0 + VALUE;
    // Of two steps with one key, which is rare, the later must not see the block again.
    let old = operation.read(at);
    if !entry::is_inline(old)
        && let Some(block) = linked(segment, old)?
    {
        operation.write(batch.words.word(*gone), block);
        *gone += 1;
        operation.write(at, word);
    } else {
        operation.write_unread(at, word);
    }
    Ok(true)
}

/// Stores all entries of a batch, the later of two with one key. False, with nothing changed: a key
/// was first written in another way by now than when the batch was made; make it again.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links all of them, and leaves to the batch the entries that they replaced.
pub fn store_all(patience: Patience, table: Table, batch: &mut Batch) -> Result<bool> {
    let (space, participant) = (batch.space, batch.participant);
    let mut chain: Option<(Unfinished, u64)> = None;
    loop {
        let (pairs, read) = batch.pairs();
        let place = match &chain {
            Some((own, room)) if *room >= pairs => own.payload(),
            _ => {
                chain = None; // it is too short: its memory first
                let bytes = pairs * 2 * WORD;
                let own = Unfinished::allocate_for(
                    batch.purpose,
                    space,
                    participant,
                    &mut *patience,
                    bytes,
                    kind::PLAIN,
                )?;
                chain.insert((own, pairs)).0.payload()
            }
        };
        match try_store_all(&mut *patience, table, batch, (place, pairs, read))? {
            Done::Yes => return Ok(true),
            Done::Differs => return Ok(false),
            Done::Lacks(steps) => batch.make_entries(&mut *patience, table, &steps)?,
            Done::Grow(_) => {}
        }
    }
}

/// One attempt, by a record that goes on at `place`; what has grown is tried again.
fn try_store_all(
    patience: Patience,
    table: Table,
    batch: &Batch,
    (place, pairs, read): (u64, u64, u64),
) -> Result<Done> {
    let (space, participant) = (batch.space, batch.participant);
    let segment = &space.segment;
    let mut buffer = Vec::new();
    let hash_of = |step: &Step| match step {
        Step::Kept { hash, .. } | Step::Entry(_, hash) => *hash,
    };
    let hashes: Vec<u64> = batch.steps.iter().map(hash_of).collect();
    let key = |(tag, bytes): &(u8, Vec<u8>)| Key { tag: *tag, bytes }.hash();
    let removed: Vec<u64> = batch.removed.iter().map(key).collect();
    let mut shards = [0; super::SHARDS as usize];
    for &hash in hashes.iter().chain(&removed) {
        shards[(hash % super::SHARDS) as usize] += 1;
    }
    let concerned = || (0..super::SHARDS).filter(|&index| shards[index as usize] != 0);
    let done = space.run_as(participant, &mut *patience, |operation| {
        operation.chain(place, pairs, read);
        for index in concerned() {
            Shard::at(table.cell, index).lock(operation, table)?;
        }
        let mut gone = 0;
        for ((tag, bytes), &hash) in batch.removed.iter().zip(&removed) {
            let shard = Shard::of(table.cell, hash);
            let Some(storage) = shard.store(segment)? else {
                continue;
            };
            let key = Key { tag: *tag, bytes };
            let read = |word| operation.read(word);
            if let Probe::There(slot, old) = probe(segment, read, storage, &key, hash)? {
                unlink(operation, shard, storage, slot, old)?;
                operation.write(batch.words.word(gone), old.0);
                gone += 1;
            }
        }
        let mut lacks = Vec::new();
        for ((number, step), &hash) in batch.steps.iter().enumerate().zip(&hashes) {
            let shard = Shard::of(table.cell, hash);
            let Some(storage) = shard.store(segment)? else {
                match step {
                    Step::Entry(..) => return Ok(Done::Grow(shard)),
                    Step::Kept { .. } => lacks.push(number),
                }
                continue;
            };
            match step {
                Step::Kept {
                    tag, key, value, ..
                } => {
                    let bytes = &batch.bytes[key.clone()];
                    let key = Key { tag: *tag, bytes };
                    let read = |word| operation.read(word);
                    let is_put = match probe(segment, read, storage, &key, hash)? {
                        Probe::There(_, entry) => put(operation, batch, entry, value, &mut gone)?,
                        Probe::Vacant(_) => false,
                    };
                    if !is_put {
                        lacks.push(number);
                    }
                }
                Step::Entry(index, _) => {
                    let new = batch.entry(*index)?;
                    let tag = new.copy_key(segment, &mut buffer)?;
                    let bytes = &buffer;
                    let key = Key { tag, bytes };
                    let read = |word| operation.read(word);
                    match probe(segment, read, storage, &key, hash)? {
                        Probe::There(slot, old) => {
                            if !old.is_same_as(segment, new)? {
                                return Ok(Done::Differs);
                            }
                            exchange(operation, storage, slot, old, new)?;
                            // It is read by nobody else from the commit on: the batch's.
                            operation.write(batch.words.word(gone), old.0);
                            gone += 1;
                        }
                        Probe::Vacant(slot) => {
                            if !insert(operation, shard, storage, slot, hash, new)? {
                                return Ok(Done::Grow(shard));
                            }
                        }
                    }
                }
            }
        }
        if !lacks.is_empty() {
            return Ok(Done::Lacks(lacks));
        }
        operation.write(batch.words.count_word(), gone);
        for index in concerned() {
            operation.sequence(Shard::at(table.cell, index).sequence());
        }
        operation.owe_quietly(table.cell + EVENT);
        operation.commit();
        Ok(Done::Yes)
    })?;
    match done {
        Done::Yes => {
            for hash in &removed {
                shrink(space, participant, table, Shard::of(table.cell, *hash));
            }
            tidy(space, participant, patience)?;
        }
        Done::Grow(shard) => {
            let index = (0..super::SHARDS).find(|&index| Shard::at(table.cell, index) == shard);
            let more = index.map_or(1, |index| shards[index as usize]);
            grow(space, participant, patience, table, shard, more)?;
        }
        Done::Differs | Done::Lacks(_) => {}
    }
    Ok(done)
}
