//! Keys and values of tables: stored, replaced, taken out, one at a time or many.

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, is_free, leave, me, told_apart, warm, with_wake, writer};
use courtyard_core::cell;
use courtyard_core::layout::{LINE, superblock};
use courtyard_core::pin::Pin;
use courtyard_core::space::{Space, patient};
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Batch, Item, Key, SHARDS, Want, When};
use courtyard_core::value::{self, Found, Fresh, Taken};

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
    let made = table::create(space, me(space), &mut patient);
    let (object, row) = made.expect("a table");
    let (base, ..) = cell::open(&space.segment, object).expect("the table");
    Made { object, row, base }
}

/// A value that is ready to be linked.
fn value(space: &'static Space, (length, byte): (usize, u8)) -> Fresh<'static> {
    if length == WORD {
        return Fresh::Word(u64::from(byte) << 3 | 1);
    }
    let bytes: &'static [u8] = vec![byte; length].leak();
    let parts: &'static [&'static [u8]] = vec![bytes].leak();
    value::prepare(space, me(space), &mut patient, KIND, parts).expect("a block")
}

fn item<'a>(name: &'a [u8], value: Fresh<'a>) -> Item<'a> {
    let original = Some((KIND, &b"original"[..])).filter(|_| name.len() > 1);
    Item {
        key: key(name),
        original,
        value,
    }
}

fn put(space: &Space, made: Made, name: &[u8], value: Fresh) {
    let (me, table, item) = (me(space), writer(made), item(name, value));
    let stored = table::store(space, me, &mut patient, table, &item, When::Always);
    assert!(stored.expect("to store"));
}

fn store(space: &Space, made: Made, (name, (length, byte)): &Pair) {
    let bytes = vec![*byte; *length];
    let parts: &[&[u8]] = &[&bytes];
    let value = match *length {
        WORD => Fresh::Word(u64::from(*byte) << 3 | 1),
        _ => value::prepare(space, me(space), &mut patient, KIND, parts).expect("a block"),
    };
    put(space, made, name, value);
}

