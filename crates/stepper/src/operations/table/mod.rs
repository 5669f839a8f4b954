//! Keys and values of tables: stored, replaced, taken out, one at a time or many.

mod batch;
mod end;
mod life;
mod removal;
mod value;
mod watch;

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, caller, is_free, told_apart, warm, with_wake, writer};
use courtyard_core::layout::{GRAIN, LINE};
use courtyard_core::object::{self, Stored};
use courtyard_core::offset::LockWord;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, End, Item, Key, SHARDS, Want, When};
use courtyard_core::value::{self as core_value, Found, NewValue};

const KIND: u8 = 20;
const TAG: u8 = 1;
/// Values by where they lie: in the word, in the entry, in a block small or large.
const WORD: usize = 0;
const SHORT: usize = 100;
const SMALL: usize = 3000;
const LARGE: usize = 40_000;
/// Entries that the first index of a shard takes.
const ROOM: usize = 7;

/// A key and its value: a length, and the byte it consists of.
type Pair = (Vec<u8>, (usize, u8));

/// Keys of the first shard, in turn.
fn keys(count: usize) -> Vec<Vec<u8>> {
    let names = (0..).map(|number: u32| number.to_string().into_bytes());
    let first = |bytes: &Vec<u8>| key(bytes).hash().is_multiple_of(SHARDS);
    names.filter(first).take(count).collect()
}

fn key(bytes: &[u8]) -> Key<'_> {
    Key { tag: TAG, bytes }
}

fn pairs(count: usize, length: usize) -> Vec<Pair> {
    keys(count)
        .into_iter()
        .map(|key| (key, (length, 1)))
        .collect()
}

/// Pairs of all shards.
fn spread(count: u32, lengths: &[usize]) -> Vec<Pair> {
    let name = |number: u32| format!("key {number}").into_bytes();
    let lengths = lengths.iter().cycle();
    (0..count)
        .map(name)
        .zip(lengths.map(|&length| (length, 1)))
        .collect()
}

fn create(space: &Space) -> Made {
    let made = table::create(caller(space));
    let (id, row) = made.expect("a table");
    let (base, ..) = object::open(&space.segment, id).expect("the table");
    Made { id, row, base }
}

/// A value that is ready to be linked.
fn value(space: &'static Space, (length, byte): (usize, u8)) -> NewValue<'static> {
    if length == WORD {
        return NewValue::Word(u64::from(byte) << 3 | 1);
    }
    let bytes: &'static [u8] = vec![byte; length].leak();
    let parts: &'static [&'static [u8]] = vec![bytes].leak();
    core_value::prepare(caller(space), KIND, parts).expect("a block")
}

fn item<'a>(name: &'a [u8], value: NewValue<'a>) -> Item<'a> {
    let original = Some((KIND, &b"original"[..])).filter(|_| name.len() > 1);
    Item {
        key: key(name),
        original,
        value,
    }
}

fn put(space: &Space, made: Made, name: &[u8], value: NewValue) {
    let (table, item) = (writer(made), item(name, value));
    let stored = table::store(caller(space), table, &item, When::Always);
    assert!(stored.expect("to store"));
}

fn store(space: &Space, made: Made, (name, (length, byte)): &Pair) {
    let bytes = vec![*byte; *length];
    let parts: &[&[u8]] = &[&bytes];
    let value = match *length {
        WORD => NewValue::Word(u64::from(*byte) << 3 | 1),
        _ => core_value::prepare(caller(space), KIND, parts).expect("a block"),
    };
    put(space, made, name, value);
}

fn remove(space: &Space, made: Made, name: &[u8]) {
    let table = writer(made);
    let removed = table::remove(caller(space), table, &key(name), When::Always);
    assert!(removed.expect("to remove"));
}

