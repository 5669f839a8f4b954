//! A table beside a model of it: the same keys, values and order, and a sound space, always.

mod stage;

use courtyard_core::directory;
use courtyard_core::layout::{GRAIN, LINE};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, Stored, Writer};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Batch, End as Side, Item, Key, Table, Want, Watch, When};
use courtyard_core::value::{self, Found, NewValue, Taken};
use proptest::prelude::*;
use stage::{End, Folder, alone, attach, caller, census, spawn};
use std::collections::BTreeMap;

/// What is stored: a word, bytes in the entry, bytes in a block small or large.
fn bytes(value: u64) -> Vec<u8> {
    let length = match value % 5 {
        0 => return Vec::new(),
        1 => 3,
        2 => 900,
        3 => 3000,
        _ => 50_000,
    };
    vec![value as u8; length + value as usize % 7]
}

fn make(space: &Space) -> (ObjectId, u64, Table) {
    let (id, row) = table::create(caller(space)).expect("to create");
    let (object, _, _) = object::open(&space.segment, id).expect("to open");
    let table = Writer {
        object,
        guarded: true,
        thread: 1,
    };
    (id, row, table)
}

fn key(number: u64) -> Vec<u8> {
    // Some long ones, and one that is a large block by itself.
    let length = if number.is_multiple_of(11) { 200 } else { 5 };
    let length = if number == 22 { 40_000 } else { length };
    let mut bytes = number.to_string().into_bytes();
    bytes.resize(length, b' ');
    bytes
}

fn with_item<T>(space: &Space, number: u64, value: u64, work: impl FnOnce(&Item) -> T) -> T {
    let (key, bytes) = (key(number), bytes(value));
    let parts: &[&[u8]] = &[&bytes];
    let value = match bytes.len() {
        0 => NewValue::Word(value << 3 | 1),
        _ => value::prepare(caller(space), value as u8 | 128, parts).expect("to prepare"),
    };
    let original = number.is_multiple_of(3).then_some((9, &b"original"[..]));
    let key = Key {
        tag: (number % 2) as u8,
        bytes: &key,
    };
    work(&Item {
        key,
        original,
        value,
    })
}

fn store(space: &Space, table: Table, number: u64, value: u64, when: When) -> bool {
    with_item(space, number, value, |item| {
        table::store(caller(space), table, item, when).expect("to store")
    })
}

fn store_fast(space: &Space, table: Table, number: u64, value: u64) -> bool {
    let (segment, me) = (&space.segment, stage::me(space));
    // SAFETY: no other thread of this process uses the fast path.
    with_item(space, number, value, |item| unsafe {
        table::store_fast(segment, me, table.object, item, true)
    })
}

fn remove_fast(space: &Space, table: Table, number: u64) -> bool {
    let bytes = key(number);
    let tag = (number % 2) as u8;
    let key = Key { tag, bytes: &bytes };
    // SAFETY: as above.
    unsafe { table::remove_fast(&space.segment, stage::me(space), table.object, &key) }
}

fn is(found: Found, bytes_found: &[u8], value: u64) -> bool {
    let (kind, content) = match found {
        Found::Word(word) => return word == value << 3 | 1 && bytes(value).is_empty(),
        Found::Bytes(kind) => (kind, bytes_found.to_vec()),
        Found::Pinned(pinned) => {
            let mut content = vec![0; pinned.length as usize];
            pinned.copy_out(0, &mut content);
            (pinned.kind, content)
        }
    };
    kind == value as u8 | 128 && content == bytes(value)
}

fn is_taken(space: &Space, taken: Taken, value: u64) -> bool {
    match taken {
        Taken::Word(word) => is(Found::Word(word), &[], value),
        Taken::Bytes(kind, bytes) => is(Found::Bytes(kind), &bytes, value),
        Taken::Pinned(pinned) => is(Found::Pinned(pinned), &[], value),
        Taken::Block(block) => {
            let (kind, length, payload) =
                object::shape_of(&space.segment, block.block()).expect("a block");
            let mut bytes = vec![0; length as usize];
            space.segment.copy_out(payload, &mut bytes);
            is(Found::Bytes(kind), &bytes, value)
        }
    }
}

