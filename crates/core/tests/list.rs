//! A list beside a model of it: the same elements in the same order, and a sound space, always.

mod stage;

use courtyard_core::directory;
use courtyard_core::error::Error;
use courtyard_core::list::{self, Batch, End, List, Piece, Places};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, Stored, Writer};
use courtyard_core::space::Space;
use courtyard_core::value::{self, Found, NewValue, Taken};
use proptest::prelude::*;
use stage::{End as Ended, Folder, alone, attach, caller, census, me, spawn};
use std::collections::VecDeque;

/// What is stored: a word, bytes in a block small or large.
fn bytes(value: u64) -> Vec<u8> {
    let length = match value % 5 {
        0 | 1 => return Vec::new(),
        2 => 9,
        3 => 3000,
        _ => 50_000,
    };
    vec![value as u8; length + value as usize % 7]
}

fn make(space: &Space, most: Option<u64>) -> (ObjectId, u64, List) {
    let (id, row) = list::create(caller(space), most).expect("to create");
    let (object, _, _) = object::open(&space.segment, id).expect("to open");
    let list = Writer {
        object,
        guarded: true,
        thread: 1,
    };
    (id, row, list)
}

fn with_value<T>(space: &Space, value: u64, work: impl FnOnce(&NewValue) -> T) -> T {
    let bytes = bytes(value);
    let parts: &[&[u8]] = &[&bytes];
    let new_value = match bytes.len() {
        0 => NewValue::Word(value << 3 | 1),
        _ => value::prepare(caller(space), value as u8 | 128, parts).expect("to prepare"),
    };
    work(&new_value)
}

fn push(space: &Space, list: List, end: End, value: u64) {
    with_value(space, value, |new_value| {
        let pushed = list::push(caller(space), list, end, new_value, None);
        assert!(pushed.expect("to push"));
    });
}

fn batch<'a>(space: &'a Space, values: &[u64]) -> Batch<'a> {
    let mut batch = Batch::new(values.len() as u64);
    for &value in values {
        with_value(space, value, |new_value| {
            batch.add(caller(space), new_value).expect("to add");
        });
    }
    batch
}

fn is(kind: u8, content: &[u8], value: u64) -> bool {
    kind == value as u8 | 128 && content == bytes(value)
}

fn is_taken(space: &Space, taken: Taken, value: u64) -> bool {
    match taken {
        Taken::Word(word) => word == value << 3 | 1 && bytes(value).is_empty(),
        Taken::Bytes(kind, content) => is(kind, &content, value),
        Taken::Pinned(pinned) => {
            let mut content = vec![0; pinned.length as usize];
            pinned.copy_out(0, &mut content);
            is(pinned.kind, &content, value)
        }
        Taken::Block(block) => {
            let (kind, length, payload) =
                object::shape_of(&space.segment, block.block()).expect("a block");
            let mut content = vec![0; length as usize];
            space.segment.copy_out(payload, &mut content);
            is(kind, &content, value)
        }
    }
}

