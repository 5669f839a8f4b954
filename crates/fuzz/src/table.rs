//! Tables: the states of them that are mutated, what is done with them, and what is changed in them.

use crate::exercise::{Session, tried};
use crate::mutation::Draft;
use crate::state::{Death, Known, caller, death, deaths, known_as};
use courtyard_core::directory::OBJECT_ROW;
use courtyard_core::error::Result;
use courtyard_core::inside::crash;
use courtyard_core::layout::{GRAIN, LINE, UNIT, WORD, block, kind, superblock};
use courtyard_core::object::{self, TABLE, Writer};
use courtyard_core::offset::Object;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Caller, Space};
use courtyard_core::table::{self, Batch, End, Item, Key, SHARDS, Table, Token, Want, When};
use courtyard_core::value::{self, NewValue};
use std::cell::Cell;

const KIND: u8 = 18;
const TAG: u8 = 1;
/// Values by where they lie: in the word, in the entry, in a block small or large.
const LENGTHS: [usize; 4] = [0, 100, 3000, 40_000];
/// The key of this number is too long for any class of blocks.
const LONG: u64 = 13;

fn name(number: u64) -> Vec<u8> {
    let mut name = format!("key {number}").into_bytes();
    name.resize(if number == LONG { 40_000 } else { name.len() }, b' ');
    name
}

fn key(bytes: &[u8]) -> Key<'_> {
    Key { tag: TAG, bytes }
}

/// Makes an item of a key and a value of this length, for `work`.
fn with_item<T>(
    caller: Caller,
    (number, length): (u64, usize),
    work: impl FnOnce(&Item) -> Result<T>,
) -> Result<T> {
    let (name, bytes) = (name(number), vec![5; length]);
    let parts: &[&[u8]] = &[&bytes];
    let value = match length {
        0 => NewValue::Word(number << 3 | 1),
        _ => value::prepare(caller, KIND, parts)?,
    };
    let item = Item {
        key: key(&name),
        original: number.is_multiple_of(3).then_some((KIND, &b"original"[..])),
        value,
    };
    work(&item)
}

fn store(caller: Caller, table: Table, pair: (u64, usize), when: When) -> Result<bool> {
    with_item(caller, pair, |item| table::store(caller, table, item, when))
}

/// Stores a filled block under the key of that number.
pub fn put(space: &Space, table: Table, number: u64, own: PendingBlock) {
    let name = name(number);
    let item = Item {
        key: key(&name),
        original: number.is_multiple_of(3).then_some((KIND, &b"original"[..])),
        value: NewValue::Block(own),
    };
    let stored = table::store(caller(space), table, &item, When::Always);
    assert!(stored.expect("stored"));
}

fn remove(caller: Caller, table: Table, number: u64) -> Result<bool> {
    let name = name(number);
    table::remove(caller, table, &key(&name), When::Always)
}

fn batch<'a>(caller: Caller<'a, '_>, table: Table, pairs: &[(u64, usize)]) -> Result<Batch<'a>> {
    let mut batch = Batch::new(pairs.len() as u64 + 1, false);
    for &pair in pairs {
        with_item(caller, pair, |item| batch.add(caller, table, item))?;
    }
    Ok(batch)
}

/// Pairs whose values are of all lengths in turn.
fn pairs(numbers: std::ops::Range<u64>) -> Vec<(u64, usize)> {
    let length = |number: u64| LENGTHS[number as usize % LENGTHS.len()];
    numbers.map(|number| (number, length(number))).collect()
}

fn writer(object: Object) -> Writer {
    Writer {
        object,
        guarded: true,
        thread: 1,
    }
}

pub fn table_of(space: &Space, known: &Known) -> Table {
    writer(object::open(&space.segment, known.id).expect("the table").0)
}

/// A table with this many entries, and one that was taken out again.
fn filled(space: &Space, count: u64) -> Known {
    let made = table::create(caller(space));
    let (id, _) = made.expect("a table");
    let known = known_as(space, id, TABLE, vec![count as u8]);
    let table = table_of(space, &known);
    for pair in pairs(0..count + 1) {
        store(caller(space), table, pair, When::Always).expect("stored");
    }
    remove(caller(space), table, count).expect("removed");
    known
}