/// The keys and values of the model, in the order of insertion.
type Model = Vec<(u64, u64)>;

fn put(model: &mut Model, number: u64, value: u64) {
    match model.iter_mut().find(|pair| pair.0 == number) {
        Some(pair) => pair.1 = value,
        None => model.push((number, value)),
    }
}

fn agrees(space: &Space, table: Table, model: &Model) {
    let count = table::length(caller(space), table).expect("to count");
    assert_eq!(count, model.len() as u64);
    let mut buffer = Vec::new();
    for number in 0..60 {
        let bytes = key(number);
        let key = Key {
            tag: (number % 2) as u8,
            bytes: &bytes,
        };
        let (found, _) = table::find(caller(space), table, &key, &mut buffer).expect("to find");
        let expected = model.iter().find(|pair| pair.0 == number);
        assert_eq!(found.is_some(), expected.is_some(), "key {number}");
        let there = table::contains(caller(space), table, &key);
        assert_eq!(there.expect("to look"), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            assert!(is(found, &buffer, expected.1), "value of {number}");
        }
    }
    let pairs = table::snapshot(caller(space), table, Want::Items);
    let pairs = pairs.expect("a snapshot");
    assert_eq!(pairs.len(), model.len());
    for (end, expected) in [(Side::First, model.first()), (Side::Last, model.last())] {
        let found = table::first(caller(space), table, Want::Items, end);
        let (found, _) = found.expect("to look");
        let found = found.iter().next().map(|pair| pair.key.to_vec());
        assert_eq!(found, expected.map(|&(number, _)| key(number)));
    }
    for (pair, &(number, value)) in pairs.iter().zip(model) {
        assert_eq!(pair.key, key(number));
        assert_eq!(u64::from(pair.tag), number % 2);
        let original = number.is_multiple_of(3).then_some((9, &b"original"[..]));
        assert_eq!(pair.original, original);
        match pair.value.expect("a value") {
            Stored::Word(word) => assert!(is(Found::Word(word), &[], value)),
            Stored::Bytes(kind, bytes) => assert!(is(Found::Bytes(kind), bytes, value)),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Store(u64, u64),
    Absent(u64, u64),
    StoreFast(u64, u64),
    RemoveFast(u64),
    Remove(u64),
    Take(u64),
    Pop(Side),
    Move(u64, Side),
    Many(Vec<(u64, u64)>),
    Clear,
}

impl Step {
    /// Whether those who follow the table look after it.
    fn is_rest(&self) -> bool {
        matches!(self, Step::Absent(..) | Step::Move(..) | Step::Take(_))
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::First), Just(Side::Last)]
}

fn step() -> impl Strategy<Value = Step> {
    let pair = (0..60u64, 0..100u64);
    prop_oneof![
        8 => pair.clone().prop_map(|(key, value)| Step::Store(key, value)),
        2 => pair.clone().prop_map(|(key, value)| Step::Absent(key, value)),
        6 => pair.clone().prop_map(|(key, value)| Step::StoreFast(key, value)),
        3 => (0..60u64).prop_map(Step::RemoveFast),
        3 => (0..60u64).prop_map(Step::Remove),
        2 => (0..60u64).prop_map(Step::Take),
        2 => side().prop_map(Step::Pop),
        4 => (0..60u64, side()).prop_map(|(key, side)| Step::Move(key, side)),
        1 => prop::collection::vec(pair, 0..80).prop_map(Step::Many),
        1 => Just(Step::Clear),
    ]
}

fn apply(space: &Space, table: Table, model: &mut Model, step: &Step) {
    let keyed = |number: u64| (key(number), (number % 2) as u8);
    match step {
        Step::Store(number, value) => {
            assert!(store(space, table, *number, *value, When::Always));
            put(model, *number, *value);
        }
        Step::Absent(number, value) => {
            let known = model.iter().any(|pair| pair.0 == *number);
            assert_eq!(store(space, table, *number, *value, When::Absent), !known);
            if !known {
                put(model, *number, *value);
            }
        }
        Step::StoreFast(number, value) => {
            if store_fast(space, table, *number, *value) {
                put(model, *number, *value);
            }
        }
        Step::RemoveFast(number) => {
            let known = model.iter().position(|pair| pair.0 == *number);
            if remove_fast(space, table, *number) {
                model.remove(known.expect("a key that was there"));
            }
        }
        Step::Remove(number) => {
            let (bytes, tag) = keyed(*number);
            let key = Key { tag, bytes: &bytes };
            let removed = table::remove(caller(space), table, &key, When::Always);
            let known = model.iter().position(|pair| pair.0 == *number);
            assert_eq!(removed.expect("to remove"), known.is_some());
            known.map(|index| model.remove(index));
        }
        Step::Take(number) => {
            let (bytes, tag) = keyed(*number);
            let key = Key { tag, bytes: &bytes };
            let taken = table::take(caller(space), table, &key).expect("to take");
            let known = model.iter().position(|pair| pair.0 == *number);
            assert_eq!(taken.is_some(), known.is_some());
            if let (Some(taken), Some(index)) = (taken, known) {
                let (_, value) = model.remove(index);
                assert!(is_taken(space, taken, value));
            }
        }
        Step::Pop(side) => {
            let popped = table::pop_end(caller(space), table, *side);
            let popped = popped.expect("to pop");
            let pair = match side {
                Side::First if model.is_empty() => None,
                Side::First => Some(model.remove(0)),
                Side::Last => model.pop(),
            };
            assert_eq!(popped.is_some(), pair.is_some());
            if let (Some((found, _, taken)), Some((number, value))) = (popped, pair) {
                assert_eq!(found.1, key(number));
                assert!(is_taken(space, taken, value));
            }
        }
        Step::Move(number, side) => {
            let (bytes, tag) = keyed(*number);
            let key = Key { tag, bytes: &bytes };
            let moved = table::move_to_end(caller(space), table, &key, *side);
            let known = model.iter().position(|pair| pair.0 == *number);
            assert_eq!(moved.expect("to move"), known.is_some());
            if let Some(index) = known {
                let pair = model.remove(index);
                let to = if *side == Side::First { 0 } else { model.len() };
                model.insert(to, pair);
            }
        }
        Step::Many(pairs) => {
            let room = pairs.len() as u64;
            let mut batch = Batch::new(room, false);
            for &(number, value) in pairs {
                with_item(space, number, value, |item| {
                    batch.add(caller(space), table, item)
                })
                .expect("to add");
                put(model, number, value);
            }
            assert!(table::store_all(caller(space), table, &mut batch).expect("to store"));
        }
        Step::Clear => {
            table::clear(caller(space), table).expect("to clear");
            model.clear();
        }
    }
}

/// Who follows the table, and knows it by the changes alone.
struct Follower {
    watch: Watch,
    wanted: Option<Vec<u64>>,
    known: BTreeMap<(u8, Vec<u8>), Stored>,
}

impl Follower {
    fn new(space: &Space, table: Table, wanted: Option<&[u64]>) -> Follower {
        let keys: Option<Vec<_>> = wanted.map(|wanted| {
            let keys = wanted
                .iter()
                .map(|&number| ((number % 2) as u8, key(number)));
            keys.collect()
        });
        let watch = Watch::new(caller(space), table, keys.as_deref());
        let (watch, pairs) = watch.expect("to watch");
        let known = pairs.iter().map(|pair| {
            let value = pair.value.expect("a value").map(<[u8]>::to_vec);
            ((pair.tag, pair.key.to_vec()), value)
        });
        Follower {
            known: known.collect(),
            watch,
            wanted: wanted.map(<[u64]>::to_vec),
        }
    }

    /// Looks until there is nothing more; what it knows then is what there is.
    fn agrees(&mut self, space: &Space, table: Table, model: &Model) {
        while self.watch.look(caller(space), table).expect("to look") {
            let change = self.watch.take().expect("a change");
            let name = (change.tag, change.key);
            match change.value {
                None => assert!(self.known.remove(&name).is_some(), "it was not there"),
                Some(value) => {
                    let old = self.known.insert(name, value.clone());
                    assert_ne!(old, Some(value), "it has not changed");
                }
            }
        }
        let is_followed = |number: &u64| match &self.wanted {
            None => true,
            Some(wanted) => wanted.contains(number),
        };
        let followed = model.iter().filter(|(number, _)| is_followed(number));
        let expected = followed.map(|&(number, value)| {
            let stored = match bytes(value) {
                bytes if bytes.is_empty() => Stored::Word(value << 3 | 1),
                bytes => Stored::Bytes(value as u8 | 128, bytes),
            };
            (((number % 2) as u8, key(number)), stored)
        });
        let expected: BTreeMap<_, _> = expected.collect();
        assert_eq!(self.known.len(), expected.len());
        assert!(self.known == expected, "what it knows is not what there is");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn is_as_its_model(steps in prop::collection::vec(step(), 1..60)) {
        let _alone = alone();
        let folder = Folder::new();
        let space = folder.space();
        let before = census(&space);
        let (_, row, table) = make(&space);
        let mut model = Model::new();
        let mut followers = vec![Follower::new(&space, table, None)];
        for step in &steps {
            apply(&space, table, &mut model, step);
            agrees(&space, table, &model);
            if step.is_rest() {
                followers.iter_mut().for_each(|follower| follower.agrees(&space, table, &model));
            }
            if let Step::Remove(number) = step {
                let some = [*number, number + 1, number + 7];
                followers.push(Follower::new(&space, table, Some(&some)));
            }
        }
        followers.iter_mut().for_each(|follower| follower.agrees(&space, table, &model));
        census(&space);
        directory::leave(caller(&space), row).expect("to leave");
        let after = census(&space);
        prop_assert_eq!(after.objects, before.objects);
        // What is left of it is ready in the magazines.
        prop_assert_eq!(after.live_blocks, before.live_blocks + 1); // rows of objects
    }
}

#[test]
fn new_keys_by_the_fast_path() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, row, table) = make(&space);
    let mut model = Model::new();
    let word = (0..100).find(|&value| bytes(value).is_empty());
    let word = word.expect("a value that is a word");
    let (mut stored, mut removed) = (0, 0);
    for number in 0..60 {
        let is_fast = store_fast(&space, table, number, word);
        stored += u32::from(is_fast);
        if !is_fast {
            assert!(store(&space, table, number, word, When::Absent));
        }
        put(&mut model, number, word);
    }
    let long = [&[7; 5000][..]];
    let item = Item {
        key: Key {
            tag: 0,
            bytes: b"new",
        },
        original: None,
        value: NewValue::Bytes(130, &long),
    };
    // SAFETY: as above.
    let is_fast =
        unsafe { table::store_fast(&space.segment, stage::me(&space), table.object, &item, true) };
    assert!(!is_fast, "a value so long has a block of its own");
    agrees(&space, table, &model);
    assert!(!remove_fast(&space, table, 99), "there is no such key");
    for number in 0..30 {
        if remove_fast(&space, table, number) {
            removed += 1;
            model.retain(|pair| pair.0 != number);
        }
    }
    agrees(&space, table, &model);
    assert!(stored > 30 && removed > 5, "{stored} {removed}");
    directory::leave(caller(&space), row).expect("to leave");
    census(&space);
}

