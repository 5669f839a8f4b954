//! Many keys at once, stored and taken out: all of them, or none, by one record, which chains if they
//! are many.
//!
//! A value that is a word, or short bytes, is first kept beside its key, in our own memory: where the
//! table has the key, it then comes into the entry that is there, as one stored alone does. Only for
//! keys that are new, and for values that find no room, entries are made; and only for these, for what
//! they replace and for what is taken out there is a block with the words that name it.

use super::change::{Item, Room};
use super::entry::borrow;
use super::read::original_of;
use super::state::{Key, SHARDS, Table};
use crate::change::operation::Purpose;
use crate::error::Result;
use crate::memory::layout::WORD;
use crate::room;
use crate::space::Caller;
use crate::value::{NewValue, SHORT_MOST, Words};
use std::mem::take;

/// Entries of the record for each key that gets an entry or goes: at most its index word, its place,
/// and the word of the batch that then names the old entry; for each shard its counts.
const ENTRIES: u64 = 3;
const MORE: u64 = 64;
/// The longest bytes that are written over others by the record.
const KEPT_MOST: u64 = 512;
/// Where so many bytes are kept already, only values of at most so many more are: a value that is kept
/// takes twice its size in the chain, whether or not there is one to put it in the place of.
const MUCH: usize = 1 << 20;
const KEPT_LEAST: u64 = 128;
/// A batch is made with room for more steps than this only as they come.
const ROOM_MOST: u64 = 1 << 20;

/// What comes of the word that is there and of the batch's, neither of them a block; None: nothing
/// that is a word.
pub type Merge = fn(there: u64, word: u64) -> Option<u64>;

/// A value that may come in the place of another.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    Word(u64),
    /// The codec's kind, and how many bytes, which follow those of the key.
    Bytes(u8, u32),
    /// It is in the entry that was made of it.
    No,
}

/// What is to be stored under a key, in its turn.
pub(super) struct Step {
    pub(super) hash: u64,
    pub(super) value: Kept,
    /// Where the bytes of the key begin in the batch's memory, if the value is kept.
    pub(super) at: usize,
    pub(super) length: u32,
    pub(super) tag: u8,
    /// Which entry of the batch was made for it.
    pub(super) entry: Option<u32>,
}

impl Step {
    pub(super) fn shard(&self) -> usize {
        (self.hash % SHARDS) as usize
    }

    /// The key, and what follows it.
    pub(super) fn key<'b>(&self, bytes: &'b [u8]) -> (Key<'b>, &'b [u8]) {
        let (bytes, rest) = bytes[self.at..].split_at(self.length as usize);
        let tag = self.tag;
        (Key { tag, bytes }, rest)
    }

    /// How many words the bytes of its value take.
    pub(super) fn words(&self) -> u64 {
        match self.value {
            Kept::Bytes(_, length) => u64::from(length).div_ceil(WORD),
            _ => 0,
        }
    }
}

/// What is about to be stored. Entries that were made for it are ours, in the words of a block with
/// contents.
pub struct Batch<'a> {
    pub(super) words: Option<Words<'a>>,
    pub(super) room: u64,
    /// How many entries there are: what the block says of it may be scribbled on.
    pub(super) count: u64,
    pub(super) steps: Vec<Step>,
    /// Keys and values of steps that are kept.
    pub(super) bytes: Vec<u8>,
    /// How keys of steps that are kept were first written, where that is not what their bytes say.
    pub(super) originals: Vec<(usize, u8, Vec<u8>)>,
    /// Keys to take out.
    pub(super) removed: Vec<(u8, Vec<u8>)>,
    /// Whether entries are made with the originals that the table has of their keys.
    pub(super) is_careful: bool,
    pub(super) merge: Option<Merge>,
}

