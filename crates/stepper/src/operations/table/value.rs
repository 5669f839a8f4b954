//! A value under a key: new, or in place of another.

use super::Pair;
use super::{
    LARGE, ROOM, SHORT, SMALL, WORD, change, changed, contents, create, filled, item, key, keys,
    pairs, put, remove, store, value, with,
};
use crate::entry::Outcome;
use crate::entry::{Ends, Entry, play};
use crate::stage::{Made, caller, me, told_apart, warm, writer};
use courtyard_core::inside::pin::Pin;
use courtyard_core::layout::superblock;
use courtyard_core::object;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, SHARDS, When};
use courtyard_core::value::{Found, NewValue};

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

/// A value in place of another in the same entry, by the GIL's holder: what stood there first has made
/// room.
fn fast(first: usize, old: usize, new: usize) -> Entry {
    let (room, before) = (pairs(2, first), pairs(2, old));
    let name = before[0].0.clone();
    let after = with(&before, (name.clone(), (new, 2)));
    let pairs = before.clone();
    changed(
        format!("replace {old} bytes by {new} by the fast path in an entry of {first}"),
        before,
        after,
        move |space| {
            let made = create(space);
            let all = room.iter().chain(&pairs);
            all.for_each(|pair| store(space, made, pair));
            made
        },
        move |space, _| value(space, (new, 2)),
        move |space, made, value| {
            let (segment, me, item) = (&space.segment, me(space), item(&name, value));
            // SAFETY: the processes here have one thread.
            let done = unsafe { table::store_fast(segment, me, made.base, &item, false) };
            assert!(done);
        },
    )
}

/// A value under a new key by the fast path, of an int's length or a text's; `gap`: in a place in the index
/// that another key left.
fn inserted_fast(name: &'static str, content: usize, gap: bool) -> Entry {
    let all = pairs(5, SHORT);
    let before = all[..4].to_vec();
    let pair = match name.len() {
        0 => (all[4].0.clone(), (content, 2)),
        _ => (long_key(name), (content, 2)),
    };
    let (after, first) = (with(&before, pair.clone()), before.clone());
    changed(
        format!("store {content} bytes under a new key {name:?} by the fast path, gap: {gap}"),
        before,
        after,
        move |space| {
            let made = create(space);
            if gap {
                store(space, made, &(all[4].0.clone(), (SHORT, 1)));
            }
            first.iter().for_each(|pair| store(space, made, pair));
            if gap {
                remove(space, made, &all[4].0);
            }
            made
        },
        {
            let pair = pair.clone();
            move |space, _| {
                ready_blocks(space, &pair);
                value(space, pair.1)
            }
        },
        move |space, made, value| {
            let item = item(&pair.0, value);
            let (segment, me) = (&space.segment, me(space));
            // SAFETY: the processes here have one thread.
            assert!(unsafe { table::store_fast(segment, me, made.base, &item, true) });
        },
    )
}

/// A key of the first shard that begins so.
fn long_key(start: &str) -> Vec<u8> {
    let names = (0..).map(|number: u32| format!("{start}{number}").into_bytes());
    let mut first = names.filter(|name| key(name).hash().is_multiple_of(SHARDS));
    first.next().expect("a key")
}

/// Has blocks for such an entry, and room for some, in the magazine.
pub(super) fn ready_blocks(space: &Space, pair: &Pair) {
    let other = create(space);
    store(space, other, pair);
    courtyard_core::directory::leave(caller(space), other.row).expect("to leave");
}

/// A word made of another, by the GIL's holder.
fn changed_fast() -> Entry {
    let before = pairs(3, WORD);
    let pair = (before[1].0.clone(), (WORD, 2));
    let (after, name) = (with(&before, pair.clone()), pair.0.clone());
    changed(
        "change a word by the fast path",
        before.clone(),
        after,
        filled(before),
        move |space, _| match value(space, pair.1) {
            NewValue::Word(word) => word,
            _ => panic!("a word is no word"),
        },
        move |space, made, word| {
            let (segment, me, object) = (&space.segment, me(space), made.base);
            let next = |old: u64| (old != word).then_some(word);
            // SAFETY: the processes here have one thread.
            let done = unsafe { table::change_fast(segment, me, object, &key(&name), next) };
            assert_eq!(done, Some(word));
        },
    )
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
            let found = table::find(caller(space), table, &name, &mut Vec::new());
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

pub fn add(entries: &mut Vec<Entry>) {
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
            let (table, item) = (writer(made), item(&known, value));
            let stored = table::store(caller(space), table, &item, When::Absent);
            assert!(!stored.expect("an answer"));
        },
    ));
    for (first, old, new) in [
        (WORD, WORD, WORD),
        (SHORT, SHORT, SHORT),
        (SHORT, SHORT, SHORT + 3),
        (SHORT, SHORT, 1),
        (SHORT, SHORT, WORD),
        (SHORT, WORD, SHORT),
    ] {
        entries.push(fast(first, old, new));
    }
    entries.push(changed_fast());
    for (name, gap) in [("", false), ("", true), ("a text ", false)] {
        for content in [WORD, SHORT] {
            entries.push(inserted_fast(name, content, gap));
        }
    }
    entries.push(pinned_by_another());
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
            let entered = object::enter(&space.segment, me, table, 0).expect("an answer");
            assert_eq!(entered, object::Entered::Yes);
            table::quiesce(caller(space), made.base).expect("to be quiet");
            store(space, made, &pair);
            assert!(object::exit(&space.segment, me, table));
        },
    ));
}
