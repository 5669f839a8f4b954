//! Many keys at once, stored and taken out: all of them, or none, by one record, which chains if they
//! are many.
//!
//! A value that is a word, or short bytes, is first kept beside its key, in our own memory: where the
//! table has the key, it then comes into the entry that is there, as one stored alone does. Only for
//! keys that are new, and for values that find no room, entries are made; and only for these, for what
//! they replace and for what is taken out there is a block with the words that name it.

use super::change::{Item, Room, exchange, insert};
use super::entry::{self, Entry, VALUE, borrow};
use super::grow::{grow, shrink};
use super::read::{Probe, fingerprint, first_slot, original_of, probe};
use super::removal::unlink;
use super::state::{Key, SHARDS, Shard, Storage, Table};
use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Result};
use crate::memory::layout::{LINE, WORD, kind, record};
use crate::object::cell::{EVENT, linked};
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;
use crate::value::{Fresh, SHORT_MOST, Words, tidy};
use std::hint::black_box;

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
/// So many steps are looked at together, so that their waits for memory overlap.
const TOGETHER: usize = 16;
/// A batch is made with room for more steps than this only as they come.
const ROOM_MOST: u64 = 1 << 20;

/// What comes of the word that is there and of the batch's, neither of them a block; None: nothing
/// that is a word.
pub type Merge = fn(there: u64, word: u64) -> Option<u64>;

/// A value that may come in the place of another.
#[derive(Clone, Copy)]
enum Kept {
    Word(u64),
    /// The codec's kind, and how many bytes, which stand behind those of the key.
    Bytes(u8, u32),
    /// It is in the entry that was made of it.
    No,
}

/// What is to be stored under a key, in its turn.
struct Step {
    hash: u64,
    value: Kept,
    /// Where the bytes of the key begin in the batch's memory, if the value is kept.
    at: usize,
    length: u32,
    tag: u8,
    /// Which entry of the batch was made for it.
    entry: Option<u32>,
}

impl Step {
    fn shard(&self) -> usize {
        (self.hash % SHARDS) as usize
    }

    /// The key, and what stands behind it.
    fn key<'b>(&self, bytes: &'b [u8]) -> (Key<'b>, &'b [u8]) {
        let (bytes, rest) = bytes[self.at..].split_at(self.length as usize);
        let tag = self.tag;
        (Key { tag, bytes }, rest)
    }

    /// How many words the bytes of its value take.
    fn words(&self) -> u64 {
        match self.value {
            Kept::Bytes(_, length) => u64::from(length).div_ceil(WORD),
            _ => 0,
        }
    }
}

/// What is about to be stored. Entries that were made for it are ours, in the words of a block with
/// contents.
pub struct Batch<'a> {
    words: Option<Words<'a>>,
    room: u64,
    /// How many entries there are: what the block says of it may be scribbled on.
    count: u64,
    steps: Vec<Step>,
    /// Keys and values of steps that are kept.
    bytes: Vec<u8>,
    /// How keys of steps that are kept were first written, where that is not what their bytes say.
    originals: Vec<(usize, u8, Vec<u8>)>,
    /// Keys to take out.
    removed: Vec<(u8, Vec<u8>)>,
    /// Whether entries are made with the originals that the table has of their keys.
    is_careful: bool,
    merge: Option<Merge>,
}