fn agrees(space: &Space, list: List, model: &VecDeque<u64>) {
    let all = |count| Places {
        first: 0,
        step: 1,
        count,
    };
    let found = list::snapshot(caller(space), list, &all);
    let (elements, token) = found.expect("a snapshot");
    assert_eq!(token.count, model.len() as u64);
    assert_eq!(list::count(&space.segment, list.object), token.count);
    assert_eq!(elements.len(), model.len());
    for (element, &value) in elements.iter().zip(model) {
        match element {
            Stored::Word(word) => assert_eq!((*word, bytes(value).len()), (value << 3 | 1, 0)),
            Stored::Bytes(kind, bytes) => assert!(is(*kind, bytes, value)),
        }
    }
    let mut buffer = Vec::new();
    let last = model.len() as i64;
    for index in [0, last / 2, last - 1, last, -1, -last, -last - 1] {
        let place = if index < 0 { index + last } else { index };
        let expected = usize::try_from(place).ok().and_then(|at| model.get(at));
        let (found, seen) = list::get(caller(space), list, index, &mut buffer).expect("to get");
        assert_eq!(seen, token);
        match (found, expected) {
            (None, None) => {}
            (Some(Found::Word(word)), Some(&value)) => {
                assert_eq!(word, value << 3 | 1);
                assert_eq!(list::peek(&space.segment, list.object, index), Some(word));
            }
            (Some(Found::Bytes(kind)), Some(&value)) => assert!(is(kind, &buffer, value)),
            (Some(Found::Pinned(pinned)), Some(&value)) => {
                let mut content = vec![0; pinned.length as usize];
                pinned.copy_out(0, &mut content);
                assert!(is(pinned.kind, &content, value));
            }
            (found, expected) => panic!("{} at {index}, {expected:?}", found.is_some()),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, u64),
    PushFast(bool, u64),
    Pop(bool),
    PopFast(bool),
    Set(i64, u64),
    SetFast(i64, u64),
    Extend(bool, Vec<u64>),
    /// What is between them is replaced.
    Splice(usize, usize, Vec<u64>),
    Reverse,
    Sort,
    EveryOther,
    Rotate(i64),
    Clear,
    Bound(Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    let values = || prop::collection::vec(0..100u64, 0..20);
    prop_oneof![
        4 => (any::<bool>(), 0..100u64).prop_map(|(front, value)| Step::Push(front, value)),
        4 => (any::<bool>(), 0..100u64).prop_map(|(front, value)| Step::PushFast(front, value)),
        4 => any::<bool>().prop_map(Step::Pop),
        4 => any::<bool>().prop_map(Step::PopFast),
        2 => (-30..30i64, 0..100u64).prop_map(|(index, value)| Step::Set(index, value)),
        2 => (-30..30i64, 0..100u64).prop_map(|(index, value)| Step::SetFast(index, value)),
        2 => (any::<bool>(), values()).prop_map(|(front, values)| Step::Extend(front, values)),
        3 => (0..40usize, 0..20usize, values()).prop_map(|(at, gone, new)| Step::Splice(at, gone, new)),
        1 => Just(Step::Reverse),
        1 => Just(Step::Sort),
        1 => Just(Step::EveryOther),
        2 => (-40..40i64).prop_map(Step::Rotate),
        1 => Just(Step::Clear),
        1 => prop_oneof![Just(None), (0..25u64).prop_map(Some)].prop_map(Step::Bound),
    ]
}

fn end(front: bool) -> End {
    if front { End::First } else { End::Last }
}

/// As a bounded deque does it.
fn put(model: &mut VecDeque<u64>, most: Option<u64>, front: bool, value: u64) {
    match front {
        true => model.push_front(value),
        false => model.push_back(value),
    }
    if most.is_some_and(|most| model.len() as u64 > most) {
        match front {
            true => model.pop_back(),
            false => model.pop_front(),
        };
    }
}

fn rebuild(space: &Space, list: List, batch: &Batch, pieces: &[Piece]) {
    let token = list::look(caller(space), list).expect("to look");
    let stale = list::Token {
        sequence: token.sequence.wrapping_sub(2),
        ..token
    };
    let refused = list::rebuild(caller(space), list, stale, batch, pieces);
    assert!(!refused.expect("an answer"));
    let done = list::rebuild(caller(space), list, token, batch, pieces);
    assert!(done.expect("to rebuild"));
}

fn apply(space: &Space, list: List, model: &mut VecDeque<u64>, step: &Step) {
    let (segment, count) = (&space.segment, model.len() as u64);
    let most = list::most(segment, list.object);
    let place = |index: i64| {
        let place = if index < 0 {
            index + count as i64
        } else {
            index
        };
        usize::try_from(place)
            .ok()
            .filter(|&place| (place as u64) < count)
    };
    let word = |value: u64| value << 3 | 1;
    match step {
        Step::Push(front, value) => {
            push(space, list, end(*front), *value);
            put(model, most, *front, *value);
        }
        Step::PushFast(front, value) => {
            // SAFETY: one thread of this process changes lists.
            let done =
                unsafe { list::append_fast(segment, me(space), list, end(*front), word(*value)) };
            if done {
                put(model, most, *front, *value - *value % 5);
                let made = *value - *value % 5;
                // Only words go this way: the value is one whose bytes are none.
                with_value(space, made, |new_value| {
                    let at = if *front { 0 } else { -1 };
                    let set = list::set(caller(space), list, at, new_value);
                    assert!(set.expect("to set"));
                });
            }
        }
        Step::Pop(front) => {
            let popped = list::pop(caller(space), list, end(*front));
            let expected = match front {
                true => model.pop_front(),
                false => model.pop_back(),
            };
            match (popped.expect("to pop"), expected) {
                (None, None) => {}
                (Some(taken), Some(value)) => assert!(is_taken(space, taken, value)),
                (popped, expected) => panic!("{}, {expected:?}", popped.is_some()),
            }
        }
        Step::PopFast(front) => {
            // SAFETY: as above.
            if let Some(found) = unsafe { list::pop_fast(segment, me(space), list, end(*front)) } {
                let expected = match front {
                    true => model.pop_front(),
                    false => model.pop_back(),
                };
                assert_eq!(Some(found), expected.map(word));
            }
        }
        Step::Set(index, value) => {
            let set = with_value(space, *value, |new_value| {
                list::set(caller(space), list, *index, new_value).expect("to set")
            });
            assert_eq!(set, place(*index).is_some());
            if let Some(place) = place(*index) {
                model[place] = *value;
            }
        }
        Step::SetFast(index, value) => {
            let value = *value - *value % 5;
            // SAFETY: as above.
            if unsafe { list::set_fast(segment, me(space), list, *index, word(value)) } {
                model[place(*index).expect("an element")] = value;
            }
        }
        Step::Extend(front, values) => {
            let trimmed = most.map_or(0, |most| values.len().saturating_sub(most as usize));
            let batch = batch(space, &values[trimmed..]);
            let done = list::extend(caller(space), list, end(*front), &batch, most);
            assert!(done.expect("to extend"));
            for &value in values {
                put(model, most, *front, value);
            }
        }
        Step::Splice(at, gone, new) => {
            let at = (*at).min(model.len());
            let gone = (*gone).min(model.len() - at);
            let room = most.map_or(new.len(), |most| {
                new.len().min(most as usize + gone - model.len())
            });
            let new = &new[..room];
            let after = (at + gone) as u64;
            let pieces = [
                Piece::old(0, at as u64),
                Piece::new(0, new.len() as u64),
                Piece::old(after, count - after),
            ];
            rebuild(space, list, &batch(space, new), &pieces);
            let tail = model.split_off(at + gone);
            model.truncate(at);
            model.extend(new);
            model.extend(tail);
        }
        Step::Reverse => {
            let pieces = [Piece::old(0, count).reversed()];
            rebuild(space, list, &batch(space, &[]), &pieces);
            *model = model.iter().rev().copied().collect();
        }
        Step::Sort => {
            let mut places: Vec<usize> = (0..model.len()).collect();
            places.sort_by_key(|&place| model[place]);
            let pieces: Vec<Piece> = places
                .iter()
                .map(|&place| Piece::old(place as u64, 1))
                .collect();
            rebuild(space, list, &batch(space, &[]), &pieces);
            *model = places.iter().map(|&place| model[place]).collect();
        }
        Step::EveryOther => {
            let places = Places {
                first: 0,
                step: 2,
                count: count.div_ceil(2),
            };
            rebuild(space, list, &batch(space, &[]), &[Piece::of(places)]);
            *model = model.iter().step_by(2).copied().collect();
        }
        Step::Rotate(steps) => {
            list::rotate(caller(space), list, *steps).expect("to rotate");
            if !model.is_empty() {
                model.rotate_right(steps.rem_euclid(model.len() as i64) as usize);
            }
        }
        Step::Clear => {
            list::clear(caller(space), list).expect("to clear");
            model.clear();
        }
        Step::Bound(most) => {
            list::bound(caller(space), list, *most).expect("to bound");
            assert_eq!(list::most(segment, list.object), *most);
            let kept = most.map_or(model.len(), |most| model.len().min(most as usize));
            model.drain(..model.len() - kept);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn is_as_its_model(
        most in prop_oneof![Just(None), Just(Some(3)), Just(Some(20))],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let _alone = alone();
        let folder = Folder::new();
        let space = folder.space();
        let (_, row, list) = make(&space, most);
        let mut model = VecDeque::new();
        for step in &steps {
            apply(&space, list, &mut model, step);
            agrees(&space, list, &model);
        }
        census(&space);
        directory::leave(caller(&space), row).expect("to leave");
        prop_assert_eq!(census(&space).live_blocks, 1); // the table of objects
        space.discard();
    }
}

#[test]
fn nothing_is_put_where_no_element_may_be() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, row, list) = make(&space, None);
    let mut model = VecDeque::new();
    for step in [
        Step::Push(false, 5),
        Step::Bound(Some(0)),
        Step::PushFast(false, 5),
        Step::PushFast(true, 5),
        Step::Push(true, 5),
    ] {
        apply(&space, list, &mut model, &step);
        agrees(&space, list, &model);
    }
    directory::leave(caller(&space), row).expect("to leave");
    space.discard();
}

#[test]
fn what_was_read_before_a_change_is_no_ground_for_another() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, list) = make(&space, None);
    push(&space, list, End::Last, 0);
    let token = list::look(caller(&space), list).expect("to look");
    push(&space, list, End::Last, 5);
    let late = with_value(&space, 10, |new_value| {
        list::push(caller(&space), list, End::Last, new_value, Some(token))
    });
    assert!(!late.expect("an answer"));
    let batch = batch(&space, &[2, 3]);
    let pieces = [Piece::new(0, 2)];
    let late = list::rebuild(caller(&space), list, token, &batch, &pieces);
    assert!(!late.expect("an answer"));
    agrees(&space, list, &VecDeque::from([0, 5]));
    drop(batch);
    census(&space);
    space.discard();
}