/// Tables without an entry, with a few, and grown; one process died with a batch in its hands.
pub fn keys(space: &Space) -> Vec<Known> {
    let all = [0, 5, 16, 90].map(|count| filled(space, count));
    let table = table_of(space, &all[1]);
    let leaver = move |space: &Space| {
        let batch = batch(caller(space), table, &pairs(0..8));
        std::mem::forget(batch.expect("a batch"));
    };
    deaths(space, vec![death(leaver)]);
    all.into()
}

/// Does it once, and dies in it the second time, at the `skip`th point of that name.
pub fn die(
    space: &Space,
    known: &Known,
    (point, skip): (&'static str, u32),
    work: impl Fn(&Space, Table, &dyn Fn()) + 'static,
) {
    let (turn, table) = (Cell::new(false), table_of(space, known));
    let arm = move || {
        if turn.replace(true) {
            crash::arm(point, skip);
        }
    };
    let death = Death {
        point,
        skip: u32::MAX, // not before the work says so
        work: Box::new(move |space| work(space, table, &arm)),
    };
    deaths(space, vec![death]);
}

/// The record that chains was committed, and its writer died.
pub fn chained(space: &Space) -> Vec<Known> {
    let all = [filled(space, 16), filled(space, 90)];
    die(
        space,
        &all[1],
        ("journal.committed", 1),
        |space, table, arm| {
            let words: Vec<(u64, usize)> = (0..80).map(|number| (number, 0)).collect();
            let mut batch = batch(caller(space), table, &words).expect("a batch");
            arm(); // the first record is that of the block where the entries go on
            table::store_all(caller(space), table, &mut batch).expect("stored");
        },
    );
    all.into()
}

/// The index was exchanged, and the entries say where they were in the old one.
pub fn grown(space: &Space) -> Vec<Known> {
    let all = [filled(space, 90)];
    die(space, &all[0], ("table.grown", 0), |space, table, arm| {
        table::clear(caller(space), table).expect("cleared");
        for pair in pairs(0..200).into_iter().filter(|pair| pair.0 != LONG) {
            if pair.0 == 100 {
                arm();
            }
            store(caller(space), table, (pair.0, 0), When::Always).expect("stored");
        }
    });
    // What it holds by then its handles cannot say.
    all.map(|known| Known {
        holds: Vec::new(),
        ..known
    })
    .into()
}

/// A full table is being taken apart, the index and the entries of some of its shards by now.
pub fn deferred(space: &Space) -> Vec<Known> {
    let all = [filled(space, 16), filled(space, 60)];
    let kept = all[0].clone();
    die(
        space,
        &all[1],
        ("journal.applied", 9),
        |space, table, arm| {
            for pair in pairs(0..60) {
                store(caller(space), table, pair, When::Always).expect("stored");
            }
            arm();
            table::clear(caller(space), table).expect("cleared");
        },
    );
    let emptied = Known {
        holds: vec![0],
        ..all[1].clone()
    };
    vec![kept, emptied]
}

impl Session<'_> {
    /// Everything that is done with keys.
    pub fn use_table(&mut self, object: Object, holds: &[u8]) {
        let (space, table) = (self.space, writer(object));
        for want in [Want::Keys, Want::Items] {
            let all = tried!(self, |caller| table::snapshot(caller, table, want));
            if let (Some(all), Some(&count)) = (all, holds.first()) {
                self.compare("the keys of a table", all.len() == usize::from(count));
            }
        }
        tried!(self, |caller| table::length(caller, table));
        let count = table::count(&space.segment, object);
        if let Some(&held) = holds.first() {
            self.compare("how many keys a table has", count == u64::from(held));
        }
        let mut token = Token(table::version(&space.segment, object));
        for number in 0..20 {
            if self.is_stuck() {
                return;
            }
            let (name, mut buffer) = (name(number), Vec::new());
            tried!(self, |caller| table::contains(caller, table, &key(&name)));
            let found = tried!(self, |caller| table::find(
                caller,
                table,
                &key(&name),
                &mut buffer
            ));
            if let Some((_, seen)) = found {
                token = seen;
            }
        }
        self.change_table(table, token);
    }

    fn change_table(&mut self, table: Table, token: Token) {
        let (space, me) = (self.space, self.me);
        let whens = [When::Always, When::Absent, When::Unchanged(token)];
        for (number, &length) in (0..).zip(&LENGTHS.repeat(3)) {
            if self.is_stuck() {
                return;
            }
            let (number, when) = (number * 7 % 20, whens[number as usize % 3]);
            tried!(self, |caller| store(caller, table, (number, length), when));
            let bytes = vec![9; length.min(300)];
            let parts: &[&[u8]] = &[&bytes];
            for value in [NewValue::Word(9), NewValue::Bytes(KIND, parts)] {
                let (segment, object, name) = (&space.segment, table.object, name(number));
                let (key, original) = (key(&name), None);
                let item = Item {
                    key,
                    original,
                    value,
                };
                // SAFETY: this process has one thread.
                unsafe { table::store_fast(segment, me, object, &item, true) };
                // SAFETY: as above.
                unsafe { table::change_fast(segment, me, object, &key, |old| Some(old ^ 8)) };
                if number % 2 == 0 {
                    // SAFETY: as above.
                    unsafe { table::remove_fast(segment, me, object, &key) };
                }
            }
        }
        for number in [1, 2, LONG, 99] {
            if self.is_stuck() {
                return;
            }
            tried!(self, |caller| remove(caller, table, number));
            let name = name(number + 2);
            tried!(self, |caller| table::take(caller, table, &key(&name)));
            for end in [End::Last, End::First] {
                let want = Want::Items;
                tried!(self, |caller| table::first(caller, table, want, end));
                let name = self::name(number + 3);
                tried!(self, |caller| table::move_to_end(
                    caller,
                    table,
                    &key(&name),
                    end
                ));
                tried!(self, |caller| table::pop_end(caller, table, end));
            }
        }
        if self.is_stuck() {
            return;
        }
        let many = tried!(self, |caller| batch(caller, table, &pairs(0..25)));
        if let Some(mut many) = many {
            let gone = name(30);
            tried!(self, |caller| many
                .remove(&key(&gone))
                .and_then(|()| table::store_all(caller, table, &mut many)));
        }
        if self
            .note(object::enter(&space.segment, me, table, 0))
            .is_some()
        {
            let object = table.object;
            tried!(self, |caller| table::quiesce(caller, object));
            object::exit(&space.segment, me, table);
        }
        if !self.first && !self.is_stuck() {
            tried!(self, |caller| table::clear(caller, table));
        }
    }

    /// A new table beside the old ones.
    pub fn make_table(&mut self) {
        let space = self.space;
        let made = tried!(self, |caller| table::create(caller));
        let Some((id, row)) = made else { return };
        if let Some((object, ..)) = self.note(object::open(&space.segment, id)) {
            self.use_table(object, &[0]);
        }
        tried!(self, |caller| courtyard_core::directory::leave(caller, row));
    }
}

