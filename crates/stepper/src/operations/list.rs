//! Elements of lists: put and taken at both ends, replaced, and many of them exchanged at once.

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{
    Made, announce, caller, is_free, leave, me, told_apart, warm, with_wake, writer,
};
use courtyard_core::cell::{self, Stored};
use courtyard_core::layout::LINE;
use courtyard_core::list::{self, Batch, End, Piece, Places};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::value::{self, Found, Fresh, Taken};

const KIND: u8 = 20;
/// Values by where they lie: in the word, in a block small or large.
const WORD: usize = 0;
const SHORT: usize = 100;
const SMALL: usize = 3000;
const LARGE: usize = 40_000;
const ALL: [usize; 4] = [WORD, SHORT, SMALL, LARGE];
/// Elements that the first ring takes.
const ROOM: usize = 4;

/// A value: a length, and the byte it consists of.
type Content = (usize, u8);

fn create(space: &Space, most: Option<u64>) -> Made {
    let made = list::create(caller(space), most);
    let (object, row) = made.expect("a list");
    let (base, ..) = cell::open(&space.segment, object).expect("the list");
    Made { object, row, base }
}

/// A value that is ready to be linked.
fn fresh(space: &'static Space, (length, byte): Content) -> Fresh<'static> {
    if length == WORD {
        return Fresh::Word(u64::from(byte) << 3 | 1);
    }
    let bytes: &'static [u8] = vec![byte; length].leak();
    let parts: &'static [&'static [u8]] = vec![bytes].leak();
    value::prepare(caller(space), KIND, parts).expect("a block")
}

fn push(space: &Space, made: Made, end: End, value: &Fresh) {
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
        WORD => Fresh::Word(u64::from(byte) << 3 | 1),
        _ => value::prepare(caller(space), KIND, parts).expect("a block"),
    };
    push(space, made, end, &value);
}

fn batch(space: &'static Space, contents: &[Content]) -> Batch<'static> {
    let mut batch = Batch::new(contents.len() as u64);
    for &content in contents {
        let value = fresh(space, content);
        batch.add(caller(space), &value).expect("to add");
    }
    batch
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
    is_free(space, made.base)?;
    Ok(found)
}

/// How large the ring is.
fn capacity(space: &Space, made: Made) -> u64 {
    let word = space.segment.word(cell::payload(made.base) + 8);
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
    /// So many of them come to stand in front of the ring's first word, at its end.
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
                move |space, _| fresh(space, (length, new)),
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
            move |space, _| fresh(space, (SHORT, new)),
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
                move |space, _| fresh(space, (SHORT, new)),
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
            let shape = cell::shape_of(&space.segment, block.block());
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
                move |space, _| fresh(space, (to, 7)),
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
            let entered = cell::enter(&space.segment, me, list, 0).expect("an answer");
            assert_eq!(entered, cell::Entered::Yes);
            append(space, made, (SHORT, 7));
            assert!(cell::exit(&space.segment, me, list));
        },
    ));
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
    pushing(entries);
    popping(entries);
    setting(entries);
    fast(entries);
    extending(entries);
    bounding(entries);
    rebuilding(entries);
    splicing(entries);
    living(entries);
}
