//! Elements of lists: put and taken at both ends, replaced, and many of them exchanged at once.

mod end;
mod many;

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, caller, is_free, leave, told_apart, warm, with_wake, writer};
use courtyard_core::layout::LINE;
use courtyard_core::list::{self, End, Places};
use courtyard_core::object::{self, Stored};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::value::{self, Found, NewValue};

const KIND: u8 = 20;

/// Values by where they lie: in the word, in a block small or large.
const WORD: usize = 0;
const SHORT: usize = 100;
const SMALL: usize = 3000;
const LARGE: usize = 40_000;
const ALL: [usize; 4] = [WORD, SHORT, SMALL, LARGE];

/// A value: a length, and the byte it consists of.
type Content = (usize, u8);

fn create(space: &Space, most: Option<u64>) -> Made {
    let made = list::create(caller(space), most);
    let (id, row) = made.expect("a list");
    let (base, ..) = object::open(&space.segment, id).expect("the list");
    Made { id, row, base }
}

/// A value that is ready to be linked.
fn new_value(space: &'static Space, (length, byte): Content) -> NewValue<'static> {
    if length == WORD {
        return NewValue::Word(u64::from(byte) << 3 | 1);
    }
    let bytes: &'static [u8] = vec![byte; length].leak();
    let parts: &'static [&'static [u8]] = vec![bytes].leak();
    value::prepare(caller(space), KIND, parts).expect("a block")
}

fn push(space: &Space, made: Made, end: End, value: &NewValue) {
    let list = writer(made);
    let pushed = list::push(caller(space), list, end, value, None);
    assert!(pushed.expect("to push"));
}

/// Appends to a list that is made ready, in any process.
fn append(space: &Space, made: Made, content: Content) {
    put(space, made, End::Last, content);
}

fn put(space: &Space, made: Made, end: End, (length, byte): Content) {
    let bytes = vec![byte; length];
    let parts: &[&[u8]] = &[&bytes];
    let value = match length {
        WORD => NewValue::Word(u64::from(byte) << 3 | 1),
        _ => value::prepare(caller(space), KIND, parts).expect("a block"),
    };
    push(space, made, end, &value);
}

/// So many, of these lengths in turn, numbered from 1.
fn contents(count: usize, lengths: &[usize]) -> Vec<Content> {
    let lengths = lengths.iter().copied().cycle();
    lengths.zip(1..).take(count).collect()
}

fn all(count: u64) -> Places {
    Places {
        first: 0,
        step: 1,
        count,
    }
}

/// All elements; each is found by its index, and the lock is free.
fn look(space: &Space, made: Made) -> Result<Vec<Content>, String> {
    let list = writer(made);
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    let (elements, token) = list::snapshot(caller(space), list, &all).or_text()?;
    for (index, element) in (0..).zip(elements) {
        let content = match element {
            Stored::Word(word) if word & 7 == 1 => (WORD, (word >> 3) as u8),
            Stored::Bytes(KIND, bytes) if bytes.iter().all(|byte| *byte == bytes[0]) => {
                (bytes.len(), bytes[0])
            }
            other => return Err(format!("an element {other:?}")),
        };
        let (there, _) = list::get(caller(space), list, index, &mut buffer).or_text()?;
        let length = match there.ok_or("no element with that index")? {
            Found::Word(_) => WORD,
            Found::Bytes(_) => buffer.len(),
            Found::Pinned(pinned) => pinned.length as usize,
        };
        if length != content.0 {
            return Err(format!("{} bytes were found as {length}", content.0));
        }
        found.push(content);
    }
    if token.count != found.len() as u64 {
        return Err(format!("{} elements, counted {}", found.len(), token.count));
    }
    is_free(space, made.base.lock())?;
    Ok(found)
}

/// How large the ring is.
fn capacity(space: &Space, made: Made) -> u64 {
    let word = space.segment.word(object::payload(made.base) + 8);
    word.load(Ordering::Relaxed)
}

#[derive(Clone, Copy)]
struct Scene {
    made: Made,
    flagged: Option<u64>,
    capacity: u64,
    shrinks: bool,
}

/// A list to begin with: what it holds, how many there may be, how many went before the first, so that
/// the ring goes round.
#[derive(Clone)]
struct Start {
    holds: Vec<Content>,
    most: Option<u64>,
    turned: usize,
    /// So many of them come to be in front of the ring's first word, at its end.
    front: usize,
}

impl Start {
    fn new(holds: Vec<Content>) -> Start {
        Start {
            holds,
            most: None,
            turned: 0,
            front: 0,
        }
    }

    fn make(&self, space: &Space) -> Made {
        let made = create(space, self.most);
        for _ in 0..self.turned {
            append(space, made, (WORD, 9));
        }
        for &content in &self.holds[self.front..] {
            append(space, made, content);
        }
        for &content in self.holds[..self.front].iter().rev() {
            put(space, made, End::First, content);
        }
        for _ in 0..self.turned {
            let popped = list::pop(caller(space), writer(made), End::First);
            assert!(popped.expect("to pop").is_some());
        }
        made
    }
}

/// An operation on a list that begins so and ends with `after`; a sleeper waits where something
/// changes.
fn change<R: 'static>(
    name: impl Into<String>,
    start: Start,
    after: Vec<Content>,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
) -> Entry {
    let before = start.holds.clone();
    let changes = before != after;
    let ends = if changes {
        Ends::Changed
    } else {
        Ends::AsBefore
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let made = start.make(space);
            Scene {
                made,
                flagged: changes.then(|| announce(space, made)),
                capacity: capacity(space, made),
                shrinks: start.turned > 64,
            }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.made)
        },
        move |space, scene, state| act(space, scene.made, state),
        move |space, scene| {
            let resized = capacity(space, scene.made) != scene.capacity;
            let outcome = told_apart(&look(space, scene.made)?, &before, &after)?;
            let outcome = with_wake(outcome, space, scene.made, scene.flagged)?;
            Ok(match outcome {
                Outcome::Before if resized => Outcome::Prepared,
                // What is left to do is to exchange the ring.
                Outcome::After if scene.shrinks && !resized => Outcome::Prepared,
                outcome => outcome,
            })
        },
    )
}

const ENDS: [(End, &str); 2] = [(End::First, "first"), (End::Last, "last")];

fn with(before: &[Content], end: End, content: Content) -> Vec<Content> {
    let mut after = before.to_vec();
    match end {
        End::First => after.insert(0, content),
        End::Last => after.push(content),
    }
    after
}

fn living(entries: &mut Vec<Entry>) {
    for (name, count) in [("clear an empty list", 0), ("clear a list", 9)] {
        entries.push(change(
            name,
            Start::new(contents(count, &ALL)),
            Vec::new(),
            |_, _| (),
            |space, made, ()| {
                list::clear(caller(space), writer(made)).expect("to clear");
            },
        ));
    }
    entries.push(play(
        "create a list",
        Ends::AsBefore,
        warm,
        |space, ()| warm(space),
        |space, (), ()| {
            create(space, Some(LINE));
        },
        |_, ()| Ok(Outcome::Before),
    ));
    for (name, count) in [("leave an empty list", 0), ("leave a full list", 9)] {
        entries.push(play(
            name,
            Ends::AsBefore,
            warm,
            move |space, ()| {
                warm(space);
                Start::new(contents(count, &ALL)).make(space)
            },
            |space, (), made| leave(space, made.row),
            |_, ()| Ok(Outcome::Before),
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    end::add(entries);
    many::add(entries);
    living(entries);
}