#[test]
fn an_index_that_grows_for_a_key_is_no_change_of_its_shard() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, table) = make(&space);
    let token_of = |number: u64| {
        let (tag, bytes) = ((number % 2) as u8, &key(number)[..]);
        let found = table::find(caller(&space), table, &Key { tag, bytes }, &mut Vec::new());
        found.expect("to look").1
    };
    for number in 0..500 {
        let token = token_of(number);
        assert!(
            store(&space, table, number, 0, When::Unchanged(token)),
            "{number}"
        );
        let again = store(&space, table, number, 0, When::Unchanged(token));
        assert!(!again, "{number}");
    }
}

#[test]
fn many_keys_grow_the_index_and_a_batch_is_one_change() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, row, table) = make(&space);
    for round in 0..3u64 {
        for number in 0..5000 {
            assert!(store(&space, table, 100 + number, round * 5, When::Always));
        }
        assert_eq!(table::count(&space.segment, table.object), 5000);
        census(&space);
    }
    let mut batch = Batch::new(3000, false);
    for number in 0..3000 {
        with_item(&space, 4100 + number, 1, |item| {
            batch.add(caller(&space), table, item)
        })
        .expect("to add");
    }
    let version = table::version(&space.segment, table.object);
    assert!(table::store_all(caller(&space), table, &mut batch).expect("to store"));
    assert!(table::version(&space.segment, table.object) > version);
    drop(batch);
    assert_eq!(table::count(&space.segment, table.object), 7000);
    census(&space);
    directory::leave(caller(&space), row).expect("to leave");
    census(&space);
}

