//! Lists: the states of them that are mutated, what is done with them, and what is changed in them.

use crate::exercise::{Session, tried};
use crate::mutation::Draft;
use crate::state::{Death, Known, caller, death, deaths, known_as};
use courtyard_core::directory::OBJECT_ROW;
use courtyard_core::error::Result;
use courtyard_core::inside::crash;
use courtyard_core::layout::{UNIT, WORD, block, kind, superblock};
use courtyard_core::list::{self, Batch, End, List, Piece, Places};
use courtyard_core::object::{self, LIST, Writer};
use courtyard_core::offset::Object;
use courtyard_core::space::{Caller, Space};
use courtyard_core::value::{self, NewValue};
use std::cell::Cell;

const KIND: u8 = 18;
/// Values by where they lie: in the word, in a block small or large.
const LENGTHS: [usize; 4] = [0, 100, 3000, 40_000];
/// How many there may be in some.
const MOST: u64 = 12;

fn writer(object: Object) -> Writer {
    Writer {
        object,
        guarded: true,
        thread: 1,
    }
}

fn list_of(space: &Space, known: &Known) -> List {
    writer(object::open(&space.segment, known.id).expect("the list").0)
}

/// Makes a value of the length whose turn it is, for `work`.
fn with_value<T>(
    caller: Caller,
    number: u64,
    work: impl FnOnce(&NewValue) -> Result<T>,
) -> Result<T> {
    let bytes = vec![5; LENGTHS[number as usize % LENGTHS.len()]];
    let parts: &[&[u8]] = &[&bytes];
    let new = match bytes.len() {
        0 => NewValue::Word(number << 3 | 1),
        _ => value::prepare(caller, KIND, parts)?,
    };
    work(&new)
}

fn push(caller: Caller, list: List, end: End, number: u64) -> Result<bool> {
    with_value(caller, number, |new| {
        list::push(caller, list, end, new, None)
    })
}

fn batch<'a>(caller: Caller<'a, '_>, count: u64) -> Result<Batch<'a>> {
    let mut batch = Batch::new(count);
    for number in 0..count {
        with_value(caller, number, |new| batch.add(caller, new))?;
    }
    Ok(batch)
}

/// A list of this many, whose ring went round a little.
fn filled(space: &Space, count: u64, most: Option<u64>) -> Known {
    let made = list::create(caller(space), most);
    let (id, _) = made.expect("a list");
    let known = known_as(space, id, LIST, vec![count as u8]);
    let list = list_of(space, &known);
    for number in 0..count {
        let end = if number % 3 == 0 {
            End::First
        } else {
            End::Last
        };
        push(caller(space), list, end, number).expect("pushed");
    }
    known
}

/// Lists without an element, with a few, with many, and bounded; one process died with a batch in its
/// hands.
pub fn elements(space: &Space) -> Vec<Known> {
    let all = vec![
        filled(space, 0, None),
        filled(space, 5, None),
        filled(space, 90, None),
        filled(space, MOST, Some(MOST)),
    ];
    let leaver = |space: &Space| {
        std::mem::forget(batch(caller(space), 9).expect("a batch"));
    };
    deaths(space, vec![death(leaver)]);
    all
}

