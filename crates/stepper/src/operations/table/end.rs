//! The key at an end of the order: taken out, and put there.

use super::removal::is_taken;
use super::{
    LARGE, Pair, ROOM, SHORT, SMALL, WORD, change, changed, filled, key, pairs, remove, spread,
    without,
};
use crate::entry::Entry;
use crate::stage::{Made, caller, writer};
use courtyard_core::space::Space;
use courtyard_core::table::{self, End, Popped};

/// What is there without the one at an end.
fn popped(before: &[Pair], end: End) -> Vec<Pair> {
    match end {
        End::First => without(before, 0),
        End::Last => without(before, before.len() - 1),
    }
}

/// What is there with one of them at an end.
fn moved(before: &[Pair], at: usize, end: End) -> Vec<Pair> {
    let mut after = before.to_vec();
    let pair = after.remove(at);
    match end {
        End::First => after.insert(0, pair),
        End::Last => after.push(pair),
    }
    after
}

fn move_to_end(space: &Space, made: Made, name: &[u8], end: End) {
    let table = writer(made);
    let moved = table::move_to_end(caller(space), table, &key(name), end);
    assert!(moved.expect("to move"));
}

fn taking(entries: &mut Vec<Entry>, length: usize, what: &str, end: End) {
    let before = spread(5, &[length]);
    entries.push(change(
        format!("remove {what} from a table, which was seen to be the {end:?}"),
        before.clone(),
        popped(&before, end),
        move |space, made| {
            let table = writer(made);
            let seen = table::pop_end_if(caller(space), table, end, |_| false);
            match seen.expect("to look") {
                Popped::Left(seen) => seen,
                _ => panic!("it was not to be taken"),
            }
        },
        move |space, made, seen| {
            let table = writer(made);
            let removed = table::remove_end(caller(space), table, end, &seen);
            assert!(removed.expect("to remove"));
        },
    ));
    entries.push(change(
        format!("pop {what} from a table, {end:?}"),
        before.clone(),
        popped(&before, end),
        |_, _| (),
        move |space, made, ()| {
            let popped = table::pop_end(caller(space), writer(made), end);
            let (.., taken) = popped.expect("to pop").expect("a key");
            is_taken(space, taken, length);
        },
    ));
}

/// A key is moved, of a table whose keys are spread over all shards, or all of one shard.
fn moving(entries: &mut Vec<Entry>, name: &str, before: Vec<Pair>, at: usize, end: End) {
    let name = format!("move a key of a table to an end, {end:?}, {name}");
    let (after, key) = (moved(&before, at, end), before[at].0.clone());
    entries.push(change(
        name,
        before,
        after,
        |_, _| (),
        move |space, made, ()| move_to_end(space, made, &key, end),
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    for end in [End::First, End::Last] {
        for (length, what) in [
            (WORD, "a word"),
            (SHORT, "short bytes"),
            (SMALL, "a block"),
            (LARGE, "a large block"),
        ] {
            taking(entries, length, what, end);
        }
        let lengths = [WORD, SHORT, SMALL, LARGE];
        moving(entries, "of many", spread(9, &lengths), 4, end);
        let (last, first) = (ROOM - 2, 0);
        moving(entries, "the first", pairs(ROOM - 1, SHORT), first, end);
        moving(entries, "the last", pairs(ROOM - 1, SHORT), last, end);
        moving(
            entries,
            "where there is no room",
            pairs(ROOM, SHORT),
            3,
            end,
        );
        // The first of the shard went before: there is a place in front.
        let all = pairs(ROOM, SHORT);
        let (gone, before) = (all[0].0.clone(), all[1..].to_vec());
        let (after, name) = (moved(&before, 2, end), before[2].0.clone());
        entries.push(changed(
            format!("move a key of a table to an end, {end:?}, where the first is gone"),
            before,
            after,
            move |space| {
                let made = filled(all.clone())(space);
                remove(space, made, &gone);
                made
            },
            |_, _| (),
            move |space, made, ()| move_to_end(space, made, &name, end),
        ));
    }
}
