//! Many elements exchanged at once: batches, bounds, slices, a new ring.

use super::{
    ALL, Content, ENDS, LARGE, SHORT, SMALL, Start, WORD, change, contents, look, new_value, with,
};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{announce, caller, warm, with_wake, writer};
use courtyard_core::list::{self, Batch, End, Piece, Places};
use courtyard_core::space::Space;

fn batch(space: &'static Space, contents: &[Content]) -> Batch<'static> {
    let mut batch = Batch::new(contents.len() as u64);
    for &content in contents {
        let value = new_value(space, content);
        batch.add(caller(space), &value).expect("to add");
    }
    batch
}

fn extending(entries: &mut Vec<Entry>) {
    let new = || vec![(SHORT, 7), (WORD, 8), (SMALL, 9)];
    for (name, count, turned) in [
        ("extend", 6, 3),
        ("extend an empty list", 0, 0),
        ("extend where it must grow", 2, 0),
    ] {
        for (end, place) in ENDS {
            let start = Start {
                turned,
                ..Start::new(contents(count, &[WORD, SHORT]))
            };
            let mut after = start.holds.clone();
            for content in new() {
                after = with(&after, end, content);
            }
            entries.push(change(
                format!("{name}, {place}"),
                start,
                after,
                move |space, _| batch(space, &new()),
                move |space, made, batch| {
                    let done = list::extend(caller(space), writer(made), end, &batch, None);
                    assert!(done.expect("to extend"));
                },
            ));
        }
    }
    let sizes = [(WORD, "words"), (SHORT, "blocks")];
    for ((end, place), (size, what)) in ENDS
        .into_iter()
        .zip(sizes)
        .chain(ENDS.into_iter().zip(sizes.into_iter().rev()))
    {
        let start = Start {
            most: Some(4),
            ..Start::new(contents(4, &[size]))
        };
        let mut after = start.holds.clone();
        for content in new() {
            after = with(&after, end, content);
        }
        match end {
            End::First => after.truncate(4),
            End::Last => after = after[3..].to_vec(),
        }
        entries.push(change(
            format!("extend, {place}, and drop {what} at the other end"),
            start,
            after,
            move |space, _| batch(space, &new()),
            move |space, made, batch| {
                let done = list::extend(caller(space), writer(made), end, &batch, Some(4));
                assert!(done.expect("to extend"));
            },
        ));
    }
    let start = Start::new(contents(2, &[SHORT]));
    let after = start.holds.clone();
    entries.push(change(
        "drop values that were never linked",
        start,
        after,
        |_, _| (),
        move |space, _, ()| drop(batch(space, &new())),
    ));
}

/// Another number of elements that there may be: the first go, in the same step.
fn bounding(entries: &mut Vec<Entry>) {
    for (name, most, to, count, kept, lengths) in [
        ("bound, and nothing goes", None, Some(3), 3, 3, &ALL[..]),
        ("bound, and words go", None, Some(2), 5, 2, &[WORD][..]),
        (
            "bound, and short bytes go",
            Some(5),
            Some(4),
            5,
            4,
            &[SHORT],
        ),
        ("bound, and a block goes", Some(5), Some(4), 5, 4, &[SMALL]),
        (
            "bound, and a large block goes",
            Some(5),
            Some(4),
            5,
            4,
            &[LARGE],
        ),
        ("bound, and blocks go", None, Some(2), 7, 2, &ALL),
        ("bound, and all go", Some(9), Some(0), 6, 0, &ALL),
        ("bound no more", Some(4), None, 4, 4, &ALL),
    ] {
        let start = Start {
            most,
            turned: usize::from(most.is_none()),
            ..Start::new(contents(count, lengths))
        };
        let before = start.holds.clone();
        let after = before[count - kept..].to_vec();
        entries.push(play(
            name,
            Ends::Changed,
            move |space| {
                warm(space);
                let made = start.make(space);
                let flagged = announce(space, made);
                (made, flagged)
            },
            |space, _| warm(space),
            move |space, &(made, _), ()| {
                let done = list::bound(caller(space), writer(made), to);
                done.expect("to bound");
            },
            move |space, &(made, flagged)| {
                let found = look(space, made)?;
                let outcome = match list::most(&space.segment, made.base) {
                    bound if bound == to && found == after => Outcome::After,
                    bound if bound == most && found == before => Outcome::Before,
                    bound => return Err(format!("at most {bound:?}, and there are {found:?}")),
                };
                with_wake(outcome, space, made, Some(flagged))
            },
        ));
    }
    // One less than a quarter of the ring: it is exchanged for a smaller one afterwards.
    let start = Start::new(contents(200, &[WORD]));
    let after = start.holds[170..].to_vec();
    let turned = 65; // says that the ring is to shrink
    entries.push(change(
        "bound where the ring is too large",
        Start { turned, ..start },
        after,
        |_, _| (),
        |space, made, ()| {
            let done = list::bound(caller(space), writer(made), Some(30));
            done.expect("to bound");
        },
    ));
}

/// A change of many: pieces of a list that holds `count` of all lengths, and of `new`.
fn rebuilt(
    name: &str,
    count: usize,
    new: Vec<Content>,
    pieces: Vec<Piece>,
    after: Vec<Content>,
) -> Entry {
    change(
        name,
        Start::new(contents(count, &ALL)),
        after,
        move |space, _| batch(space, &new),
        move |space, made, batch| {
            let list = writer(made);
            let token = list::look(caller(space), list).expect("a look");
            let done = list::rebuild(caller(space), list, token, &batch, &pieces);
            assert!(done.expect("to rebuild"));
        },
    )
}

/// A change inside a list of `count` of all lengths, the first `front` of which stand at the ring's end.
fn spliced(
    (name, count, front): (&str, usize, usize),
    (first, old): (usize, usize),
    new: Vec<Content>,
) -> Entry {
    let start = Start {
        front,
        ..Start::new(contents(count, &ALL))
    };
    let mut after = start.holds.clone();
    after.splice(first..first + old, new.clone());
    change(
        format!("splice, {name}"),
        start,
        after,
        move |space, _| batch(space, &new),
        move |space, made, batch| {
            let list = writer(made);
            let mut done = false;
            while !done {
                let token = list::look(caller(space), list).expect("a look");
                let place = (first as u64, old as u64);
                let spliced = list::splice(caller(space), list, token, place, &batch);
                done = spliced.expect("to splice");
            }
        },
    )
}

fn splicing(entries: &mut Vec<Entry>) {
    let new = |count| -> Vec<Content> {
        let lengths = [SHORT, WORD, SMALL].into_iter().cycle();
        lengths.zip(11..).take(count).collect()
    };
    for (at, what) in ["a word", "short bytes", "a block", "a large block"]
        .iter()
        .enumerate()
    {
        entries.push(spliced(
            (&format!("take {what} out"), 7, 0),
            (at, 1),
            vec![],
        ));
    }
    for turned in [0, 2, 5] {
        let name = |what: &str| format!("{what}, {turned} at the end of the ring");
        entries.push(spliced((&name("one in front"), 7, turned), (1, 0), new(1)));
        entries.push(spliced((&name("one behind"), 7, turned), (6, 0), new(1)));
        entries.push(spliced((&name("more"), 7, turned), (4, 1), new(3)));
        entries.push(spliced((&name("less"), 7, turned), (1, 3), new(1)));
        entries.push(spliced((&name("as many"), 7, turned), (2, 3), new(3)));
    }
    entries.push(spliced(("the last", 6, 0), (3, 3), vec![]));
    entries.push(spliced(("the first", 6, 0), (0, 2), vec![]));
    // By a copy of words; and, where they go round, by a record that chains.
    entries.push(spliced(("by a copy", 120, 0), (60, 0), new(1)));
    entries.push(spliced(("by a chain", 120, 30), (58, 1), vec![]));
    let start = Start::new(contents(9, &ALL));
    let (mut after, values) = (start.holds.clone(), new(3));
    for (index, value) in values.iter().enumerate() {
        after[7 - 3 * index] = *value;
    }
    entries.push(change(
        "replace every third, backwards",
        start,
        after,
        move |space, _| batch(space, &values),
        move |space, made, batch| {
            let list = writer(made);
            let token = list::look(caller(space), list).expect("a look");
            let places = Places {
                first: 7,
                step: -3,
                count: 3,
            };
            let done = list::replace(caller(space), list, token, places, &batch);
            assert!(done.expect("to replace"));
        },
    ));
}

fn rebuilding(entries: &mut Vec<Entry>) {
    let old = contents(6, &ALL);
    let new = vec![(SHORT, 11), (WORD, 12), (SMALL, 13)];
    let mut after = old.clone();
    after.splice(1..4, new.clone());
    let pieces = vec![Piece::old(0, 1), Piece::new(0, 3), Piece::old(4, 2)];
    entries.push(rebuilt("assign to a slice", 6, new.clone(), pieces, after));
    let pieces = vec![Piece::new(0, 3)];
    entries.push(rebuilt(
        "assign to all",
        6,
        new.clone(),
        pieces,
        new.clone(),
    ));
    let mut after = old.clone();
    after.insert(3, new[0]);
    let pieces = vec![Piece::old(0, 3), Piece::new(0, 1), Piece::old(3, 3)];
    entries.push(rebuilt(
        "insert in the middle",
        6,
        vec![new[0]],
        pieces,
        after,
    ));
    for (at, what) in ["a word", "short bytes", "a block", "a large block"]
        .iter()
        .enumerate()
    {
        let mut after = old.clone();
        after.remove(at);
        let (before, behind) = (at as u64, 5 - at as u64);
        let pieces = vec![Piece::old(0, before), Piece::old(before + 1, behind)];
        entries.push(rebuilt(
            &format!("delete {what}"),
            6,
            Vec::new(),
            pieces,
            after,
        ));
    }
    entries.push(rebuilt("delete all", 6, Vec::new(), Vec::new(), Vec::new()));
    let every = Places {
        first: 0,
        step: 2,
        count: 3,
    };
    let after: Vec<Content> = old.iter().copied().step_by(2).collect();
    entries.push(rebuilt(
        "delete every other",
        6,
        Vec::new(),
        vec![Piece::of(every)],
        after,
    ));
    let after: Vec<Content> = old.iter().copied().rev().collect();
    let pieces = vec![Piece::old(0, 6).reversed()];
    entries.push(rebuilt("reverse", 6, Vec::new(), pieces, after));
    let pieces = [2, 5, 0, 4, 1, 3]
        .map(|place| Piece::old(place, 1))
        .to_vec();
    let after = vec![old[2], old[5], old[0], old[4], old[1], old[3]];
    entries.push(rebuilt("sort", 6, Vec::new(), pieces, after));
    for steps in [1, -2, 8] {
        let start = Start {
            turned: if steps == 1 { 3 } else { 0 },
            ..Start::new(contents(5, &ALL))
        };
        let mut after = start.holds.clone();
        after.rotate_right(i64::rem_euclid(steps, 5) as usize);
        entries.push(change(
            format!("rotate by {steps}"),
            start,
            after,
            |_, _| (),
            move |space, made, ()| {
                let list = writer(made);
                list::rotate(caller(space), list, steps).expect("to rotate");
            },
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    extending(entries);
    bounding(entries);
    splicing(entries);
    rebuilding(entries);
}