#[test]
fn an_index_shrinks_with_what_is_taken_out() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, table) = make(&space);
    let slots = || {
        let shards = (0..table::SHARDS).map(|shard| object::payload(table.object) + shard * LINE);
        let words = shards.map(|shard| space.segment.word(shard + 16));
        words
            .map(|word| 1u64 << (word.load(Ordering::Relaxed) % GRAIN))
            .sum::<u64>()
    };
    let name = |number: u64| number.to_string().into_bytes();
    fn key(bytes: &[u8]) -> Key<'_> {
        Key { tag: 1, bytes }
    }
    let remove = |number| {
        let name = name(number);
        let removed = table::remove(caller(&space), table, &key(&name), When::Always);
        assert!(removed.expect("to remove"));
    };
    for round in 0..3 {
        for number in 0..8000 {
            let (name, value) = (name(number), NewValue::Word(number << 3 | 1));
            let item = Item {
                key: key(&name),
                original: None,
                value,
            };
            let stored = table::store(caller(&space), table, &item, When::Always);
            assert!(stored.expect("to store"));
        }
        assert!(slots() >= 8000);
        (40..7000).for_each(remove);
        assert!(slots() <= 4 * 2000, "{} slots for 1040 keys", slots());
        match round {
            0 => (7000..8000).for_each(remove),
            1 => (7000..8000).rev().for_each(|number| {
                let popped = table::pop_end(caller(&space), table, Side::Last);
                let ((_, bytes), ..) = popped.expect("to pop").expect("a key");
                assert_eq!(bytes, name(number));
            }),
            _ => {
                let mut batch = Batch::new(1000, false);
                for number in 7000..8000 {
                    batch.remove(&key(&name(number))).unwrap();
                }
                assert!(table::store_all(caller(&space), table, &mut batch).expect("to store"));
            }
        }
        assert!(slots() <= 256, "{} slots for 40 keys", slots());
        let keys = table::snapshot(caller(&space), table, Want::Keys);
        let found: Vec<_> = keys
            .expect("keys")
            .iter()
            .map(|pair| pair.key.to_vec())
            .collect();
        assert_eq!(found, (0..40).map(name).collect::<Vec<_>>());
        census(&space);
    }
}

