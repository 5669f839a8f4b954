//! What a process notes of its waits and of those who wait: gone with it.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{make, me, warm};
use courtyard_core::name::{self, Name};
use courtyard_core::object::SCALAR;
use courtyard_core::waiting::{self, Note, Who};
use std::time::Duration;

/// Two tasks whose names have one place.
const TASKS: [u32; 2] = [5, 5 + 32];

pub fn add(entries: &mut Vec<Entry>) {
    let setup = |space: &_| {
        warm(space);
        make(space, SCALAR, 0).base.0
    };
    entries.push(play(
        "note waits and names",
        Ends::AsBefore,
        setup,
        |space, _| warm(space),
        |space, &word, ()| {
            for serial in TASKS {
                let name = Name::new("the name of a task");
                name::note(&space.segment, me(space), serial, &name);
                let who = Who { serial, name };
                drop(Note::new(
                    &space.segment,
                    me(space),
                    word,
                    Duration::ZERO,
                    who,
                ));
            }
        },
        |space, _| match waiting::waits(&space.segment).as_slice() {
            [] => Ok(Outcome::Before),
            left => Err(format!("notes of the dead: {left:?}")),
        },
    ));
}
