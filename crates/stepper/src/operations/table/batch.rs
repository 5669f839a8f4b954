//! Many keys at once.

use super::{
    LARGE, Pair, ROOM, SHORT, SMALL, WORD, change, changed, create, item, key, pairs, remove,
    spread, store, value, with, without,
};
use crate::entry::Entry;
use crate::stage::{Made, caller, writer};
use courtyard_core::space::Space;
use courtyard_core::table::{self, Batch};

fn batch(space: &'static Space, made: Made, pairs: &[Pair]) -> Batch<'static> {
    let room = 1 + pairs.len() as u64;
    let mut batch = Batch::new(room, false);
    for (name, content) in pairs {
        let item = item(name, value(space, *content));
        batch
            .add(caller(space), writer(made), &item)
            .expect("to add");
    }
    batch
}

fn sum_of_words(there: u64, word: u64) -> Option<u64> {
    Some(there + (word & !7))
}

/// A table whose shards all have an index; nothing is in it.
fn roomy(space: &Space) -> Made {
    let made = create(space);
    let all = spread(150, &[WORD]);
    all.iter().for_each(|pair| store(space, made, pair));
    all.iter().for_each(|(name, _)| remove(space, made, name));
    made
}

pub fn add(entries: &mut Vec<Entry>) {
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
            |space, made, mut batch| {
                assert!(
                    table::store_all(caller(space), writer(made), &mut batch).expect("to store")
                );
            },
        ));
    }
    for (name, old, new, count) in [
        ("store words over words", WORD, WORD, 4),
        ("store words over words, by a chain", WORD, WORD, 70),
        ("store words over blocks", SMALL, WORD, 4),
        ("store words over large blocks", LARGE, WORD, 4),
        ("store short bytes over short bytes", SHORT, SHORT, 4),
        (
            "store short bytes over short bytes, by a chain",
            SHORT,
            SHORT,
            6,
        ),
        (
            "store short bytes over words, which have no room",
            WORD,
            SHORT,
            4,
        ),
    ] {
        let before = spread(count + 1, &[old]);
        let new: Vec<Pair> = spread(count, &[new])
            .into_iter()
            .map(|(key, (length, _))| (key, (length, 2)))
            .collect();
        let mut after = before.clone();
        for pair in &new {
            after = with(&after, pair.clone());
        }
        entries.push(change(
            format!("{name}, many"),
            before,
            after,
            move |space, made| batch(space, made, &new),
            |space, made, mut batch| {
                let stored = table::store_all(caller(space), writer(made), &mut batch);
                assert!(stored.expect("to store"));
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
        |space, made, mut batch| {
            assert!(table::store_all(caller(space), writer(made), &mut batch).expect("to store"));
        },
    ));
    let twice = pairs(1, SMALL);
    let again = vec![twice[0].clone(), (twice[0].0.clone(), (SHORT, 2))];
    entries.push(change(
        "store a key twice at once",
        pairs(1, SHORT),
        vec![again[1].clone()],
        move |space, made| batch(space, made, &again),
        |space, made, mut batch| {
            assert!(table::store_all(caller(space), writer(made), &mut batch).expect("to store"));
        },
    ));
    let new = |count: u32| -> Vec<Pair> {
        let words = spread(count, &[WORD]).into_iter();
        words.map(|(key, _)| (key, (WORD, 2))).collect()
    };
    // A key twice: as one that another stored under between two attempts.
    let twice = [new(1), new(1)].concat();
    for (name, known, added) in [
        ("add to words", 5, new(4)),
        ("add to words, some of them new", 2, new(4)),
        ("add to a new key twice at once", 0, twice),
    ] {
        let before = spread(known, &[WORD]);
        let mut after = before.clone();
        for (key, (_, byte)) in &added {
            let there = after.iter().find(|(other, _)| other == key);
            let sum = byte + there.map_or(0, |(_, (_, byte))| *byte);
            after = with(&after, (key.clone(), (WORD, sum)));
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
            move |space, made| batch(space, made, &added).merging(sum_of_words),
            |space, made, mut batch| {
                let stored = table::store_all(caller(space), writer(made), &mut batch);
                assert!(stored.expect("to store"));
            },
        ));
    }
    let before = pairs(2, SHORT);
    entries.push(change(
        "drop a batch that was never stored",
        before.clone(),
        before,
        |_, _| (),
        |space, made, ()| drop(batch(space, made, &spread(3, &[WORD, SHORT, SMALL]))),
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
            batch.remove(&key(&gone)).expect("to remove");
            batch
        },
        |space, made, mut batch| {
            assert!(table::store_all(caller(space), writer(made), &mut batch).expect("to store"));
        },
    ));
}