impl<'a> Batch<'a> {
    /// Room for so many entries, stored or taken out. `is_careful` after `store_all` said to make it
    /// again.
    pub fn new(room: u64, is_careful: bool) -> Batch<'a> {
        Batch {
            words: None,
            room,
            count: 0,
            steps: Vec::with_capacity(room.min(ROOM_MOST) as usize),
            bytes: Vec::with_capacity((room * 2 * WORD).min(ROOM_MOST) as usize),
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
    fn purpose(&self) -> Purpose {
        match self.steps.is_empty() {
            true => Purpose::Release,
            false => Purpose::Store,
        }
    }

    /// The words, made if there are none yet.
    fn words(&mut self, purpose: Purpose, caller: Caller<'a, '_>) -> Result<&Words<'a>> {
        let words = match self.words.take() {
            Some(words) => words,
            None => Words::new(purpose, caller, self.room)?,
        };
        Ok(self.words.insert(words))
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
    pub fn add(&mut self, caller: Caller<'a, '_>, table: Table, item: &Item) -> Result<()> {
        if self.keep(item) {
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
    #[inline]
    pub fn keep(&mut self, item: &Item) -> bool {
        let (at, length) = (self.bytes.len(), item.key.bytes.len() as u32); // at most KEY_MOST
        let value = match &item.value {
            Fresh::Word(word) => {
                self.bytes.extend_from_slice(item.key.bytes);
                Kept::Word(*word)
            }
            Fresh::Bytes(kind, parts) if item.value.short() <= self.kept_most() => {
                self.bytes.extend_from_slice(item.key.bytes);
                let from = self.bytes.len();
                parts
                    .iter()
                    .for_each(|part| self.bytes.extend_from_slice(part));
                Kept::Bytes(*kind, (self.bytes.len() - from) as u32)
            }
            _ => return false,
        };
        if let Some((kind, bytes)) = item.original {
            self.originals
                .push((self.steps.len(), kind, bytes.to_vec()));
        }
        self.steps.push(Step {
            hash: item.key.hash(),
            value,
            at,
            length,
            tag: item.key.tag,
            entry: None,
        });
        true
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
            if let Fresh::Block(block) = &item.value {
                block.transfer(operation, 0);
            }
            operation.commit();
            Ok(())
        })?;
        self.count += 1;
        Ok(count as u32)
    }

    /// Makes entries for these steps, whose values cannot come in the place of others.
    fn make_entries(
        &mut self,
        caller: Caller<'a, '_>,
        table: Table,
        steps: &[usize],
    ) -> Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let made = steps.iter().try_for_each(|&index| {
            let step = &self.steps[index];
            let (key, rest) = step.key(&bytes);
            let value = step.value;
            let short = match value {
                Kept::Bytes(_, length) => &rest[..length as usize],
                _ => &[],
            };
            let found = self
                .originals
                .binary_search_by_key(&index, |(step, ..)| *step);
            let original = found.map(|at| self.originals[at].clone()).ok();
            let item = Item {
                key,
                original: original
                    .as_ref()
                    .map(|(_, kind, bytes)| (*kind, bytes.as_slice())),
                value: match value {
                    Kept::Word(word) => Fresh::Word(word),
                    Kept::Bytes(kind, _) => Fresh::Bytes(kind, &[short]),
                    Kept::No => return Ok(()),
                },
            };
            let entry = self.make_entry(caller, table, &item)?;
            self.steps[index].entry = Some(entry);
            Ok(())
        });
        self.bytes = bytes;
        made
    }

    /// How many entries the record has at most, and how many of them are looked up again.
    fn pairs(&self) -> (u64, u64) {
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

/// What an attempt came to.
enum Done {
    Yes,
    /// A key was first written in another way, or a word cannot be merged with what is there.
    Differs,
    /// The shards need room for so many more, each; 0: it has room.
    Grow(Vec<u64>),
    /// These steps need entries.
    Lacks(Vec<usize>),
    /// Some value is a block, which the words have to name.
    Names,
}

/// What came of a step whose value may come into an entry that is there.
enum Put {
    Yes,
    NoRoom,
    Unmerged,
    NoWords,
}

/// One attempt, with the locks of all shards that are concerned.
struct Pass<'b, 'o, 's> {
    batch: &'b Batch<'b>,
    operation: &'o mut Operation<'s>,
    storages: [Option<Storage>; SHARDS as usize],
    /// How many words of the batch name what has to go.
    gone: u64,
}

impl Pass<'_, '_, '_> {
    /// A word of an index, as it will be.
    #[inline(always)]
    fn read(&self, word: u64) -> u64 {
        match self.batch.words {
            // No entry comes or goes: an index stays as it is.
            None => self.operation.segment.word(word).load(Ordering::Relaxed),
            Some(_) => self.operation.read(word),
        }
    }

    /// Has the words of the batch name one more that has to go.
    fn go(&mut self, words: &Words, block: u64) {
        self.operation.write_unread(words.word(self.gone), block);
        self.gone += 1;
    }

    /// Takes the keys out that are to go.
    fn remove(&mut self, cell: u64) -> Attempt<()> {
        let (segment, batch) = (self.operation.segment, self.batch);
        let Some(words) = &batch.words else {
            return Ok(());
        };
        for (tag, bytes) in &batch.removed {
            let key = Key { tag: *tag, bytes };
            let hash = key.hash();
            let Some(storage) = self.storages[(hash % SHARDS) as usize] else {
                continue;
            };
            let found = probe(segment, |word| self.read(word), storage, &key, hash)?;
            if let Probe::There(slot, old) = found {
                unlink(self.operation, Shard::of(cell, hash), storage, slot, old)?;
                self.go(words, old.0);
            }
        }
        Ok(())
    }

