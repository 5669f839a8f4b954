//! Objects named, found by their names, and names deleted.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{Made, announce_at, caller, get, leave, make, set, warm, was_woken_at};
use courtyard_core::check;
use courtyard_core::directory;
use courtyard_core::inside::rows;
use courtyard_core::layout::{FIRST_ROWS, superblock};
use courtyard_core::object::{self, BYTES, SCALAR};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;

const DESCRIPTION: &[u8] = b"a scalar, as it was declared";

fn bind(space: &Space, name: &str, made: Made, companion: Option<Made>) -> bool {
    let companion = companion.map(|made| made.id);
    directory::bind(caller(space), name, DESCRIPTION, made.id, companion).expect("to name")
}

fn unbind(space: &Space, name: &str) -> bool {
    directory::unbind(caller(space), name).expect("to delete")
}

fn lookup(space: &Space, name: &str) -> Option<directory::Named> {
    directory::lookup(caller(space), name).expect("to look")
}

/// Makes what an operation on names would otherwise add to the tables first.
fn warm_names(space: &Space) {
    warm(space);
    let made = make(space, SCALAR, 0);
    assert!(bind(space, "warm", made, None) && unbind(space, "warm"));
    leave(space, made.row);
}

/// A scalar with something in it, held.
fn held(space: &Space) -> Made {
    warm_names(space);
    let made = make(space, SCALAR, 0);
    set(space, made, 42);
    made
}

/// A named object that nobody holds.
fn named(space: &Space) -> Made {
    let made = held(space);
    assert!(bind(space, "x", made, None));
    leave(space, made.row);
    made
}

/// Whether the name leads to the whole object.
fn leads(space: &Space, made: Made) -> Result<bool, String> {
    let names = check::check(space, &unlimited)
        .map_err(|error| error.to_string())?
        .names;
    let Some(found) = lookup(space, "x") else {
        return Ok(false);
    };
    if found.id != made.id || found.description != DESCRIPTION || names == 0 {
        return Err(format!("{names} names, one leads to {found:?}"));
    }
    match get(space, made) {
        42 => Ok(true),
        other => Err(format!("it holds {other}")),
    }
}

fn naming(entries: &mut Vec<Entry>) {
    entries.push(play(
        "name an object",
        Ends::Changed,
        held,
        |space, _| warm_names(space),
        |space, made, ()| assert!(bind(space, "x", *made, None)),
        |space, made| {
            Ok(match leads(space, *made)? {
                true => Outcome::After,
                false => Outcome::Before,
            })
        },
    ));
    entries.push(play(
        "name an object that somebody waits for",
        Ends::Changed,
        |space| {
            let made = held(space);
            (made, announce_at(space, superblock::NAMED))
        },
        |space, _| warm_names(space),
        |space, (made, _), ()| assert!(bind(space, "x", *made, None)),
        |space, (made, flagged)| match leads(space, *made)? {
            true if was_woken_at(space, superblock::NAMED, Some(*flagged)) => Ok(Outcome::After),
            true => Err("it has a name and nobody was woken".into()),
            false => Ok(Outcome::Before),
        },
    ));
    entries.push(play(
        "name an object, the space's first name",
        Ends::Changed,
        |space| {
            warm(space);
            let made = make(space, SCALAR, 0);
            set(space, made, 42);
            made
        },
        |space, _| warm(space),
        |space, made, ()| assert!(bind(space, "x", *made, None)),
        |space, made| {
            let table = space.segment.word(superblock::NAMES);
            let table = table.load(Ordering::Relaxed) != 0;
            Ok(match (leads(space, *made)?, table) {
                (true, _) => Outcome::After,
                (false, true) => Outcome::Prepared,
                (false, false) => Outcome::Before,
            })
        },
    ));
    entries.push(play(
        "make an object and name it",
        Ends::Changed,
        warm_names,
        |space, ()| warm_names(space),
        |space, (), ()| {
            let made = make(space, SCALAR, 0);
            set(space, made, 42);
            assert!(bind(space, "x", made, None));
        },
        |space, ()| match lookup(space, "x") {
            None => Ok(Outcome::Before),
            Some(found) => {
                let (base, ..) =
                    object::open(&space.segment, found.id).map_err(|error| error.to_string())?;
                let value = space.segment.word(base + object::DATA);
                match value.load(Ordering::Relaxed) {
                    42 => Ok(Outcome::After),
                    other => Err(format!("half born: it holds {other}")),
                }
            }
        },
    ));
    entries.push(play(
        "name an object by a name that is taken",
        Ends::AsBefore,
        named,
        |space, _| {
            warm_names(space);
            make(space, SCALAR, 0)
        },
        |space, _, made| assert!(!bind(space, "x", made, None)),
        |space, made| match leads(space, *made)? {
            true => Ok(Outcome::Before),
            false => Err("the name is gone".into()),
        },
    ));
    entries.push(play(
        "look a name up",
        Ends::AsBefore,
        named,
        |space, _| warm_names(space),
        |space, _, ()| assert!(lookup(space, "x").is_some()),
        |space, made| match leads(space, *made)? {
            true => Ok(Outcome::Before),
            false => Err("the name is gone".into()),
        },
    ));
}

/// Names an object; which of the first buckets the name is in.
fn placed(space: &Space, name: &str, made: Made) -> Option<u64> {
    let buckets = || {
        let buckets = (0..FIRST_ROWS).map(|at| superblock::FIRST_BUCKETS + at * 8);
        buckets
            .map(|word| space.segment.word(word).load(Ordering::Relaxed))
            .collect::<Vec<_>>()
    };
    let before = buckets();
    assert!(bind(space, name, made, None));
    let after = buckets();
    (0..FIRST_ROWS).find(|&at| before[at as usize] != after[at as usize])
}

