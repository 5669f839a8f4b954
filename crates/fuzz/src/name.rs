//! Names: the states of them that are mutated, what is changed in them, and what is done with them.

use crate::exercise::{Session, tried};
use crate::mutation::Draft;
use crate::state::{Death, Known, caller, deaths};
use courtyard_core::directory::{self, NAME_ROW, OBJECT_ROW, Ticket};
use courtyard_core::inside::rows;
use courtyard_core::layout::{FIRST_ROWS, WORD, block, superblock};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, SCALAR};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use std::cell::Cell;

/// More than there are buckets at first, so that more were made.
const COUNT: u64 = 300;
/// How many buckets a mutation may think there are.
const BUCKETS: u64 = 400;

/// Where a bucket is, in the image of a space.
fn bucket_at(draft: &Draft, number: u64) -> u64 {
    let part = u64::from((number / FIRST_ROWS + 1).ilog2());
    match part {
        0 => superblock::FIRST_BUCKETS + number * WORD,
        _ => {
            let rows = draft.image.word(superblock::BUCKETS + part * WORD);
            rows + (number - rows::first_row(part)) * WORD
        }
    }
}

/// A name of each length, and of more than one script.
fn name(number: u64) -> String {
    format!("{number} {}", "字x".repeat(number as usize % 90))
}

fn description(number: u64) -> Vec<u8> {
    vec![number as u8; (number * 37 % 2000) as usize]
}

fn named(space: &Space, number: u64, companion: Option<ObjectId>) -> Known {
    let made = object::create(caller(space), SCALAR, 0, |_| {});
    let (id, row) = made.expect("an object");
    let (at, ..) = object::open(&space.segment, id).expect("the object");
    let word = space.segment.word(at + object::DATA);
    word.store(number, Ordering::Release);
    let (name, description) = (name(number), description(number));
    let bound = directory::bind(caller(space), &name, &description, id, companion);
    assert!(bound.expect("named"));
    directory::leave(caller(space), row).expect("left");
    Known {
        id,
        kind: SCALAR,
        holds: number.to_ne_bytes().into(),
        ticket: Ticket::NONE,
    }
}

/// Objects that nobody holds but their names; some names are free again.
pub fn names(space: &Space) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    for number in 0..COUNT {
        let companion = all.last().filter(|_| number % 3 == 0);
        all.push(named(space, number, companion.map(|known| known.id)));
    }
    for number in (0..COUNT).step_by(7) {
        let gone = directory::unbind(caller(space), &name(number));
        assert!(gone.expect("deleted"));
    }
    let kept = all.into_iter().enumerate().filter(|(at, _)| at % 7 != 0);
    kept.map(|(_, known)| known).collect()
}

/// Killed while they name an object, and while they delete a name.
pub fn halves(space: &Space) -> Vec<Known> {
    let all = [0..5, 5..7, 7..20].map(|numbers| {
        let named = numbers.map(|number| named(space, number, None));
        named.collect::<Vec<Known>>()
    });
    // Each works twice, and dies the second time.
    let dying = |skip, first: u64, work: fn(&Space, u64)| {
        let next = Cell::new(first);
        Death {
            point: "journal.applying",
            skip,
            work: Box::new(move |space| work(space, next.replace(next.get() + 1))),
        }
    };
    let unbind = |space: &Space, number| {
        let gone = directory::unbind(caller(space), &name(number));
        assert!(gone.expect("deleted"));
    };
    let bind = |space: &Space, number| drop(named(space, number, None));
    deaths(space, vec![dying(2, 5, unbind), dying(20, 100, bind)]);
    let [first, _, last] = all; // those between have lost their names
    [first, last].concat()
}

/// Rows, their lists, and the blocks with the texts.
pub fn spoil(draft: &mut Draft) {
    let rows = draft.image.word(superblock::NAMES);
    for _ in 0..1 + draft.random.below(4) {
        if rows == 0 {
            let at = superblock::FIRST_BUCKETS + draft.random.below(FIRST_ROWS) * WORD;
            draft.set_any(at);
            continue;
        }
        let row = rows + draft.random.below(64) * NAME_ROW;
        let text = draft.image.word(row).wrapping_add(block::SMALL);
        match draft.random.below(8) {
            0 => {
                let (bucket, first) = (draft.random.below(BUCKETS), draft.random.below(2 * COUNT));
                let at = bucket_at(draft, bucket);
                draft.set(at, first);
            }
            5 => {
                // More or fewer buckets than there are, or another place for them.
                let more = draft.random.below(BUCKETS);
                draft.set(superblock::MORE_BUCKETS, more);
            }
            6 => {
                let head = superblock::BUCKETS + draft.random.below(rows::SEGMENTS) * WORD;
                let at = draft.random.pick(&[superblock::MORE_BUCKETS, head]);
                draft.set_any(at);
            }
            7 => {
                // An object that leads to another's name.
                let objects = draft.image.word(superblock::OBJECTS);
                let (row, name) = (draft.random.below(64), draft.random.below(2 * COUNT));
                draft.set(objects + row * OBJECT_ROW + 4 * WORD, name);
            }
            1 => {
                // A list that leads to itself, or into another.
                let next = draft.random.below(70);
                draft.set(row + 3 * WORD, next);
            }
            2 => {
                let (word, id) = (1 + draft.random.below(2), draft.random.below(2 * COUNT));
                draft.set(row + word * WORD, id);
            }
            3 => {
                let (name, description) = (draft.random.below(1100), draft.random.below(3000));
                draft.set(text + WORD, name | description << 32);
            }
            _ => {
                let at = text + draft.random.below(12) * WORD;
                draft.set_any(at);
            }
        }
    }
}

impl Session<'_> {
    /// Finds, lists, gives and deletes names.
    pub fn use_names(&mut self, number: u64) {
        let _ = ();
        tried!(self, |caller| directory::names(caller));
        let name = name(number);
        let found = tried!(self, |caller| directory::lookup(caller, &name));
        if let Some(Some(found)) = found {
            self.compare("a description", found.description == description(number));
            let (id, none) = (found.id, Ticket::NONE);
            let row = tried!(self, |caller| directory::receive(caller, id, none));
            if let Some(row) = row {
                tried!(self, |caller| directory::name_of(caller, id));
                tried!(self, |caller| directory::bind(
                    caller,
                    "another",
                    b"",
                    id,
                    Some(id)
                ));
                tried!(self, |caller| directory::leave(caller, row));
            }
        }
        if !self.is_stuck() {
            tried!(self, |caller| directory::unbind(caller, &name));
        }
    }
}
