//! Following a table: what has changed since the last look.
//!
//! A watcher knows the keys of a table, and of each value as much as it takes to see that it is another. A
//! look finds by the sequences which shards have changed, by the block of recent changes (`recent`) which
//! keys, and reads these alone. Where that does not tell, since more was changed than is kept there, or many
//! keys at once, it reads the whole shard. All of a look is of one moment.
//!
//! What a look finds waits until it is taken. So a slow watcher misses values in between, but never the
//! last one, nor that a key was removed.

use super::entry::{Entry, OwnOriginal};
use super::known::{ByHash, Known, Mark, find};
use super::read::{fingerprint, first_slot};
use super::recent::{self, Changed, Recent};
use super::snapshot::{Pairs, Want, add_shard, at_one_moment};
use super::state::{EMPTY, Key, SHARDS, Shard, Storage, Table, count};
use crate::error::{Error, Result};
use crate::memory::segment::Segment;
use crate::object::Stored;
use crate::room;
use crate::space::Caller;
use crate::sync::Ordering;
use std::collections::VecDeque;

const ALL: usize = SHARDS as usize;
/// To compare a table of so many entries takes no time that others would notice.
const SHORT: u64 = 1000;

/// A key whose value has changed, or that was put in or removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub tag: u8,
    pub key: Vec<u8>,
    pub original: OwnOriginal,
    /// None: it was removed.
    pub value: Option<Stored>,
}

/// The keys that a watcher follows.
type Wanted = ByHash<(u8, Vec<u8>)>;

/// Who follows a table.
#[derive(Clone)]
pub struct Watch {
    /// The keys that are followed, by their hashes; None: all.
    wanted: Option<Wanted>,
    /// The sequences at the last look; None: there was none.
    seen: Option<[u64; ALL]>,
    /// What was there at the last look, by the hashes of the keys.
    known: ByHash<Known>,
    /// How many looks there were that compared something.
    looks: u64,
    /// What was found and is not taken yet.
    changes: VecDeque<Change>,
}

/// What a look found, of one moment.
struct Look {
    sequences: [u64; ALL],
    /// The shards that were read as a whole, and in which turn.
    whole: [Option<u64>; ALL],
    /// The keys that were looked for, by their hashes, and in which turn.
    hints: Vec<(u64, u64)>,
    pairs: Pairs,
}

impl Look {
    /// In which turn a key was changed last, as far as that is known.
    fn turn(&self, hash: u64) -> u64 {
        let hint = self.hints.binary_search_by_key(&hash, |&(hash, _)| hash);
        let hint = hint.map(|at| self.hints[at].1).ok();
        hint.or(self.whole[(hash % SHARDS) as usize]).unwrap_or(0)
    }

    /// Whether all that there is under a hash was read.
    fn has_read(&self, hash: u64) -> bool {
        self.whole[(hash % SHARDS) as usize].is_some()
            || self
                .hints
                .binary_search_by_key(&hash, |&(hash, _)| hash)
                .is_ok()
    }
}

impl Watch {
    /// Follows all keys of a table, or those that are `wanted`; and what there is of them now. It also has
    /// writers note what they change, if there is room for that.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`, `Interrupted`, `System`.
    ///
    /// # Crash
    /// As `recent::keep`.
    pub fn new(
        caller: Caller,
        table: Table,
        wanted: Option<&[(u8, Vec<u8>)]>,
    ) -> Result<(Watch, Pairs)> {
        match recent::keep(caller, table) {
            Err(Error::Full(_)) => {} // each look then reads whole shards
            kept => kept?,
        }
        let mut watch = Watch {
            wanted: wanted.map(by_hash).transpose()?,
            seen: None,
            known: ByHash::default(),
            looks: 0,
            changes: VecDeque::new(),
        };
        let mut look = watch.read(caller, table)?;
        room::reserve_in(&mut watch.known, look.pairs.len())?;
        let mut pairs = std::mem::take(&mut look.pairs);
        pairs.order.sort_unstable();
        for pair in pairs.iter() {
            let key = Key {
                tag: pair.tag,
                bytes: pair.key,
            };
            let value = Mark::of(pair.value.unwrap_or(Stored::Word(0)));
            watch.know(key, key.hash(), value, pair.stamp)?;
        }
        watch.seen = Some(look.sequences);
        Ok((watch, pairs))
    }

    /// Looks for what has changed; whether there is something to take.
    ///
    /// # Errors
    /// As `new`. What was found by then is kept.
    pub fn look(&mut self, caller: Caller, table: Table) -> Result<bool> {
        if !self.changes.is_empty() {
            return Ok(true);
        }
        let sequence = |shard: Shard| {
            let word = caller.space.segment.word(shard.sequence());
            word.load(Ordering::Acquire)
        };
        if let Some(seen) = self.seen
            && Shard::all(table.object).map(sequence).eq(seen)
        {
            return Ok(false);
        }
        let look = self.read(caller, table)?;
        self.compare(&look)?;
        self.seen = Some(look.sequences);
        Ok(!self.changes.is_empty())
    }