/// Names an object so that the name shares its bucket with "x".
fn neighbour(space: &Space, made: Made, turn: u64) {
    let placed = |name: &str| placed(space, name, made);
    let there = unbind(space, "x");
    let wanted = placed("x");
    if !there {
        unbind(space, "x");
    }
    for number in turn * 10_000.. {
        let name = format!("neighbour {number}");
        if placed(&name) == wanted {
            return;
        }
        unbind(space, &name);
    }
}

fn deleting(entries: &mut Vec<Entry>) {
    let gone_or_there = |space: &Space, made: &Made| {
        Ok(match leads(space, *made)? {
            true => Outcome::Before,
            false => Outcome::After,
        })
    };
    entries.push(play(
        "delete a name, the object's last holder",
        Ends::Changed,
        named,
        |space, _| warm_names(space),
        |space, _, ()| assert!(unbind(space, "x")),
        gone_or_there,
    ));
    entries.push(play(
        "delete a name, the object is held",
        Ends::Changed,
        |space| {
            let made = held(space);
            assert!(bind(space, "x", made, None));
            made
        },
        |space, _| warm_names(space),
        |space, _, ()| assert!(unbind(space, "x")),
        move |space, made| {
            if get(space, *made) != 42 {
                return Err("the holder lost it".into());
            }
            gone_or_there(space, made)
        },
    ));
    entries.push(play(
        "delete one name of many",
        Ends::Changed,
        |space| {
            let made = held(space);
            neighbour(space, made, 0);
            assert!(bind(space, "x", made, None));
            neighbour(space, made, 1);
            made
        },
        |space, _| warm_names(space),
        |space, _, ()| assert!(unbind(space, "x")),
        move |space, made| {
            let names = directory::names(caller(space));
            let names = names.map_err(|error| error.to_string())?;
            let others = names.iter().filter(|entry| entry.name != "x");
            match others
                .filter(|entry| lookup(space, &entry.name).is_some())
                .count()
            {
                2 => gone_or_there(space, made),
                left => Err(format!("{left} of the two other names are left")),
            }
        },
    ));
    entries.push(play(
        "delete a name with a companion",
        Ends::Changed,
        |space| {
            let (made, companion) = (held(space), make(space, BYTES, 50_000));
            assert!(bind(space, "x", made, Some(companion)));
            leave(space, companion.row);
            leave(space, made.row);
            made
        },
        |space, _| warm_names(space),
        |space, _, ()| assert!(unbind(space, "x")),
        gone_or_there,
    ));
}

/// As many names as buckets, five of them in the bucket that the next name divides.
fn crowded(space: &Space, divided: u64) -> Made {
    let (made, mut together) = (held(space), 0);
    let count = FIRST_ROWS + more_buckets(space);
    for number in directory::count(&space.segment).. {
        let live = directory::count(&space.segment);
        if live == count {
            return made;
        }
        let name = format!("crowd {number}");
        let is_there = placed(space, &name, made) == Some(divided);
        together += u64::from(is_there);
        // The rest is of other buckets: so those that matter come first.
        if (together < 5 && !is_there) || (together > 5 && is_there) {
            unbind(space, &name);
        }
    }
    unreachable!()
}

fn more_buckets(space: &Space) -> u64 {
    let word = space.segment.word(superblock::MORE_BUCKETS);
    word.load(Ordering::Relaxed)
}

/// Whether all names but "x" are found, and how many buckets there are beyond the first.
fn divided(space: &Space, made: &Made) -> Result<(bool, u64), String> {
    let names = directory::names(caller(space));
    for entry in names.map_err(|error| error.to_string())? {
        if lookup(space, &entry.name).is_none() {
            return Err(format!("{} is not found", entry.name));
        }
    }
    Ok((leads(space, *made)?, more_buckets(space)))
}

fn dividing(entries: &mut Vec<Entry>) {
    entries.push(play(
        "name an object, the first to divide a bucket",
        Ends::Changed,
        |space| {
            let made = crowded(space, 0);
            let (names, size) = (superblock::NAMES, directory::NAME_ROW);
            rows::extend(caller(space), names, 1, size).expect("rows of names");
            made
        },
        |space, _| warm(space),
        |space, made, ()| assert!(bind(space, "x", *made, None)),
        |space, made| {
            let table = space.segment.word(superblock::BUCKETS + 8);
            let table = table.load(Ordering::Relaxed) != 0;
            match (divided(space, made)?, table) {
                ((true, 1), true) => Ok(Outcome::After),
                ((false, 0), true) => Ok(Outcome::Prepared),
                ((false, 0), false) => Ok(Outcome::Before),
                found => Err(format!("{found:?}")),
            }
        },
    ));
    entries.push(play(
        "name an object, dividing a bucket",
        Ends::Changed,
        |space| {
            let made = crowded(space, 0);
            assert!(bind(space, "first", made, None));
            for entry in directory::names(caller(space)).expect("names") {
                unbind(space, &entry.name);
            }
            leave(space, made.row);
            crowded(space, 1)
        },
        |space, _| warm(space),
        |space, made, ()| assert!(bind(space, "x", *made, None)),
        |space, made| match divided(space, made)? {
            (true, 2) => Ok(Outcome::After),
            (false, 1) => Ok(Outcome::Before),
            found => Err(format!("{found:?}")),
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    naming(entries);
    dividing(entries);
    deleting(entries);
}
