//! Elements put and taken at both ends, and replaced.

use super::{
    ALL, ENDS, LARGE, SHORT, Start, WORD, append, change, contents, new_value, push, with,
};
use crate::entry::Entry;
use crate::stage::{caller, me, writer};
use courtyard_core::list::{self, End};
use courtyard_core::object;
use courtyard_core::space::Space;
use courtyard_core::value::Taken;

/// Elements that the first ring takes.
const ROOM: usize = 4;

fn pushing(entries: &mut Vec<Entry>) {
    let new = 7;
    let what = ["a word", "short bytes", "a block", "a large block"];
    for (length, what) in ALL.into_iter().zip(what) {
        for (end, place) in ENDS {
            let start = Start {
                turned: 1,
                ..Start::new(contents(2, &[SHORT]))
            };
            let after = with(&start.holds, end, (length, new));
            entries.push(change(
                format!("push {what}, {place}"),
                start,
                after,
                move |space, _| new_value(space, (length, new)),
                move |space, made, value| push(space, made, end, &value),
            ));
        }
    }
    for (name, count) in [
        ("push into an empty list", 0),
        ("push where it must grow", ROOM),
    ] {
        let start = Start {
            turned: count / 2,
            ..Start::new(contents(count, &[SHORT]))
        };
        let after = with(&start.holds, End::Last, (SHORT, new));
        entries.push(change(
            name,
            start,
            after,
            move |space, _| new_value(space, (SHORT, new)),
            |space, made, value| push(space, made, End::Last, &value),
        ));
    }
    for (end, place) in ENDS {
        for length in [WORD, SHORT, LARGE] {
            let start = Start {
                most: Some(3),
                ..Start::new(contents(3, &[length]))
            };
            let mut after = with(&start.holds, end, (SHORT, new));
            match end {
                End::First => after.pop(),
                End::Last => Some(after.remove(0)),
            };
            entries.push(change(
                format!("push, {place}, and drop {length} bytes at the other end"),
                start,
                after,
                move |space, _| new_value(space, (SHORT, new)),
                move |space, made, value| push(space, made, end, &value),
            ));
        }
    }
}

fn is_taken(space: &Space, taken: Taken, length: usize) {
    let found = match taken {
        Taken::Word(_) => WORD,
        Taken::Bytes(_, bytes) => bytes.len(),
        Taken::Pinned(pinned) => pinned.length as usize,
        Taken::Block(block) => {
            let shape = object::shape_of(&space.segment, block.block());
            shape.expect("a block").1 as usize
        }
    };
    assert_eq!(found, length);
}

fn popping(entries: &mut Vec<Entry>) {
    for length in ALL {
        for (end, place) in ENDS {
            let start = Start::new(contents(3, &[length]));
            let after = match end {
                End::First => start.holds[1..].to_vec(),
                End::Last => start.holds[..2].to_vec(),
            };
            let again = Start::new(contents(3, &[length]));
            entries.push(change(
                format!("drop {length} bytes, {place}"),
                again,
                after.clone(),
                |space, made| {
                    let token = list::look(caller(space), writer(made));
                    token.expect("to look")
                },
                move |space, made, token| {
                    let list = writer(made);
                    let dropped = list::drop_end(caller(space), list, end, token);
                    assert!(dropped.expect("to drop"));
                },
            ));
            entries.push(change(
                format!("pop {length} bytes, {place}"),
                start,
                after,
                |_, _| (),
                move |space, made, ()| {
                    let popped = list::pop(caller(space), writer(made), end);
                    is_taken(space, popped.expect("to pop").expect("one"), length);
                },
            ));
        }
    }
    // They fill a quarter of a ring of 188: one less, and it is too large for them.
    let start = Start {
        turned: 100,
        ..Start::new(contents(47, &[WORD, SHORT]))
    };
    let after = start.holds[1..].to_vec();
    entries.push(change(
        "pop where the ring is too large",
        start,
        after,
        |_, _| (),
        |space, made, ()| {
            let popped = list::pop(caller(space), writer(made), End::First);
            assert!(popped.expect("to pop").is_some());
        },
    ));
}

fn setting(entries: &mut Vec<Entry>) {
    for from in ALL {
        for to in ALL {
            let start = Start::new(contents(3, &[from]));
            let mut after = start.holds.clone();
            after[1] = (to, 7);
            entries.push(change(
                format!("set {to} bytes over {from}"),
                start,
                after,
                move |space, _| new_value(space, (to, 7)),
                |space, made, value| {
                    let list = writer(made);
                    let set = list::set(caller(space), list, -2, &value);
                    assert!(set.expect("to set"));
                },
            ));
        }
    }
}

/// The shortest changes, and one under `get_lock()`.
fn fast(entries: &mut Vec<Entry>) {
    let start = || Start::new(contents(3, &[WORD]));
    for (end, place) in ENDS {
        let after = with(&start().holds, end, (WORD, 7));
        entries.push(change(
            format!("push a word by the fast path, {place}"),
            start(),
            after,
            |_, _| (),
            move |space, made, ()| {
                let (segment, me, list) = (&space.segment, me(space), writer(made));
                // SAFETY: the processes here have one thread.
                let done = unsafe { list::append_fast(segment, me, list, end, 7 << 3 | 1) };
                assert!(done);
            },
        ));
        let mut after = start().holds;
        let gone = if end == End::First { 0 } else { 2 };
        let word = u64::from(after.remove(gone).1) << 3 | 1;
        entries.push(change(
            format!("pop a word by the fast path, {place}"),
            start(),
            after,
            |_, _| (),
            move |space, made, ()| {
                let (segment, me, list) = (&space.segment, me(space), writer(made));
                // SAFETY: as above.
                let popped = unsafe { list::pop_fast(segment, me, list, end) };
                assert_eq!(popped, Some(word));
            },
        ));
    }
    let mut after = start().holds;
    after[1] = (WORD, 7);
    entries.push(change(
        "set a word by the fast path",
        start(),
        after,
        |_, _| (),
        |space, made, ()| {
            let (segment, me, list) = (&space.segment, me(space), writer(made));
            // SAFETY: as above.
            assert!(unsafe { list::set_fast(segment, me, list, 1, 7 << 3 | 1) });
        },
    ));
    let after = with(&start().holds, End::Last, (SHORT, 7));
    entries.push(change(
        "push under get_lock()",
        start(),
        after,
        |_, _| (),
        |space, made, ()| {
            let (me, list) = (me(space), writer(made));
            let entered = object::enter(&space.segment, me, list, 0).expect("an answer");
            assert_eq!(entered, object::Entered::Yes);
            append(space, made, (SHORT, 7));
            assert!(object::exit(&space.segment, me, list));
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    pushing(entries);
    popping(entries);
    setting(entries);
    fast(entries);
}