impl<'a> Batch<'a> {
    /// Room for so many entries, stored or taken out. `is_careful` after `store_all` said to make it
    /// again.
    pub fn new(room: u64, is_careful: bool) -> Batch<'a> {
        let most = |bytes: u64| bytes.min(ROOM_MOST) as usize;
        Batch {
            words: None,
            room,
            count: 0,
            // Where there is no memory for it, what is added says so.
            steps: room::list(most(room)).unwrap_or_default(),
            bytes: room::list(most(room * 2 * WORD)).unwrap_or_default(),
            originals: Vec::new(),
            removed: Vec::new(),
            is_careful,
            merge: None,
        }
    }

    /// Makes it one of words, of keys that all differ, each of which comes to what is there as `merge`
    /// says; where nothing is there, it comes as it is.
    pub fn merging(mut self, merge: Merge) -> Batch<'a> {
        self.merge = Some(merge);
        self
    }

    /// What it takes memory for: where it stores nothing, to free some.
    pub(super) fn purpose(&self) -> Purpose {
        match self.steps.is_empty() {
            true => Purpose::Release,
            false => Purpose::Store,
        }
    }

    /// The words, made if there are none yet.
    pub(super) fn words(&mut self, purpose: Purpose, caller: Caller<'a, '_>) -> Result<&Words<'a>> {
        let words = match self.words.take() {
            Some(words) => words,
            None => Words::new(purpose, caller, self.room)?,
        };
        Ok(self.words.insert(words))
    }

    /// Makes it take a key out, if there is one, before it stores anything.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn remove(&mut self, key: &Key) -> Result<()> {
        room::push(&mut self.removed, (key.tag, room::copy(key.bytes)?))
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// `Full`, `NoMemory`: the batch then has one less.
    ///
    /// # Crash
    /// One record takes an entry from our hands into the batch, which is ours.
    pub fn add(&mut self, caller: Caller<'a, '_>, table: Table, item: &Item) -> Result<()> {
        if self.keep(item)? {
            return Ok(());
        }
        let entry = Some(self.make_entry(caller, table, item)?);
        self.steps.push(Step {
            hash: item.key.hash(),
            value: Kept::No,
            at: 0,
            length: 0,
            tag: 0,
            entry,
        });
        Ok(())
    }

    /// Values of at most so many bytes are kept: shorter ones where many are kept already.
    fn kept_most(&self) -> u64 {
        match self.bytes.len() < MUCH {
            true => KEPT_MOST,
            false => KEPT_LEAST,
        }
    }

    /// Adds a pair if its value may come in the place of another; nothing is asked of the space.
    ///
    /// # Errors
    /// `NoMemory`: the batch then has one less.
    #[inline]
    pub fn keep(&mut self, item: &Item) -> Result<bool> {
        room::reserve(&mut self.steps, 1)?; // for the caller's, too
        let (at, length) = (self.bytes.len(), item.key.bytes.len() as u32); // at most KEY_MOST
        let value = match &item.value {
            NewValue::Word(word) => {
                room::append(&mut self.bytes, item.key.bytes)?;
                Kept::Word(*word)
            }
            NewValue::Bytes(kind, parts) if item.value.short() <= self.kept_most() => {
                room::append(&mut self.bytes, item.key.bytes)?;
                let from = self.bytes.len();
                for part in *parts {
                    room::append(&mut self.bytes, part)?;
                }
                Kept::Bytes(*kind, (self.bytes.len() - from) as u32)
            }
            _ => return Ok(false),
        };
        if let Some((kind, bytes)) = item.original {
            let original = (self.steps.len(), kind, room::copy(bytes)?);
            room::push(&mut self.originals, original)?;
        }
        self.steps.push(Step {
            hash: item.key.hash(),
            value,
            at,
            length,
            tag: item.key.tag,
            entry: None,
        });
        Ok(true)
    }

    /// Makes an entry of the batch; its number.
    fn make_entry(&mut self, caller: Caller<'a, '_>, table: Table, item: &Item) -> Result<u32> {
        let kept = match self.is_careful {
            true => original_of(caller, table, &item.key)?,
            false => None,
        };
        let original = kept.as_ref().map_or(item.original, borrow);
        debug_assert!(item.value.short() <= SHORT_MOST);
        let (count, room) = (self.count, self.room);
        assert!(count < room, "a batch has room for {room}");
        let words = self.words(Purpose::Store, caller)?;
        let (place, count_word) = (words.word(count), words.count_word());
        let room = Room::new(caller, item, original)?;
        caller.run(|operation| {
            let new = room.fill(operation, item, original)?;
            room.take(operation)?;
            operation.write(place, new.0);
            operation.write(count_word, count + 1);
            if let NewValue::Block(block) = &item.value {
                block.transfer(operation, 0);
            }
            operation.commit();
            Ok(())
        })?;
        self.count += 1;
        Ok(count as u32)
    }

    /// Makes entries for these steps, whose values cannot come in the place of others.
    pub(super) fn make_entries(
        &mut self,
        caller: Caller<'a, '_>,
        table: Table,
        steps: &[usize],
    ) -> Result<()> {
        let (bytes, originals) = (take(&mut self.bytes), take(&mut self.originals));
        let made = steps.iter().try_for_each(|&index| {
            let step = &self.steps[index];
            let (key, rest) = step.key(&bytes);
            let value = step.value;
            let short = match value {
                Kept::Bytes(_, length) => &rest[..length as usize],
                _ => &[],
            };
            let found = originals.binary_search_by_key(&index, |(step, ..)| *step);
            let original = found.map(|at| &originals[at]).ok();
            let item = Item {
                key,
                original: original.map(|(_, kind, bytes)| (*kind, bytes.as_slice())),
                value: match value {
                    Kept::Word(word) => NewValue::Word(word),
                    Kept::Bytes(kind, _) => NewValue::Bytes(kind, &[short]),
                    Kept::No => return Ok(()),
                },
            };
            let entry = self.make_entry(caller, table, &item)?;
            self.steps[index].entry = Some(entry);
            Ok(())
        });
        (self.bytes, self.originals) = (bytes, originals);
        made
    }

    /// How many entries the record has at most, and how many of them are looked up again.
    pub(super) fn pairs(&self) -> (u64, u64) {
        if self.words.is_none() {
            let all = |step: &Step| 1 + step.words();
            return (self.steps.iter().map(all).sum(), 0);
        }
        let (mut all, mut read) = (MORE, MORE);
        for step in &self.steps {
            match step.entry {
                Some(_) => (all, read) = (all + ENTRIES, read + ENTRIES),
                // The value's word, and that of the batch for a block.
                None => all += 2 + step.words(),
            }
        }
        let removed = self.removed.len() as u64 * ENTRIES;
        (all + removed, read + removed)
    }
}
