//! Tables that somebody watches: what a change changed, the watcher finds, whenever the writer dies.

use super::{
    LARGE, Pair, ROOM, SHORT, SMALL, WORD, contents, create, filled, item, keys, pairs, put,
    remove, slots, spread, store, value, with, without,
};
use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, caller, leave, me, told_apart, warm, with_wake, writer};
use courtyard_core::object::{self, Stored};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Batch, End, Watch};

/// The word of a shard that names the block of recent changes.
const RECENT: u64 = 48;

struct Scene {
    made: Made,
    watch: Watch,
    flagged: Option<u64>,
    slots: u64,
}

fn follow(space: &Space, made: Made) -> Watch {
    let watch = Watch::new(caller(space), writer(made), None);
    watch.expect("to watch").0
}

/// What the table holds by what a watcher finds, which knew it as it was before.
fn followed(space: &Space, scene: &Scene, before: &[Pair]) -> Result<Vec<Pair>, String> {
    let (mut watch, mut all) = (scene.watch.clone(), before.to_vec());
    while watch.look(caller(space), writer(scene.made)).or_text()? {
        let Some(change) = watch.take() else {
            return Err("a change that is not there".into());
        };
        let content = match change.value {
            None => {
                all.retain(|(key, _)| *key != change.key);
                continue;
            }
            Some(Stored::Word(word)) => (WORD, (word >> 3) as u8),
            Some(Stored::Bytes(_, bytes)) => (bytes.len(), bytes[0]),
        };
        all = with(&all, (change.key, content));
    }
    Ok(all)
}

/// An operation on a table that is watched and holds `before`.
fn watched<R: 'static>(
    name: impl Into<String>,
    before: Vec<Pair>,
    after: Vec<Pair>,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
) -> Entry {
    let first = before.clone();
    play(
        format!("{}, watched", name.into()),
        Ends::Changed,
        move |space| {
            warm(space);
            let made = filled(first.clone())(space);
            Scene {
                made,
                watch: follow(space, made),
                flagged: Some(announce(space, made)),
                slots: slots(space, made),
            }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.made)
        },
        move |space, scene, state| act(space, scene.made, state),
        move |space, scene| {
            let found = contents(space, scene.made)?;
            let (mut seen, mut there) = (followed(space, scene, &before)?, found.clone());
            seen.sort();
            there.sort();
            if seen != there {
                return Err(format!("the watcher knows of {seen:?}, there is {there:?}"));
            }
            match told_apart(&found, &before, &after)? {
                Outcome::Before if slots(space, scene.made) > scene.slots => Ok(Outcome::Prepared),
                outcome => with_wake(outcome, space, scene.made, scene.flagged),
            }
        },
    )
}

fn stored(name: &str, count: usize, old: usize, new: usize, at: usize) -> Entry {
    let before = pairs(count, old);
    let pair = (keys(at + 1).remove(at), (new, 2));
    let (after, name_of) = (with(&before, pair.clone()), pair.0.clone());
    watched(
        name,
        before,
        after,
        move |space, _| value(space, pair.1),
        move |space, made, value| put(space, made, &name_of, value),
    )
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(stored("replace a word", 3, WORD, WORD, 1));
    entries.push(stored("replace a block", 3, SMALL, LARGE, 1));
    entries.push(stored("insert short bytes", 2, SHORT, SHORT, 2));
    entries.push(stored(
        "insert where the index must grow",
        ROOM,
        WORD,
        SHORT,
        ROOM,
    ));
    let before = pairs(3, SHORT);
    let pair = (before[1].0.clone(), (SHORT, 2));
    let after = with(&before, pair.clone());
    entries.push(watched(
        "replace short bytes by the fast path",
        before,
        after,
        move |space, _| value(space, pair.1),
        move |space, made, value| {
            let (me, item) = (me(space), item(&pair.0, value));
            // SAFETY: the processes here have one thread.
            assert!(unsafe { table::store_fast(&space.segment, me, made.base, &item, false) });
        },
    ));
    let before = pairs(3, SHORT);
    let (after, name) = (without(&before, 1), before[1].0.clone());
    entries.push(watched(
        "remove short bytes",
        before,
        after,
        |_, _| (),
        move |space, made, ()| remove(space, made, &name),
    ));
    let before = pairs(3, SMALL);
    let after = without(&before, 0);
    entries.push(watched(
        "pop the first",
        before,
        after,
        |_, _| (),
        |space, made, ()| {
            let popped = table::pop_end(caller(space), writer(made), End::First);
            assert!(popped.expect("to pop").is_some());
        },
    ));
    let before = spread(9, &[WORD, SHORT]);
    entries.push(watched(
        "clear a table",
        before,
        Vec::new(),
        |_, _| (),
        |space, made, ()| table::clear(caller(space), writer(made)).expect("to clear"),
    ));
    let (before, new) = (spread(6, &[WORD, SHORT]), spread(9, &[SHORT, WORD]));
    let after = new
        .iter()
        .fold(before.clone(), |all, pair| with(&all, pair.clone()));
    entries.push(watched(
        "store many",
        before,
        after,
        move |space, made| {
            let mut batch = Batch::new(16, false);
            for (name, content) in &new {
                let item = item(name, value(space, *content));
                let added = batch.add(caller(space), writer(made), &item);
                added.expect("to add");
            }
            batch
        },
        |space, made, mut batch| {
            let stored = table::store_all(caller(space), writer(made), &mut batch);
            assert!(stored.expect("to store"));
        },
    ));
    entries.push(play(
        "begin to watch a table",
        Ends::Changed,
        |space| {
            warm(space);
            filled(pairs(3, SHORT))(space)
        },
        |space, _| warm(space),
        |space, made, ()| drop(follow(space, *made)),
        |space, made| {
            if contents(space, *made)? != pairs(3, SHORT) {
                return Err("it changed the table".into());
            }
            let recent = object::payload(made.base) + RECENT;
            match space.segment.word(recent).load(Ordering::Relaxed) {
                0 => Ok(Outcome::Before),
                _ => Ok(Outcome::After),
            }
        },
    ));
    entries.push(play(
        "leave a watched table",
        Ends::AsBefore,
        warm,
        |space, ()| {
            warm(space);
            let made = create(space);
            let all = spread(3, &[WORD, SHORT]);
            all.iter().for_each(|pair| store(space, made, pair));
            drop(follow(space, made));
            made
        },
        |space, (), made| leave(space, made.row),
        |_, ()| Ok(Outcome::Before),
    ));
}
