//! Tables made, and taken apart with their last handle.

use super::{LARGE, SHORT, SMALL, WORD, create, spread, store};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{leave, warm};

pub fn add(entries: &mut Vec<Entry>) {
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
}
