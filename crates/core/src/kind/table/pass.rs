//! How a batch is stored: in passes, each with the locks of all shards that are concerned.

use super::batch::{Batch, Kept, Step};
use super::change::{exchange, insert};
use super::entry::{self, Entry, VALUE};
use super::grow::{grow, shrink};
use super::read::{Probe, fingerprint, first_slot, probe};
use super::recent::{self, Changed};
use super::removal::unlink;
use super::state::{Key, SHARDS, Shard, Storage, Table};
use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Result};
use crate::memory::layout::{LINE, WORD, kind, record};
use crate::object::{EVENT, linked};
use crate::offset::Object;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;
use crate::value::{Words, tidy};
use std::hint::black_box;

/// So many steps are looked at together, so that their waits for memory overlap.
const TOGETHER: usize = 16;

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
    fn remove(&mut self, object: Object) -> Attempt<()> {
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
                unlink(self.operation, Shard::of(object, hash), storage, slot, old)?;
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
    fn store(&mut self, object: Object) -> Attempt<Done> {
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
                    room::push(&mut lacks, number)?;
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
                (Probe::Vacant(_), None) => room::push(&mut lacks, number)?,
                (Probe::There(_, old), None) => match self.put(old, step.value, rest)? {
                    Put::Yes => {}
                    Put::NoRoom => room::push(&mut lacks, number)?,
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
                    let (shard, hash) = (Shard::of(object, step.hash), step.hash);
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
/// `Full`, `NoMemory`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
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
                for (shard, more) in Shard::all(table.object).zip(shards) {
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
    let removed: Vec<u64> = room::collect(removed)?;
    // What is changed of the shards that are concerned.
    let mut changed = [None; SHARDS as usize];
    for &hash in batch.steps.iter().map(|step| &step.hash).chain(&removed) {
        let changed = &mut changed[(hash % SHARDS) as usize];
        *changed = match changed {
            None => Some(Changed::Key(hash)),
            Some(Changed::Key(other)) if *other == hash => continue,
            Some(_) => Some(Changed::Many),
        };
    }
    let done = caller.run(|operation| {
        if let Some((place, pairs)) = chain {
            operation.chain(place, pairs, read)?;
        }
        let concerned = || {
            let shards = Shard::all(table.object).enumerate();
            shards.filter(|(index, _)| changed[*index].is_some())
        };
        for (_, shard) in concerned() {
            shard.lock(operation, table)?;
        }
        let mut storages = [None; SHARDS as usize];
        for (index, shard) in concerned() {
            storages[index] = shard.store(segment)?;
        }
        let mut pass = Pass {
            batch,
            operation,
            storages,
            gone: 0,
        };
        pass.remove(table.object)?;
        let done = pass.store(table.object)?;
        let gone = pass.gone;
        if !matches!(done, Done::Yes) {
            return Ok(done);
        }
        if let Some(words) = &batch.words {
            operation.write(words.count_word(), gone);
        }
        let turn = recent::turn(segment, table.object)?;
        for (shard, changed) in Shard::all(table.object).zip(changed) {
            if let Some(changed) = changed {
                shard.change_in(operation, changed, turn);
            }
        }
        operation.queue_quiet_wake(table.object + EVENT);
        operation.commit();
        Ok(done)
    })?;
    if matches!(done, Done::Yes) && batch.words.is_some() {
        for hash in &removed {
            shrink(space, participant, table, Shard::of(table.object, *hash));
        }
        tidy(caller)?;
    }
    Ok(done)
}