/// Keys that come at one end and go at the other, or are moved there, cost no more with time, and the
/// index does not grow.
#[test]
fn keys_go_round() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, table) = make(&space);
    let name = |number: u64| number.to_string().into_bytes();
    let slots = || {
        let shards = (0..table::SHARDS).map(|shard| object::payload(table.object) + shard * LINE);
        let word = |shard| space.segment.word(shard + 16).load(Ordering::Relaxed);
        shards
            .map(|shard| 1u64 << (word(shard) % GRAIN))
            .sum::<u64>()
    };
    let mut order = std::collections::VecDeque::new();
    let mut most = 0;
    for number in 0..20_000 {
        let bytes = name(number);
        let item = Item {
            key: Key {
                tag: 1,
                bytes: &bytes,
            },
            original: None,
            value: NewValue::Word(number << 3 | 1),
        };
        let stored = table::store(caller(&space), table, &item, When::Always);
        assert!(stored.expect("to store"));
        order.push_back(number);
        if number < 300 {
            continue;
        }
        let side = if number % 3 == 0 {
            Side::Last
        } else {
            Side::First
        };
        let middle = order.remove(150).expect("one in the middle");
        let bytes = name(middle);
        let key = Key {
            tag: 1,
            bytes: &bytes,
        };
        let moved = table::move_to_end(caller(&space), table, &key, side);
        assert!(moved.expect("to move"));
        let popped = table::pop_end(caller(&space), table, Side::First);
        let ((_, bytes), ..) = popped.expect("to pop").expect("a key");
        match side {
            Side::First => assert_eq!(bytes, name(middle)),
            Side::Last => {
                order.push_back(middle);
                assert_eq!(Some(bytes), order.pop_front().map(name));
            }
        }
        most = most.max(slots());
    }
    let keys = table::snapshot(caller(&space), table, Want::Keys).expect("keys");
    let found: Vec<_> = keys.iter().map(|pair| pair.key.to_vec()).collect();
    assert_eq!(found, order.into_iter().map(name).collect::<Vec<_>>());
    assert!(most <= 2048, "{most} slots for 300 keys");
    census(&space);
}