    /// Writes the entries that give an entry another value where it is.
    #[inline(always)]
    fn put(&mut self, entry: Entry, value: Kept, bytes: &[u8]) -> Result<Put> {
        let segment = self.operation.segment;
        let at = entry.0 + VALUE;
        let old = segment.word(at).load(Ordering::Relaxed);
        let block_of = |word| match entry::is_inline(word) {
            true => Ok(None),
            false => linked(segment, word),
        };
        let is_linked = block_of(old)?.is_some();
        if is_linked && self.batch.words.is_none() {
            return Ok(Put::NoWords);
        }
        let word = match (value, self.batch.merge) {
            (Kept::Word(word), None) => word,
            (Kept::Word(word), Some(merge)) => {
                let is_word = !is_linked && !entry::is_inline(old);
                match merge(old, word).filter(|_| is_word) {
                    Some(word) => word,
                    None => return Ok(Put::Unmerged),
                }
            }
            (Kept::Bytes(kind, length), _) => {
                let Some(room) = entry.room_for(segment, u64::from(length)) else {
                    return Ok(Put::NoRoom);
                };
                let chunks = bytes[..length as usize].chunks(WORD as usize);
                for (chunk, number) in chunks.zip(0..) {
                    let mut word = [0; WORD as usize];
                    word[..chunk.len()].copy_from_slice(chunk);
                    let word = u64::from_ne_bytes(word);
                    self.operation.write_unread(room + number * WORD, word);
                }
                entry::inline_word(kind, u64::from(length))
            }
            (Kept::No, _) => return Ok(Put::NoRoom),
        };
        match &self.batch.words {
            Some(words) if is_linked => {
                // Of two steps with one key, which is rare, the later must not see the block again.
                if let Some(block) = block_of(self.operation.read(at))? {
                    self.go(words, block);
                }
                self.operation.write(at, word);
            }
            _ => self.operation.write_unread(at, word),
        }
        Ok(Put::Yes)
    }

    /// Reads what some steps will look at, none waiting for what another reads.
    fn warm(&self, steps: &[Step]) {
        let segment = self.operation.segment;
        let mut entries = [0; TOGETHER];
        for (step, entry) in steps.iter().zip(&mut entries) {
            if let Some(storage) = self.storages[step.shard()] {
                let slot = segment.word(storage.slot(first_slot(step.hash)));
                let word = slot.load(Ordering::Relaxed);
                if word & 0xFFFF == fingerprint(step.hash) {
                    *entry = word >> 16;
                }
            }
        }
        let is_there = |&entry: &u64| entry != 0 && segment.check_range(entry, LINE).is_ok();
        let read = |entry| segment.word(entry + VALUE).load(Ordering::Relaxed);
        black_box(
            entries
                .into_iter()
                .filter(is_there)
                .map(read)
                .fold(0, |all, word| all ^ word),
        );
    }

    /// Writes the entries of all steps.
    fn store(&mut self, cell: u64) -> Attempt<Done> {
        let (segment, batch) = (self.operation.segment, self.batch);
        // How many entries come into each shard, and whether it has no room for all of them.
        let (mut coming, mut is_full) = ([0; SHARDS as usize], [false; SHARDS as usize]);
        let mut lacks = Vec::new();
        let mut buffer = Vec::new();
        for (number, step) in batch.steps.iter().enumerate() {
            if number % TOGETHER == 0 && batch.steps.len() > TOGETHER {
                let rest = &batch.steps[number..];
                self.warm(&rest[..rest.len().min(TOGETHER)]);
            }
            let new = match (step.entry, &batch.words) {
                (Some(number), Some(words)) => {
                    Some((Entry::at(segment, words.read(u64::from(number)))?, words))
                }
                _ => None,
            };
            let index = step.shard();
            let Some(storage) = self.storages[index] else {
                (coming[index], is_full[index]) = (coming[index] + 1, true);
                if new.is_none() {
                    lacks.push(number);
                }
                continue;
            };
            let (key, rest) = match (step.value, &new) {
                (Kept::No, Some((new, _))) => {
                    let tag = new.copy_key(segment, &mut buffer)?;
                    let bytes = buffer.as_slice();
                    (Key { tag, bytes }, &[][..])
                }
                _ => step.key(&batch.bytes),
            };
            let found = probe(segment, |word| self.read(word), storage, &key, step.hash)?;
            match (found, new) {
                (Probe::Vacant(_), None) => lacks.push(number),
                (Probe::There(_, old), None) => match self.put(old, step.value, rest)? {
                    Put::Yes => {}
                    Put::NoRoom => lacks.push(number),
                    Put::Unmerged => return Ok(Done::Differs),
                    Put::NoWords => return Ok(Done::Names),
                },
                // The key is there by now: the entry that was made is not needed.
                (Probe::There(_, old), Some((new, words)))
                    if batch.merge.is_some() && !seeded(Bug::SumReplaced) =>
                {
                    if !matches!(self.put(old, step.value, rest)?, Put::Yes) {
                        return Ok(Done::Differs);
                    }
                    self.go(words, new.0);
                }
                (Probe::There(slot, old), Some((new, words))) => {
                    if !old.is_same_as(segment, new)? {
                        return Ok(Done::Differs);
                    }
                    exchange(self.operation, storage, slot, old, new)?;
                    // It is read by nobody else from the commit on: the batch's.
                    self.go(words, old.0);
                }
                (Probe::Vacant(slot), Some((new, _))) => {
                    let (shard, hash) = (Shard::of(cell, step.hash), step.hash);
                    coming[index] += 1;
                    if !is_full[index] {
                        is_full[index] = !insert(self.operation, shard, storage, slot, hash, new)?;
                    }
                }
            }
        }
        if !lacks.is_empty() {
            return Ok(Done::Lacks(lacks));
        }
        if !is_full.contains(&true) {
            return Ok(Done::Yes);
        }
        let more = |(coming, is_full)| if is_full { coming } else { 0 };
        let pairs = coming.into_iter().zip(is_full).map(more);
        Ok(Done::Grow(pairs.collect()))
    }
}