    /// Takes the next change that was found, in their order.
    pub fn take(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn is_wanted(&self, key: &Key, hash: u64) -> bool {
        let Some(wanted) = &self.wanted else {
            return true;
        };
        wanted.get(&hash).is_some_and(|keys| {
            keys.iter()
                .any(|(tag, bytes)| (*tag, bytes.as_slice()) == (key.tag, key.bytes))
        })
    }

    /// Reads all that may have changed since the last look.
    fn read(&self, caller: Caller, table: Table) -> Result<Look> {
        let segment = &caller.space.segment;
        at_one_moment(caller, table, |still| {
            let recent = Recent::of(segment, table.object)?;
            let mut look = Look {
                sequences: [0; ALL],
                whole: [None; ALL],
                hints: Vec::new(),
                pairs: Pairs::default(),
            };
            for (index, shard) in Shard::all(table.object).enumerate() {
                let now = segment.word(shard.sequence()).load(Ordering::Acquire);
                look.sequences[index] = now;
                let seen = self.seen.map(|seen| seen[index]);
                if seen == Some(now) {
                    continue;
                }
                let kept = recent.zip(seen);
                let kept =
                    kept.and_then(|(recent, seen)| recent.between(segment, shard, seen, now));
                match kept {
                    Some(kept) => self.find_hints(index, kept, &mut look)?,
                    None => self.want_all(index, 0, &mut look)?,
                }
            }
            look.hints.sort_unstable();
            look.hints.reverse();
            look.hints.dedup_by_key(|&mut (hash, _)| hash); // of each, that of the last turn
            look.hints.reverse();
            let is_whole = self.collect(segment, table, still, &mut look)?;
            Ok(is_whole.then_some(look))
        })
    }

    /// Takes note of which keys of a shard are to be read.
    fn find_hints(
        &self,
        index: usize,
        changes: impl Iterator<Item = (Changed, u64)>,
        look: &mut Look,
    ) -> Result<()> {
        for (changed, turn) in changes {
            match changed {
                Changed::Order => {}
                Changed::Many => self.want_all(index, turn, look)?,
                Changed::Key(hash) => {
                    let wanted = self.wanted.as_ref();
                    if wanted.is_none_or(|wanted| wanted.contains_key(&hash)) {
                        room::push(&mut look.hints, (hash, turn))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The same where all that are followed are to be read.
    fn want_all(&self, index: usize, turn: u64, look: &mut Look) -> Result<()> {
        let Some(wanted) = &self.wanted else {
            look.whole[index] = Some(turn);
            return Ok(());
        };
        for &hash in wanted.keys() {
            if hash % SHARDS == index as u64 {
                room::push(&mut look.hints, (hash, turn))?;
            }
        }
        Ok(())
    }

    /// Copies the entries that were found; false: `still` does not hold any more.
    fn collect(
        &self,
        segment: &Segment,
        table: Table,
        still: &dyn Fn() -> bool,
        look: &mut Look,
    ) -> Result<bool> {
        // In no order yet: see `compare`.
        for (index, shard) in Shard::all(table.object).enumerate() {
            if look.whole[index].is_some()
                && !add_shard(segment, shard, Want::Items, still, &mut look.pairs)?
            {
                return Ok(false);
            }
        }
        for index in 0..look.hints.len() {
            let hash = look.hints[index].0;
            let shard = Shard::of(table.object, hash);
            if look.whole[(hash % SHARDS) as usize].is_some() {
                continue;
            }
            if let Some(storage) = shard.store(segment)?
                && !add_hash(segment, storage, hash, still, &mut look.pairs)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Enters what is not as it was known into the changes.
    fn compare(&mut self, look: &Look) -> Result<()> {
        self.looks += 1;
        let mut found = Vec::new();
        for pair in look.pairs.iter() {
            let key = Key {
                tag: pair.tag,
                bytes: pair.key,
            };
            let hash = key.hash();
            if !look.has_read(hash) || !self.is_wanted(&key, hash) {
                continue;
            }
            let value = Mark::of(pair.value.unwrap_or(Stored::Word(0)));
            if let Some(known) = find(&mut self.known, key, hash) {
                known.look = self.looks;
                if known.value == value {
                    continue;
                }
            }
            room::push(
                &mut found,
                ((look.turn(hash), pair.stamp), hash, value, pair),
            )?;
        }
        // In each turn first what was removed, then what is there, both in the table's order.
        let mut gone = self.gone(look)?;
        gone.sort_unstable();
        found.sort_unstable_by_key(|&(turn, ..)| turn);
        let mut gone = gone.into_iter().peekable();
        for ((turn, stamp), hash, value, pair) in found {
            while let Some((.., hash)) = gone.next_if(|&(other, ..)| other <= turn) {
                self.forget(hash)?;
            }
            let key = Key {
                tag: pair.tag,
                bytes: pair.key,
            };
            let original = pair
                .original
                .map(|(kind, bytes)| Ok((kind, room::copy(bytes)?)));
            let change = Change {
                tag: pair.tag,
                key: room::copy(pair.key)?,
                original: original.transpose()?,
                value: Some(own(pair.value.unwrap_or(Stored::Word(0)))?),
            };
            reserve(&mut self.changes)?;
            self.know(key, hash, value, stamp)?;
            self.changes.push_back(change);
        }
        for (.., hash) in gone {
            self.forget(hash)?;
        }
        Ok(())
    }

    /// The keys that this look did not find any more: their turns, stamps and hashes.
    fn gone(&self, look: &Look) -> Result<Vec<(u64, i64, u64)>> {
        let mut gone = Vec::new();
        let mut add = |hash: u64, known: &[Known]| -> Result<()> {
            let missing = known.iter().find(|known| known.look != self.looks);
            missing.map_or(Ok(()), |known| {
                room::push(&mut gone, (look.turn(hash), known.stamp, hash))
            })
        };
        if look.whole.iter().any(Option::is_some) {
            for (&hash, known) in &self.known {
                if look.has_read(hash) {
                    add(hash, known)?;
                }
            }
            return Ok(gone);
        }
        for (hash, _) in &look.hints {
            if let Some(known) = self.known.get(hash) {
                add(*hash, known)?;
            }
        }
        Ok(gone)
    }

    /// Takes note of the value of a key.
    fn know(&mut self, key: Key, hash: u64, value: Mark, stamp: i64) -> Result<()> {
        if let Some(known) = find(&mut self.known, key, hash) {
            (known.value, known.stamp) = (value, stamp);
            return Ok(());
        }
        let bytes = room::copy(key.bytes)?.into_boxed_slice();
        room::reserve_in(&mut self.known, 1)?;
        self.known.entry(hash).or_default().push(Known {
            tag: key.tag,
            key: bytes,
            value,
            stamp,
            look: self.looks,
        });
        Ok(())
    }

    /// Takes note that keys of a hash which this look did not find were removed.
    fn forget(&mut self, hash: u64) -> Result<()> {
        let Some(known) = self.known.get_mut(&hash) else {
            return Ok(());
        };
        while let Some(index) = known.iter().position(|known| known.look != self.looks) {
            reserve(&mut self.changes)?;
            let gone = known.swap_remove(index);
            self.changes.push_back(Change {
                tag: gone.tag,
                key: gone.key.into_vec(),
                original: None,
                value: None,
            });
        }
        if known.is_empty() {
            self.known.remove(&hash);
        }
        Ok(())
    }

    /// Whether the next look will read much of the table, if nothing else changes.
    pub fn is_long(&self, segment: &Segment, table: Table) -> bool {
        let (Some(seen), true) = (self.seen, self.changes.is_empty()) else {
            return false;
        };
        let recent = Recent::of(segment, table.object).ok().flatten();
        let is_whole = |(shard, seen): (Shard, u64)| {
            let now = segment.word(shard.sequence()).load(Ordering::Acquire);
            let kept = recent.and_then(|recent| recent.between(segment, shard, seen, now));
            now != seen
                && kept.is_none_or(|mut kept| kept.any(|(changed, _)| changed == Changed::Many))
        };
        count(segment, table.object) > SHORT
            && self.wanted.is_none()
            && Shard::all(table.object).zip(seen).any(is_whole)
    }
}

fn by_hash(keys: &[(u8, Vec<u8>)]) -> Result<Wanted> {
    let mut hashed = Wanted::default();
    room::reserve_in(&mut hashed, keys.len())?;
    for (tag, bytes) in keys {
        let hash = Key { tag: *tag, bytes }.hash();
        hashed
            .entry(hash)
            .or_default()
            .push((*tag, room::copy(bytes)?));
    }
    Ok(hashed)
}

fn reserve(changes: &mut VecDeque<Change>) -> Result<()> {
    let count = changes.len() + 1;
    let reserved = changes.try_reserve(1);
    reserved.map_err(|_| Error::NoMemory(count * size_of::<Change>()))
}

fn own(value: Stored<&[u8]>) -> Result<Stored> {
    Ok(match value {
        Stored::Word(word) => Stored::Word(word),
        Stored::Bytes(kind, bytes) => Stored::Bytes(kind, room::copy(bytes)?),
    })
}

/// Copies the entries whose keys may have this hash; false: `still` does not hold any more.
fn add_hash(
    segment: &Segment,
    storage: Storage,
    hash: u64,
    still: &dyn Fn() -> bool,
    pairs: &mut Pairs,
) -> Result<bool> {
    for number in 0..storage.slots {
        let slot = storage.slot(first_slot(hash).wrapping_add(number));
        let word = segment.word(slot).load(Ordering::Relaxed);
        if word == EMPTY {
            return Ok(true);
        }
        if word & 0xFFFF == fingerprint(hash) && word >> 16 != 0 {
            let entry = Entry::at(segment, word >> 16)?;
            if !pairs.push(segment, entry, Want::Items, still)? {
                return Ok(false);
            }
        }
    }
    Ok(true) // an index may have no empty slot, where entries were removed
}
