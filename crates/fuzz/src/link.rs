//! Values that keep objects: the states of them that are mutated, and what is changed in them. What is
//! done with them, `table` does.

use crate::mutation::Draft;
use crate::state::{Known, caller, death, deaths, known_as};
use crate::table::{self, die};
use courtyard_core::error::Result;
use courtyard_core::layout::{WORD, block, kind, superblock};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, SCALAR, TABLE};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Caller, Space};
use courtyard_core::table::Table;
use courtyard_core::{directory, link, table as keys};

/// Bytes of the values: in a block small or large.
const LENGTHS: [usize; 3] = [10, 3000, 40_000];

fn linked<'a>(
    caller: Caller<'a, '_>,
    objects: &[ObjectId],
    number: u64,
) -> Result<PendingBlock<'a>> {
    let bytes = vec![5; LENGTHS[number as usize % LENGTHS.len()]];
    link::prepare(caller, objects, &[&bytes])
}

/// A new object that nobody holds but what it is given to.
fn entrust(space: &Space, table: Table, number: u64, others: &[ObjectId]) {
    let made = object::create(caller(space), SCALAR, 0, |_| {});
    let (id, row) = made.expect("an object");
    let objects = [&[id], others].concat();
    let own = linked(caller(space), &objects, number).expect("a value");
    table::put(space, table, number, own);
    directory::leave(caller(space), row).expect("left");
}

/// A table with so many values, each of which keeps an object, the table itself, and another thing
/// many times.
fn filled(space: &Space, count: u64) -> Known {
    let made = keys::create(caller(space));
    let (id, _) = made.expect("a table");
    let known = known_as(space, id, TABLE, vec![count as u8]);
    for number in 0..count {
        let others = vec![id; number as usize % 40];
        entrust(space, table::table_of(space, &known), number, &others);
    }
    known
}

/// Tables whose values keep objects; one process died with such a value in its hands.
pub fn kept(space: &Space) -> Vec<Known> {
    let all = [filled(space, 3), filled(space, 50)];
    let id = all[0].id;
    let leaver = move |space: &Space| {
        let own = linked(caller(space), &[id; 50], 1);
        std::mem::forget(own.expect("a value"));
    };
    deaths(space, vec![death(leaver)]);
    all.into()
}

/// A table that was emptied: what its values kept is being given back, and partly is by now.
pub fn deferred(space: &Space) -> Vec<Known> {
    let all = [filled(space, 3), filled(space, 0)];
    let kept = all[0].id;
    die(
        space,
        &all[1],
        ("journal.applied", 25),
        move |space, table, arm| {
            for number in 0..12 {
                entrust(space, table, number, &[kept; 5]);
            }
            arm();
            keys::clear(caller(space), table).expect("cleared");
        },
    );
    all.into()
}

/// Counts, links, and what is yet to be freed.
pub fn spoil(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(4) {
        let place = draft.random.pick(&draft.image.places);
        let payload = place + block::SMALL;
        match draft.random.below(4) {
            0 => {
                let counted = draft.random.below(1 << 8);
                draft.set(payload, counted);
            }
            1 => {
                let link = payload + (2 + 2 * draft.random.below(4)) * WORD;
                let row = draft.random.below(20);
                draft.set(link, row);
            }
            2 => {
                let length = draft.random.below(5000);
                draft.set(place + block::SHAPE, length | kind::LINKED << 56);
                if draft.random.one_in(2) {
                    draft.set(superblock::DEFERRED_FREE, place);
                }
            }
            _ => {
                let at = payload + draft.random.below(8) * WORD;
                draft.set_any(at);
            }
        }
    }
}
