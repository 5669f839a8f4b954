//! All keys, or all keys and values, as they stood together at one moment.

use super::entry::Entry;
use super::read::copy;
use super::{Shard, Table, USED, version};
use crate::error::{Error, Result, corrupt};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::{Ordering, fence, relax};

/// Failed attempts to read beside writers before all shards are locked.
const PERSISTENCE: u32 = 20;

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    Keys,
    Items,
}

/// An entry, copied.
pub struct Pair {
    pub stamp: u64,
    pub tag: u8,
    pub key: Vec<u8>,
    pub original: Option<(u8, Vec<u8>)>,
    /// A value word, or the codec's kind and bytes.
    pub value: Option<std::result::Result<u64, (u8, Vec<u8>)>>,
}

/// All entries, in their order of insertion.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`.
pub fn snapshot(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    table: Table,
    want: Want,
) -> Result<Vec<Pair>> {
    let segment = &space.segment;
    for _ in 0..PERSISTENCE {
        let sequence = |shard: Shard| segment.word(shard.sequence()).load(Ordering::Acquire);
        let before: Vec<u64> = Shard::all(table.cell).map(sequence).collect();
        if before.iter().any(|sequence| sequence & 1 != 0) {
            relax();
            continue;
        }
        let still = || {
            fence(Ordering::Acquire); // pairs with apply's Release fence after odd
            version(segment, table.cell) == before.iter().fold(0, |sum, &n| sum.wrapping_add(n))
        };
        match collect(segment, table, want, &still) {
            Ok(Some(pairs)) if still() => return Ok(ordered(pairs)),
            Err(error) if still() => return Err(error),
            _ => {}
        }
    }
    let pairs = space.run_as(participant, patience, |operation| {
        for shard in Shard::all(table.cell) {
            operation.lock(shard.0)?;
        }
        let pairs = collect(segment, table, want, &|| true)?;
        pairs.ok_or_else(|| Error::Corrupt("a table changed under its locks".into()).into())
    })?;
    Ok(ordered(pairs))
}

fn ordered(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.sort_by_key(|pair| pair.stamp);
    pairs
}

/// None: `still` does not hold any more.
fn collect(
    segment: &Segment,
    table: Table,
    want: Want,
    still: &dyn Fn() -> bool,
) -> Result<Option<Vec<Pair>>> {
    let mut pairs = Vec::new();
    let mut copied = 0;
    for shard in Shard::all(table.cell) {
        let Some(storage) = shard.store(segment)? else {
            continue;
        };
        let used = segment.word(shard.0 + USED).load(Ordering::Acquire);
        for place in 0..used.min(storage.room()) {
            let word = segment.word(storage.place(place)).load(Ordering::Acquire);
            if word == 0 {
                continue;
            }
            let entry = Entry::at(segment, word)?;
            let (tag, key) = entry.key(segment)?;
            copied += key.len() as u64;
            let mut pair = Pair {
                stamp: entry.stamp(segment),
                tag,
                key,
                original: entry.original(segment)?,
                value: None,
            };
            if want == Want::Items {
                let mut bytes = Vec::new();
                let word = entry.value(segment);
                // Not pinned: all of it is looked at again in the end.
                let Some(value) = copy(segment, entry, word, still, &mut bytes)? else {
                    return Ok(None);
                };
                copied += bytes.len() as u64;
                pair.value = Some(value.map_err(|kind| (kind, bytes)));
            }
            pairs.push(pair);
            // What is torn may claim any length.
            if copied > segment.size() {
                return match still() {
                    true => Err(corrupt("what a table holds is larger than its space")),
                    false => Ok(None),
                };
            }
        }
    }
    Ok(Some(pairs))
}