/// Stores all entries of a batch, the later of two with one key. False, with nothing changed: a key
/// was first written in another way by now than when the batch was made, which then is to be made again;
/// or, of a batch that merges, something is there that a word cannot be merged with.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links all of them, and leaves to the batch the entries that they replaced.
pub fn store_all<'a>(caller: Caller<'a, '_>, table: Table, batch: &mut Batch<'a>) -> Result<bool> {
    if !batch.removed.is_empty() {
        batch.words(batch.purpose(), caller)?;
    }
    let mut chain: Option<(PendingBlock, u64)> = None;
    loop {
        let (pairs, read) = batch.pairs();
        if chain.as_ref().is_some_and(|(_, room)| *room < pairs) {
            chain = None; // it is too short: its memory first
        }
        if chain.is_none() && pairs > record::ENTRY_PAIRS {
            let bytes = pairs * 2 * WORD;
            let purpose = batch.purpose();
            let own = PendingBlock::allocate_for(purpose, caller, bytes, kind::PLAIN)?;
            chain = Some((own, pairs));
        }
        let place = chain.as_ref().map(|(own, room)| (own.payload(), *room));
        match attempt(caller, table, batch, place, read)? {
            Done::Yes => return Ok(true),
            Done::Differs => return Ok(false),
            Done::Lacks(steps) => batch.make_entries(caller, table, &steps)?,
            Done::Names => drop(batch.words(Purpose::Store, caller)?),
            Done::Grow(shards) => {
                for (shard, more) in Shard::all(table.cell).zip(shards) {
                    if more != 0 {
                        grow(caller, table, shard, more)?;
                    }
                }
            }
        }
    }
}

/// One attempt to store a batch by a record with room for more entries in a chain, at this place, of
/// which so many are looked up again.
fn attempt(
    caller: Caller,
    table: Table,
    batch: &Batch,
    chain: Option<(u64, u64)>,
    read: u64,
) -> Result<Done> {
    let Caller {
        space, participant, ..
    } = caller;
    let segment = &space.segment;
    let removed = batch.removed.iter();
    let removed = removed.map(|(tag, bytes)| Key { tag: *tag, bytes }.hash());
    let removed: Vec<u64> = removed.collect();
    let mut is_concerned = [false; SHARDS as usize];
    for hash in batch.steps.iter().map(|step| &step.hash).chain(&removed) {
        is_concerned[(hash % SHARDS) as usize] = true;
    }
    let concerned = || {
        let shards = Shard::all(table.cell).zip(is_concerned);
        shards.filter_map(|(shard, is_concerned)| is_concerned.then_some(shard))
    };
    let done = caller.run(|operation| {
        if let Some((place, pairs)) = chain {
            operation.chain(place, pairs, read);
        }
        for shard in concerned() {
            shard.lock(operation, table)?;
        }
        let mut storages = [None; SHARDS as usize];
        let shards = Shard::all(table.cell).zip(is_concerned);
        for ((shard, _), storage) in shards.zip(&mut storages).filter(|((_, is), _)| *is) {
            *storage = shard.store(segment)?;
        }
        let mut pass = Pass {
            batch,
            operation,
            storages,
            gone: 0,
        };
        pass.remove(table.cell)?;
        let done = pass.store(table.cell)?;
        let gone = pass.gone;
        if !matches!(done, Done::Yes) {
            return Ok(done);
        }
        if let Some(words) = &batch.words {
            operation.write(words.count_word(), gone);
        }
        for shard in concerned() {
            operation.sequence(shard.sequence());
        }
        operation.queue_quiet_wake(table.cell + EVENT);
        operation.commit();
        Ok(done)
    })?;
    if matches!(done, Done::Yes) && batch.words.is_some() {
        for hash in &removed {
            shrink(space, participant, table, Shard::of(table.cell, *hash));
        }
        tidy(caller)?;
    }
    Ok(done)
}
