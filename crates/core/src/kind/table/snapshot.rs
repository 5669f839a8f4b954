//! All keys, or all keys and values, or those at an end, as they were together at one moment.

use super::end::End;
use super::entry::Entry;
use super::read::copy;
use super::state::{SHARDS, Shard, Table, USED, count, version};
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::{LINE, superblock};
use crate::memory::segment::Segment;
use crate::object::Stored;
use crate::room;
use crate::space::Caller;
use crate::space::reading::Reading;
use crate::sync::{Ordering, fence, relax};

/// Failed attempts to read beside writers before all shards are locked.
const MAX_ATTEMPTS: u32 = 20;

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    Keys,
    Items,
}

/// An entry, copied.
pub struct Pair<'a> {
    pub stamp: i64,
    pub tag: u8,
    pub key: &'a [u8],
    pub original: Option<(u8, &'a [u8])>,
    /// None if only keys are wanted.
    pub value: Option<Stored<&'a [u8]>>,
}

/// The stamp of an entry, and which place is its.
type Stamped = (i64, usize);

/// Entries, copied; their bytes follow one another.
#[derive(Default)]
pub struct Pairs {
    places: Vec<Place>,
    bytes: Vec<u8>,
    /// In the order of the stamps.
    pub(super) order: Vec<Stamped>,
}

/// Where the bytes of an entry begin: those of the key, of its original, of the value; the next
/// entry's come behind them.
struct Place {
    at: usize,
    key: u32,
    original: usize,
    tag: u8,
    /// The kind of the original, if there is one.
    kind: Option<u8>,
    value: Option<Stored<()>>,
}

impl Pairs {
    fn new(segment: &Segment, count: u64) -> Result<Pairs> {
        // What is torn may claim any number.
        let count = count.min(segment.size() / LINE) as usize;
        Ok(Pairs {
            places: room::list(count)?,
            bytes: room::list(count * 16)?,
            order: room::list(count)?,
        })
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The entries, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Pair<'_>> + ExactSizeIterator {
        self.order.iter().map(|&(stamp, index)| {
            let place = &self.places[index];
            let next = self.places.get(index + 1);
            let end = next.map_or(self.bytes.len(), |next| next.at);
            let (key, rest) = self.bytes[place.at..end].split_at(place.key as usize);
            let (original, value) = rest.split_at(place.original);
            Pair {
                stamp,
                tag: place.tag,
                key,
                original: place.kind.map(|kind| (kind, original)),
                value: place.value.map(|stored| stored.map(|()| value)),
            }
        })
    }

    /// Copies an entry; false: `still` does not hold any more.
    pub(super) fn push(
        &mut self,
        segment: &Segment,
        entry: Entry,
        want: Want,
        still: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let at = self.bytes.len();
        let tag = entry.append_key(segment, &mut self.bytes)?;
        let key = self.bytes.len() - at;
        let kind = entry.append_original(segment, &mut self.bytes)?;
        let original = self.bytes.len() - at - key;
        let mut value = None;
        if want == Want::Items {
            // Not pinned: all of it is looked at again in the end.
            let word = entry.value(segment);
            value = copy(segment, entry, word, still, &mut self.bytes)?;
            if value.is_none() {
                return Ok(false);
            }
        }
        room::push(&mut self.order, (entry.stamp(segment), self.places.len()))?;
        let place = Place {
            at,
            key: key as u32, // at most KEY_MOST
            original,
            tag,
            kind,
            value,
        };
        room::push(&mut self.places, place)?;
        // What is torn may claim any length.
        if self.bytes.len() as u64 > segment.size() {
            return match still() {
                true => Err(corrupt("what a table holds is larger than its space")),
                false => Ok(false),
            };
        }
        Ok(true)
    }
}

/// All entries, in their order of insertion.
///
/// # Errors
/// `Corrupt`, `NoMemory`, `Interrupted`, `System`.
pub fn snapshot(caller: Caller, table: Table, want: Want) -> Result<Pairs> {
    let (mut pairs, ends) = at_one_moment(caller, table, |still| {
        collect(&caller.space.segment, table, want, still)
    })?;
    pairs.order = merged(&pairs.order, &ends)?;
    Ok(pairs)
}

/// The stamps of all shards in order, of which those of each are in order: they end there. As a stable
/// sort does it, which would abort for want of memory.
fn merged(order: &[Stamped], ends: &[usize; SHARDS as usize]) -> Result<Vec<Stamped>> {
    let mut all = room::list(order.len())?;
    let (mut runs, mut from) = ([&order[..0]; SHARDS as usize], 0);
    for (run, &end) in runs.iter_mut().zip(ends) {
        *run = &order[from..end];
        from = end;
    }
    let first = |run: &[Stamped]| run.first().map_or(i64::MAX, |&(stamp, _)| stamp);
    let mut stamps = runs.map(first);
    while all.len() < order.len() {
        let mut least = 0;
        for shard in 1..stamps.len() {
            if stamps[shard] < stamps[least] {
                least = shard;
            }
        }
        let Some((next, rest)) = runs[least].split_first() else {
            break; // only others are left, of the last stamp that there is
        };
        all.push(*next);
        (runs[least], stamps[least]) = (rest, first(rest));
    }
    for run in runs {
        room::append(&mut all, run)?;
    }
    if !all.is_sorted() {
        all.sort_unstable(); // a shard was damaged
    }
    Ok(all)
}