/// Shards, indexes, orders, entries, and what is yet to be freed.
pub fn spoil(draft: &mut Draft) {
    let objects = draft.image.word(superblock::OBJECTS);
    for _ in 0..1 + draft.random.below(4) {
        let row = objects + draft.random.below(4) * OBJECT_ROW;
        let root = draft.image.word(row + WORD);
        let shard = root + block::SMALL + object::PAYLOAD + draft.random.below(SHARDS) * LINE;
        let place = draft.random.pick(&draft.image.places);
        match draft.random.below(8) {
            0 | 1 if root != 0 => {
                let at = shard + draft.random.below(6) * WORD;
                draft.set_any(at);
            }
            2 | 3 if root != 0 => {
                // A word of the index or of the order.
                let storage = draft.image.word(shard + 2 * WORD) / GRAIN * GRAIN;
                let is_large = storage.wrapping_sub(draft.image.data).is_multiple_of(UNIT);
                let head = if is_large { block::LARGE } else { block::SMALL };
                let at = storage + head + draft.random.below(64) * WORD;
                let old = draft.image.word(at);
                if storage != 0 && draft.random.one_in(2) {
                    draft.set(at, place << 16 | old & 0xFFFF);
                } else if storage != 0 {
                    draft.set_any(at);
                }
            }
            4 => {
                // A value in the entry that is longer than it can be, or an entry's meta word.
                let length = draft.random.below(1 << 12);
                draft.set(place + 16, 6 | u64::from(KIND) << 8 | length << 16);
            }
            5 => {
                let bit = 1 << draft.random.below(40);
                draft.set(place + 24, draft.image.word(place + 24) ^ bit);
            }
            6 => {
                let kinds = [kind::TABLE, kind::ENTRY, kind::WORDS, object::KIND];
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