/// Somebody dies at the `skip`th point of that name, once `work` says so.
fn die(
    space: &Space,
    known: &Known,
    (point, skip): (&'static str, u32),
    work: impl Fn(&Space, List, &dyn Fn()) + 'static,
) {
    let (turn, list) = (Cell::new(false), list_of(space, known));
    let arm = move || {
        if turn.replace(true) {
            crash::arm(point, skip);
        }
    };
    let death = Death {
        point,
        skip: u32::MAX, // not before the work says so
        work: Box::new(move |space| work(space, list, &arm)),
    };
    deaths(space, vec![death]);
}

fn rebuild(caller: Caller, list: List) -> Result<bool> {
    let batch = batch(caller, 7)?;
    let token = list::look(caller, list)?;
    let half = token.count / 2;
    let pieces = [
        Piece::old(half, token.count - half).reversed(),
        Piece::new(0, 7),
    ];
    list::rebuild(caller, list, token, &batch, &pieces)
}

/// The ring was exchanged, and who did it died with what was dropped in his hands.
pub fn exchanged(space: &Space) -> Vec<Known> {
    let all = [filled(space, 30, None), filled(space, 40, None)];
    die(space, &all[1], ("list.rebuilt", 0), |space, list, arm| {
        arm();
        rebuild(caller(space), list).expect("rebuilt");
    });
    let (first, second) = (all[0].clone(), all[1].clone());
    vec![
        first,
        Known {
            holds: vec![21], // it was done twice
            ..second
        },
    ]
}

/// A long list is being taken apart.
pub fn deferred(space: &Space) -> Vec<Known> {
    let all = [filled(space, 16, None), filled(space, 60, None)];
    let kept = all[0].clone();
    die(
        space,
        &all[1],
        ("journal.applied", 9),
        |space, list, arm| {
            for number in 0..60 {
                push(caller(space), list, End::Last, number).expect("pushed");
            }
            arm();
            list::clear(caller(space), list).expect("cleared");
        },
    );
    let emptied = Known {
        holds: vec![0],
        ..all[1].clone()
    };
    vec![kept, emptied]
}

impl Session<'_> {
    /// Everything that is done with elements.
    pub fn use_list(&mut self, object: Object, holds: &[u8]) {
        let (space, list) = (self.space, writer(object));
        let all = |count| Places {
            first: 0,
            step: 1,
            count,
        };
        let found = tried!(self, |caller| list::snapshot(caller, list, &all));
        if let (Some((found, token)), Some(&count)) = (found, holds.first()) {
            self.compare("the elements of a list", found.len() == usize::from(count));
            self.compare("how many a list has", token.count == u64::from(count));
        }
        for index in -5..5 {
            if self.is_stuck() {
                return;
            }
            let mut buffer = Vec::new();
            tried!(self, |caller| list::get(caller, list, index, &mut buffer));
            list::peek(&space.segment, object, index);
        }
        self.change_list(list);
    }

    fn change_list(&mut self, list: List) {
        let (space, me) = (self.space, self.me);
        for number in 0..12 {
            if self.is_stuck() {
                return;
            }
            let end = if number % 2 == 0 {
                End::First
            } else {
                End::Last
            };
            tried!(self, |caller| push(caller, list, end, number));
            // SAFETY: this process has one thread.
            unsafe { list::append_fast(&space.segment, me, list, end, 9) };
            // SAFETY: as above.
            unsafe { list::set_fast(&space.segment, me, list, number as i64, 17) };
            tried!(self, |caller| with_value(caller, number + 1, |new| {
                list::set(caller, list, -2, new)
            }));
        }
        for number in 0..6 {
            if self.is_stuck() {
                return;
            }
            let end = if number % 2 == 0 {
                End::First
            } else {
                End::Last
            };
            // SAFETY: as above.
            unsafe { list::pop_fast(&space.segment, me, list, end) };
            tried!(self, |caller| list::pop(caller, list, end).map(drop));
            let steps = [1, -2, 1000][number as usize % 3];
            tried!(self, |caller| list::rotate(caller, list, steps));
        }
        for end in [End::First, End::Last] {
            if self.is_stuck() {
                return;
            }
            let many = tried!(self, |caller| batch(caller, 9));
            if let Some(many) = many {
                let most = list::most(&space.segment, list.object);
                tried!(self, |caller| list::extend(caller, list, end, &many, most));
                let most = most.map(|most| most / 2);
                tried!(self, |caller| list::bound(caller, list, most));
            }
        }
        if !self.is_stuck() {
            tried!(self, |caller| rebuild(caller, list));
        }
        if !self.first && !self.is_stuck() {
            tried!(self, |caller| list::clear(caller, list));
        }
    }

    /// A new list beside the old ones.
    pub fn make_list(&mut self) {
        let space = self.space;
        let made = tried!(self, |caller| list::create(caller, Some(MOST)));
        let Some((id, row)) = made else { return };
        if let Some((object, ..)) = self.note(object::open(&space.segment, id)) {
            self.use_list(object, &[0]);
        }
        tried!(self, |caller| courtyard_core::directory::leave(caller, row));
    }
}

/// Roots, rings, and what is yet to be freed.
pub fn spoil(draft: &mut Draft) {
    let objects = draft.image.word(superblock::OBJECTS);
    for _ in 0..1 + draft.random.below(4) {
        let object = draft
            .image
            .word(objects + draft.random.below(4) * OBJECT_ROW + WORD);
        let root = object + block::SMALL + object::PAYLOAD;
        let place = draft.random.pick(&draft.image.places);
        match draft.random.below(8) {
            0 | 1 if object != 0 => {
                let at = root + draft.random.below(5) * WORD;
                draft.set_any(at);
            }
            2 if object != 0 => {
                // Nearly right: a length or a start just beyond, a ring of another size.
                let at = root + draft.random.below(5) * WORD;
                let near = draft.random.below(200);
                draft.set(at, near);
            }
            3..6 if object != 0 => {
                // A word of the ring, or of its head.
                let ring = draft.image.word(root);
                let is_large = ring.wrapping_sub(draft.image.data).is_multiple_of(UNIT);
                let head = if is_large { block::LARGE } else { block::SMALL };
                let at = ring + head + draft.random.below(40) * WORD;
                if ring != 0 && draft.random.one_in(2) {
                    draft.set(at, place);
                } else if ring != 0 {
                    draft.set_any(at);
                }
            }
            6 => {
                let kinds = [kind::RING, kind::WORDS, object::KIND];
                let (kind, length) = (draft.random.pick(&kinds), draft.random.below(5000));
                draft.set(place + block::SHAPE, length | kind << 56);
                if draft.random.one_in(2) {
                    draft.set(superblock::DEFERRED_FREE, place);
                }
            }
            _ => {
                let at = place + draft.random.below(8) * WORD;
                draft.set_any(at);
            }
        }
    }
}