#[test]
fn processes_write_readers_read_and_one_is_killed() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, table) = make(&space);
    for round in 0..6 {
        let children: Vec<_> = (0..3u64)
            .map(|child| {
                let space = &space;
                spawn(move || {
                    let space = attach(space);
                    if child == 0 {
                        std::thread::spawn(move || {
                            let wait = 3000 + 700 * round;
                            let start = std::time::Instant::now();
                            while start.elapsed() < std::time::Duration::from_micros(wait) {
                                courtyard_core::os::yield_now();
                            }
                            courtyard_core::os::die();
                        });
                    }
                    let mut buffer = Vec::new();
                    let mut number = child;
                    let turns = if child == 0 { u64::MAX } else { 3000 };
                    for turn in 0..turns {
                        number = (number * 5 + 3) % 40;
                        match turn % 4 {
                            0 | 1 => {
                                // The value says which key it belongs to.
                                store(&space, table, number, number * 5 + turn % 5, When::Always);
                            }
                            2 => {
                                let name = key(number);
                                let tag = (number % 2) as u8;
                                let key = Key { tag, bytes: &name };
                                let (found, _) =
                                    table::find(caller(&space), table, &key, &mut buffer)
                                        .expect("to find");
                                if let Some(found) = found {
                                    let whole = (0..5).any(|k| {
                                        let value = number * 5 + k;
                                        match &found {
                                            Found::Word(word) => *word == value << 3 | 1,
                                            Found::Bytes(_) => buffer == bytes(value),
                                            Found::Pinned(pinned) => {
                                                let mut all = vec![0; pinned.length as usize];
                                                pinned.copy_out(0, &mut all);
                                                all == bytes(value)
                                            }
                                        }
                                    });
                                    assert!(whole, "a torn value under {number}");
                                }
                            }
                            _ => {
                                let name = key(number);
                                let tag = (number % 2) as u8;
                                let key = Key { tag, bytes: &name };
                                table::remove(caller(&space), table, &key, When::Always)
                                    .expect("to remove");
                            }
                        }
                    }
                })
            })
            .collect();
        let ends: Vec<End> = children.into_iter().map(|child| child.wait()).collect();
        assert_eq!(ends, [End::Killed, End::Done, End::Done]);
        census(&space);
    }
}

#[test]
fn a_key_of_many_pages_owns_its_value_once() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, row, table) = make(&space);
    // The first attempt finds no index, and lets go of the entry that it had filled.
    assert!(store(&space, table, 22, 48, When::Always));
    census(&space);
    assert!(store(&space, table, 22, 2, When::Always));
    census(&space);
    directory::leave(caller(&space), row).expect("to leave");
    census(&space);
}

/// What is taken is pinned inside the change; a retired block of another's must not make us wait for
/// the lock that we hold ourselves.
#[test]
fn many_large_values_are_taken_beside_a_retired_one() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, _, table) = make(&space);
    for number in 0..20 {
        assert!(store(&space, table, number, 4, When::Always));
    }
    let bytes = key(19);
    let name = Key {
        tag: 1,
        bytes: &bytes,
    };
    let found = table::find(caller(&space), table, &name, &mut Vec::new());
    let (pinned, _) = found.expect("to find");
    assert!(matches!(pinned, Some(Found::Pinned(_))));
    let start = std::time::Instant::now();
    let popped = table::pop_end(caller(&space), table, Side::Last);
    drop(popped.expect("to pop"));
    for number in 0..19 {
        let bytes = key(number);
        let name = Key {
            tag: (number % 2) as u8,
            bytes: &bytes,
        };
        let taken = table::take(caller(&space), table, &name);
        assert!(is_taken(
            &space,
            taken.expect("to take").expect("a value"),
            4
        ));
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(4));
    drop(pinned);
    census(&space);
}