/// The entry at an end, if there is one, and the stamp that all entries which come later exceed.
///
/// # Errors
/// As `snapshot`.
pub fn first(caller: Caller, table: Table, want: Want, end: End) -> Result<(Pairs, i64)> {
    let segment = &caller.space.segment;
    at_one_moment(caller, table, |still| {
        let serials = segment.word(superblock::NEXT_SERIAL);
        let newest = serials.load(Ordering::Acquire) as i64;
        let mut found: Option<(i64, Entry)> = None;
        for shard in Shard::all(table.object) {
            let Some(storage) = shard.store(segment)? else {
                continue;
            };
            let Some(entry) = end.of(segment, shard, storage)? else {
                continue;
            };
            let stamp = entry.stamp(segment);
            if found.is_none_or(|(other, _)| end.is_nearer(stamp, other)) {
                found = Some((stamp, entry));
            }
        }
        let mut pairs = Pairs::default();
        if let Some((_, entry)) = found
            && !pairs.push(segment, entry, want, still)?
        {
            return Ok(None);
        }
        Ok(Some((pairs, newest)))
    })
}

/// How many entries there are, as they were together at one moment.
///
/// # Errors
/// As `snapshot`.
pub fn length(caller: Caller, table: Table) -> Result<u64> {
    at_one_moment(caller, table, |_| {
        Ok(Some(count(&caller.space.segment, table.object)))
    })
}

/// Runs `read` beside writers until nothing changed meanwhile, at last under the locks of all shards.
/// None from it: `still` does not hold any more.
pub(super) fn at_one_moment<T>(
    caller: Caller,
    table: Table,
    read: impl Fn(&dyn Fn() -> bool) -> Result<Option<T>>,
) -> Result<T> {
    let segment = &caller.space.segment;
    for _ in 0..MAX_ATTEMPTS {
        let _reading = Reading::new(segment);
        let sequence = |shard: Shard| segment.word(shard.sequence()).load(Ordering::Acquire);
        // Odd in the midst of a change that is applied word by word, perhaps by one who died there.
        let (mut before, mut is_changing) = (0u64, false);
        for sequence in Shard::all(table.object).map(sequence) {
            before = before.wrapping_add(sequence);
            is_changing |= sequence & 1 != 0;
        }
        if is_changing {
            relax();
            continue;
        }
        let still = || {
            fence(Ordering::Acquire); // pairs with apply's Release fence after odd
            version(segment, table.object) == before
        };
        match read(&still) {
            Ok(Some(found)) if still() => return Ok(found),
            Err(error) if still() => return Err(error),
            _ => {}
        }
    }
    caller.run(|operation| -> Attempt<T> {
        for shard in Shard::all(table.object) {
            operation.lock(shard.lock_word())?;
        }
        let found = read(&|| true)?;
        found.ok_or_else(|| Error::Corrupt("a table changed under its locks".into()).into())
    })
}

/// All entries, and where those of each shard end. None: `still` does not hold any more.
fn collect(
    segment: &Segment,
    table: Table,
    want: Want,
    still: &dyn Fn() -> bool,
) -> Result<Option<(Pairs, [usize; SHARDS as usize])>> {
    let count = count(segment, table.object);
    if !still() {
        return Ok(None); // before a number that means nothing is made room for
    }
    let (mut pairs, mut ends) = (Pairs::new(segment, count)?, [0; SHARDS as usize]);
    for (shard, end) in Shard::all(table.object).zip(&mut ends) {
        if !add_shard(segment, shard, want, still, &mut pairs)? {
            return Ok(None);
        }
        *end = pairs.len();
    }
    Ok(Some((pairs, ends)))
}

/// Copies all entries of a shard; false: `still` does not hold any more.
pub(super) fn add_shard(
    segment: &Segment,
    shard: Shard,
    want: Want,
    still: &dyn Fn() -> bool,
    pairs: &mut Pairs,
) -> Result<bool> {
    let Some(storage) = shard.store(segment)? else {
        return Ok(true);
    };
    let used = segment.word(shard.0 + USED).load(Ordering::Acquire);
    for place in 0..used.min(storage.room()) {
        let word = segment.word(storage.place(place)).load(Ordering::Acquire);
        if word != 0 && !pairs.push(segment, Entry::at(segment, word)?, want, still)? {
            return Ok(false);
        }
    }
    Ok(true)
}