/// All pairs in their order; each is found by its key, and all locks are free.
fn contents(space: &Space, made: Made) -> Result<Vec<Pair>, String> {
    let table = writer(made);
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    let all = table::snapshot(caller(space), table, Want::Items).or_text()?;
    for pair in all.iter() {
        let value = match pair.value.ok_or("no value")? {
            Stored::Word(word) => (WORD, (word >> 3) as u8),
            Stored::Bytes(KIND, bytes) if bytes.iter().all(|byte| *byte == bytes[0]) => {
                (bytes.len(), bytes[0])
            }
            Stored::Bytes(kind, bytes) => return Err(format!("kind {kind}: {bytes:?}")),
        };
        let original = Some((KIND, &b"original"[..])).filter(|_| pair.key.len() > 1);
        if pair.tag != TAG || pair.original != original {
            return Err(format!("a key {:?}, {:?}", pair.tag, pair.original));
        }
        let (there, _) =
            table::find(caller(space), table, &key(pair.key), &mut buffer).or_text()?;
        let length = match there.ok_or("a key that is in the order is not in the index")? {
            Found::Word(_) => WORD,
            Found::Bytes(_) => buffer.len(),
            Found::Pinned(pinned) => pinned.length as usize,
        };
        if length != value.0 {
            return Err(format!(
                "a value of {} bytes was found as {length}",
                value.0
            ));
        }
        found.push((pair.key.to_vec(), value));
    }
    let count = table::length(caller(space), table).or_text()?;
    if count != found.len() as u64 {
        return Err(format!("{} entries, counted {count}", found.len()));
    }
    for (end, expected) in [(End::First, found.first()), (End::Last, found.last())] {
        let (pairs, _) = table::first(caller(space), table, Want::Keys, end).or_text()?;
        let key = pairs.iter().next().map(|pair| pair.key.to_vec());
        if key.as_ref() != expected.map(|(key, _)| key) {
            return Err(format!("{end:?} is {key:?}, of {found:?}"));
        }
    }
    is_free(space, made.base.lock())?;
    for shard in 0..SHARDS {
        is_free(space, LockWord(object::payload(made.base) + shard * LINE))?;
    }
    Ok(found)
}

/// How large the indexes are, all together.
fn slots(space: &Space, made: Made) -> u64 {
    let block = |shard| object::payload(made.base) + shard * LINE + 16;
    let read = |word| space.segment.word(word).load(Ordering::Relaxed);
    (0..SHARDS).map(|shard| read(block(shard)) % GRAIN).sum()
}

#[derive(Clone, Copy)]
struct Scene {
    made: Made,
    flagged: Option<u64>,
    slots: u64,
}

/// Makes a table that holds these.
fn filled(pairs: Vec<Pair>) -> impl Fn(&Space) -> Made {
    move |space| {
        let made = create(space);
        pairs.iter().for_each(|pair| store(space, made, pair));
        made
    }
}

/// An operation on a table that holds `before`; a sleeper waits where something changes.
fn change<R: 'static>(
    name: impl Into<String>,
    before: Vec<Pair>,
    after: Vec<Pair>,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
) -> Entry {
    let setup = filled(before.clone());
    changed(name, before, after, setup, ready, act)
}

/// As `change`, of a table that is made otherwise.
fn changed<R: 'static>(
    name: impl Into<String>,
    before: Vec<Pair>,
    after: Vec<Pair>,
    setup: impl Fn(&Space) -> Made + 'static,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
) -> Entry {
    let changes = before != after;
    play(
        name,
        if changes {
            Ends::Changed
        } else {
            Ends::AsBefore
        },
        move |space| {
            warm(space);
            let made = setup(space);
            Scene {
                made,
                flagged: changes.then(|| announce(space, made)),
                slots: slots(space, made),
            }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.made)
        },
        move |space, scene, state| act(space, scene.made, state),
        move |space, scene| {
            let grown = slots(space, scene.made) > scene.slots;
            let outcome = told_apart(&contents(space, scene.made)?, &before, &after)?;
            match outcome {
                Outcome::Before if grown => Ok(Outcome::Prepared),
                outcome => with_wake(outcome, space, scene.made, scene.flagged),
            }
        },
    )
}

/// With one more.
fn with(before: &[Pair], pair: Pair) -> Vec<Pair> {
    let mut after = before.to_vec();
    match after.iter_mut().find(|(key, _)| *key == pair.0) {
        Some(old) => old.1 = pair.1,
        None => after.push(pair),
    }
    after
}

fn without(before: &[Pair], at: usize) -> Vec<Pair> {
    let mut after = before.to_vec();
    after.remove(at);
    after
}

pub fn add(entries: &mut Vec<Entry>) {
    value::add(entries);
    removal::add(entries);
    end::add(entries);
    batch::add(entries);
    life::add(entries);
    watch::add(entries);
}