#[test]
fn pieces_that_reach_beyond_the_end_are_refused() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, list) = make(&space, None);
    push(&space, list, End::Last, 2);
    let token = list::look(caller(&space), list).expect("to look");
    let nothing = batch(&space, &[]);
    for piece in [Piece::old(0, 2), Piece::new(0, 1), Piece::old(5, 1)] {
        let refused = list::rebuild(caller(&space), list, token, &nothing, &[piece]);
        assert!(matches!(refused, Err(Error::Corrupt(_))));
    }
    drop(nothing);
    agrees(&space, list, &VecDeque::from([2]));
    census(&space);
    space.discard();
}

/// Writers at both ends, readers, and one that is killed: each element is put in once and taken out
/// once, and what a reader sees is whole.
#[test]
fn processes_push_and_pop_and_one_is_killed() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (id, _, list) = make(&space, None);
    let ticket = directory::send(caller(&space), id).expect("to send");
    let open = |attached: &Space| {
        directory::receive(caller(attached), id, ticket).expect("a row");
    };
    let push_many = |first: u64| {
        let space = attach(&space);
        open(&space);
        for number in 0..400 {
            push(&space, list, end(number % 2 == 0), first + number * 5);
        }
    };
    let writers = [spawn(|| push_many(2)), spawn(|| push_many(3))];
    let victim = spawn(|| {
        let space = attach(&space);
        open(&space);
        loop {
            push(&space, list, End::Last, 4);
            let popped = list::pop(caller(&space), list, End::Last);
            assert!(popped.expect("to pop").is_some());
        }
    });
    let reader = spawn(|| {
        let space = attach(&space);
        open(&space);
        for _ in 0..300 {
            let all = |count| Places {
                first: 0,
                step: 1,
                count,
            };
            let found = list::snapshot(caller(&space), list, &all);
            for element in found.expect("a snapshot").0 {
                let Stored::Bytes(kind, content) = element else {
                    panic!("a word");
                };
                assert!(content.iter().all(|&byte| byte | 128 == kind), "torn");
            }
        }
    });
    assert_eq!(reader.wait(), Ended::Done);
    victim.kill();
    assert_eq!(victim.wait(), Ended::Killed);
    for writer in writers {
        assert_eq!(writer.wait(), Ended::Done);
    }
    let left = list::count(&space.segment, list.object);
    assert!((800..=801).contains(&left), "{left}");
    while list::pop(caller(&space), list, End::First)
        .expect("to pop")
        .is_some()
    {}
    census(&space);
    space.discard();
}