fn batch(space: &'static Space, made: Made, pairs: &[Pair]) -> Batch<'static> {
    let room = 1 + pairs.len() as u64;
    let mut batch = Batch::new(space, me(space), &mut patient, room).expect("a batch");
    for (name, content) in pairs {
        let item = item(name, value(space, *content));
        batch
            .add(&mut patient, writer(made), &item)
            .expect("to add");
    }
    batch
}

fn remove(space: &Space, made: Made, name: &[u8]) {
    let (me, table) = (me(space), writer(made));
    let removed = table::remove(space, me, &mut patient, table, &key(name), When::Always);
    assert!(removed.expect("to remove"));
}

fn is_taken(space: &Space, taken: Taken, length: usize) {
    let found = match taken {
        Taken::Word(word) => return assert_eq!((length, word), (WORD, 1 << 3 | 1)),
        Taken::Bytes(_, bytes) => bytes,
        Taken::Pinned(pinned) => vec![1; pinned.length as usize],
        Taken::Block(block) => {
            let shape = cell::shape_of(&space.segment, block.block());
            let (_, length, payload) = shape.expect("a block");
            let mut bytes = vec![0; length as usize];
            space.segment.copy_out(payload, &mut bytes);
            bytes
        }
    };
    assert!(found == vec![1; length]);
}

/// All pairs in their order; each is found by its key, and all locks are free.
fn contents(space: &Space, made: Made) -> Result<Vec<Pair>, String> {
    let (me, table) = (me(space), writer(made));
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    let all = table::snapshot(space, me, &mut patient, table, Want::Items).or_text()?;
    for pair in all {
        let value = match pair.value.ok_or("no value")? {
            Ok(word) => (WORD, (word >> 3) as u8),
            Err((KIND, bytes)) if bytes.iter().all(|byte| *byte == bytes[0]) => {
                (bytes.len(), bytes[0])
            }
            Err((kind, bytes)) => return Err(format!("kind {kind}: {bytes:?}")),
        };
        let original = Some((KIND, b"original".to_vec())).filter(|_| pair.key.len() > 1);
        if pair.tag != TAG || pair.original != original {
            return Err(format!("a key {:?}, {:?}", pair.tag, pair.original));
        }
        let (there, _) =
            table::find(space, me, &mut patient, table, &key(&pair.key), &mut buffer).or_text()?;
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
        found.push((pair.key, value));
    }
    let count = table::count(&space.segment, made.base);
    if count != found.len() as u64 {
        return Err(format!("{} entries, counted {count}", found.len()));
    }
    is_free(space, made.base)?;
    for shard in 0..SHARDS {
        is_free(space, cell::payload(made.base) + shard * LINE)?;
    }
    Ok(found)
}

/// How large the indexes are, all together.
fn slots(space: &Space, made: Made) -> u64 {
    let block = |shard| cell::payload(made.base) + shard * LINE + 16;
    let read = |word| space.segment.word(word).load(Ordering::Relaxed);
    (0..SHARDS).map(|shard| read(block(shard)) % LINE).sum()
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

/// A value is stored that was made ready before.
fn stored(
    name: impl Into<String>,
    before: Vec<Pair>,
    pair: Pair,
    setup: impl Fn(&Space) -> Made + 'static,
) -> Entry {
    let after = with(&before, pair.clone());
    let (key, content) = pair;
    changed(
        name,
        before,
        after,
        setup,
        move |space, _| value(space, content),
        move |space, made, value| put(space, made, &key, value),
    )
}

fn storing(entries: &mut Vec<Entry>) {
    for (name, count, length) in [
        ("insert into an empty table", 0, SHORT),
        ("insert a word into a table", 2, WORD),
        ("insert short bytes into a table", 2, SHORT),
        ("insert a block into a table", 2, SMALL),
        ("insert a large block into a table", 2, LARGE),
        ("insert where the index must grow", ROOM, SHORT),
    ] {
        let before = pairs(count, SHORT);
        let pair = (keys(count + 1).remove(count), (length, 1));
        entries.push(stored(name, before.clone(), pair, filled(before)));
    }
    let sizes = [
        (WORD, "a word"),
        (SHORT, "short bytes"),
        (SMALL, "a block"),
        (LARGE, "a large block"),
    ];
    for (from, old) in sizes {
        for (to, new) in sizes {
            let before = pairs(3, from);
            let pair = (before[1].0.clone(), (to, 2));
            let name = format!("replace {old} by {new}");
            entries.push(stored(name, before.clone(), pair, filled(before)));
        }
    }
    // A key whose entry is a large block of its own.
    let long = (vec![b'k'; LARGE], (SMALL, 2));
    for (name, known) in [
        ("insert a block under a very long key", false),
        ("replace a block under a very long key", true),
    ] {
        let mut before = pairs(2, SHORT);
        if known {
            before.insert(1, (long.0.clone(), (SMALL, 1)));
        }
        let (first, pair) = (before.clone(), long.clone());
        entries.push(stored(name, before, long.clone(), move |space| {
            let made = create(space); // the index of its shard is there already
            store(space, made, &pair);
            remove(space, made, &pair.0);
            first.iter().for_each(|pair| store(space, made, pair));
            made
        }));
    }
    let before = pairs(3, SMALL);
    let known = before[1].0.clone();
    entries.push(change(
        "insert a key that is known",
        before.clone(),
        before,
        |space, _| value(space, (SMALL, 2)),
        move |space, made, value| {
            let (me, table, item) = (me(space), writer(made), item(&known, value));
            let stored = table::store(space, me, &mut patient, table, &item, When::Absent);
            assert!(!stored.expect("an answer"));
        },
    ));
}

/// What slot 0 reads in place stays where it is, though its key has another value.
fn pinned_by_another() -> Entry {
    let before = pairs(1, LARGE);
    let pair = (before[0].0.clone(), (LARGE, 2));
    let (old, after, name) = (before.clone(), vec![pair.clone()], pair.0.clone());
    play(
        "replace a large block pinned by another",
        Ends::Changed,
        move |space| {
            warm(space);
            let made = create(space);
            store(space, made, &old[0]);
            let (me, table) = (me(space), writer(made));
            let name = key(&old[0].0);
            let found = table::find(space, me, &mut patient, table, &name, &mut Vec::new());
            let Ok((Some(Found::Pinned(pinned)), _)) = found else {
                panic!("not found");
            };
            let block = pinned.payload - courtyard_core::layout::block::LARGE;
            std::mem::forget(Pin::new(space, me, block, || true));
            (made, block)
        },
        move |space, _| {
            warm(space);
            value(space, pair.1)
        },
        move |space, (made, _), value| put(space, *made, &name, value),
        move |space, &(made, block)| {
            let outcome = told_apart(&contents(space, made)?, &before, &after)?;
            let retired = space.segment.word(superblock::RETIRED);
            let kept = retired.load(Ordering::Relaxed) == block;
            if outcome == Outcome::After && !kept {
                return Err("the pinned block was freed".into());
            }
            Ok(outcome)
        },
    )
}

fn removing(entries: &mut Vec<Entry>) {
    for (length, what) in [
        (WORD, "a word"),
        (SHORT, "short bytes"),
        (SMALL, "a block"),
        (LARGE, "a large block"),
    ] {
        for (at, which) in [(1, ""), (2, ", the last")] {
            let before = pairs(3, length);
            let name = before[at].0.clone();
            entries.push(change(
                format!("remove {what} from a table{which}"),
                before.clone(),
                without(&before, at),
                |_, _| (),
                move |space, made, ()| remove(space, made, &name),
            ));
        }
        let before = pairs(3, length);
        let name = before[1].0.clone();
        entries.push(change(
            format!("take {what} from a table"),
            before.clone(),
            without(&before, 1),
            |_, _| (),
            move |space, made, ()| {
                let (me, table) = (me(space), writer(made));
                let taken = table::take(space, me, &mut patient, table, &key(&name));
                is_taken(space, taken.expect("to take").expect("the key"), length);
            },
        ));
        let before = spread(5, &[length]);
        entries.push(change(
            format!("pop {what} from a table"),
            before.clone(),
            without(&before, 4),
            |_, _| (),
            move |space, made, ()| {
                let popped = table::pop_last(space, me(space), &mut patient, writer(made));
                let (.., taken) = popped.expect("to pop").expect("a key");
                is_taken(space, taken, length);
            },
        ));
    }
    for (name, before) in [
        ("clear an empty table", Vec::new()),
        ("clear a table", spread(12, &[WORD, SHORT, SMALL, LARGE])),
    ] {
        entries.push(change(
            name,
            before,
            Vec::new(),
            |_, _| (),
            |space, made, ()| {
                table::clear(space, me(space), &mut patient, writer(made)).expect("to clear");
            },
        ));
    }
}

/// A table with room for many; nothing is in it.
fn roomy(space: &Space) -> Made {
    let made = create(space);
    let all = spread(150, &[WORD]);
    all.iter().for_each(|pair| store(space, made, pair));
    all.iter().for_each(|(name, _)| remove(space, made, name));
    made
}

fn many(entries: &mut Vec<Entry>) {
    let lengths = [WORD, SHORT, SMALL];
    for (name, old, count) in [
        ("store many", 0, 30),
        ("store many, some of them known", 10, 30),
        ("store a few", 2, 4),
    ] {
        let before = spread(old, &[SHORT, SMALL, WORD]);
        let new = spread(count, &lengths);
        let mut after = before.clone();
        for pair in &new {
            after = with(&after, pair.clone());
        }
        let first = before.clone();
        entries.push(changed(
            name,
            before,
            after,
            move |space| {
                let made = roomy(space);
                first.iter().for_each(|pair| store(space, made, pair));
                made
            },
            move |space, made| batch(space, made, &new),
            |_, made, batch| {
                assert!(table::store_all(&mut patient, writer(made), &batch).expect("to store"));
            },
        ));
    }
    let before = pairs(ROOM - 1, SHORT);
    let new = pairs(ROOM + 3, SMALL)[ROOM - 2..].to_vec();
    let mut after = before.clone();
    for pair in &new {
        after = with(&after, pair.clone());
    }
    entries.push(change(
        "store some where the index must grow",
        before,
        after,
        move |space, made| batch(space, made, &new),
        |_, made, batch| {
            assert!(table::store_all(&mut patient, writer(made), &batch).expect("to store"));
        },
    ));
    let twice = pairs(1, SMALL);
    let again = vec![twice[0].clone(), (twice[0].0.clone(), (SHORT, 2))];
    entries.push(change(
        "store a key twice at once",
        pairs(1, SHORT),
        vec![again[1].clone()],
        move |space, made| batch(space, made, &again),
        |_, made, batch| {
            assert!(table::store_all(&mut patient, writer(made), &batch).expect("to store"));
        },
    ));
    let before = pairs(2, SHORT);
    entries.push(change(
        "drop a batch that was never stored",
        before.clone(),
        before,
        |_, _| (),
        |space, made, ()| drop(batch(space, made, &spread(3, &[WORD, SHORT, SMALL]))),
    ));
}

fn living(entries: &mut Vec<Entry>) {
    entries.push(play(
        "create a table",
        Ends::AsBefore,
        warm,
        |space, ()| warm(space),
        |space, (), ()| {
            create(space);
        },
        |_, ()| Ok(Outcome::Before),
    ));
    for (name, count) in [("leave an empty table", 0), ("leave a full table", 12)] {
        entries.push(play(
            name,
            Ends::AsBefore,
            warm,
            move |space, ()| {
                warm(space);
                let made = create(space);
                let all = spread(count, &[WORD, SHORT, SMALL, LARGE]);
                all.iter().for_each(|pair| store(space, made, pair));
                made
            },
            |space, (), made| leave(space, made.row),
            |_, ()| Ok(Outcome::Before),
        ));
    }
    let before = pairs(2, WORD);
    let pair = (before[0].0.clone(), (WORD, 2));
    let after = with(&before, pair.clone());
    entries.push(change(
        "replace a word alone",
        before,
        after,
        |_, _| (),
        move |space, made, ()| {
            let (segment, me, table) = (&space.segment, me(space), writer(made));
            // SAFETY: the processes here have one thread.
            let done = unsafe { table::store_alone(segment, me, table, &key(&pair.0), 2 << 3 | 1) };
            assert!(done);
        },
    ));
    // Of three in the batch one is new, one replaces, one goes.
    let before = spread(4, &[SHORT, SMALL, WORD, LARGE]);
    let new = vec![
        (before[0].0.clone(), (SMALL, 2)),
        (b"another".to_vec(), (SHORT, 2)),
    ];
    let mut after = without(&before, 1);
    for pair in &new {
        after = with(&after, pair.clone());
    }
    let (first, gone) = (before.clone(), before[1].0.clone());
    entries.push(changed(
        "store some and take another out",
        before,
        after,
        move |space| {
            let made = roomy(space);
            first.iter().for_each(|pair| store(space, made, pair));
            made
        },
        move |space, made| {
            let mut batch = batch(space, made, &new);
            batch.remove(&key(&gone));
            batch
        },
        |_, made, batch| {
            assert!(table::store_all(&mut patient, writer(made), &batch).expect("to store"));
        },
    ));
    let before = pairs(2, SHORT);
    let pair = (before[0].0.clone(), (SMALL, 2));
    let after = with(&before, pair.clone());
    entries.push(change(
        "replace under get_lock()",
        before,
        after,
        |_, _| (),
        move |space, made, ()| {
            let (me, table) = (me(space), writer(made));
            let entered = cell::enter(&space.segment, me, table, 0).expect("an answer");
            assert_eq!(entered, cell::Entered::Yes);
            table::quiesce(space, me, &mut patient, made.base).expect("to be quiet");
            store(space, made, &pair);
            assert!(cell::exit(&space.segment, me, table));
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    storing(entries);
    entries.push(pinned_by_another());
    removing(entries);
    many(entries);
    living(entries);
}
