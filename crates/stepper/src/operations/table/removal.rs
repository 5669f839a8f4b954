//! Keys taken out, one or all.

use super::value::ready_blocks;
use super::{
    LARGE, ROOM, SHORT, SMALL, Scene, WORD, change, contents, create, key, pairs, remove, slots,
    spread, store, without,
};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{announce, caller, fill, me, told_apart, warm, with_wake, writer};
use courtyard_core::object;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::Space;
use courtyard_core::table;
use courtyard_core::value::Taken;

pub(super) fn is_taken(space: &Space, taken: Taken, length: usize) {
    let found = match taken {
        Taken::Word(word) => return assert_eq!((length, word), (WORD, 1 << 3 | 1)),
        Taken::Bytes(_, bytes) => bytes,
        Taken::Pinned(pinned) => vec![1; pinned.length as usize],
        Taken::Block(block) => {
            let shape = object::shape_of(&space.segment, block.block());
            let (_, length, payload) = shape.expect("a block");
            let mut bytes = vec![0; length as usize];
            space.segment.copy_out(payload, &mut bytes);
            bytes
        }
    };
    assert!(found == vec![1; length]);
}

/// A key is taken out; then the index, which is sparse by now, is made smaller.
fn shrinking() -> Entry {
    let full = pairs(2 * ROOM, SHORT);
    let (first, before) = full.split_at(full.len() - 5);
    let (first, before) = (first.to_vec(), before.to_vec());
    let (after, gone) = (without(&before, 2), before[2].0.clone());
    play(
        "remove where the index must shrink",
        Ends::Changed,
        move |space| {
            warm(space);
            let made = create(space);
            full.iter().for_each(|pair| store(space, made, pair));
            first.iter().for_each(|(name, _)| remove(space, made, name));
            Scene {
                made,
                flagged: Some(announce(space, made)),
                slots: slots(space, made),
            }
        },
        |space, _| warm(space),
        move |space, scene, ()| remove(space, scene.made, &gone),
        move |space, scene| {
            let outcome = told_apart(&contents(space, scene.made)?, &before, &after)?;
            match with_wake(outcome, space, scene.made, scene.flagged)? {
                Outcome::After if slots(space, scene.made) == scene.slots => Ok(Outcome::Prepared),
                outcome => Ok(outcome),
            }
        },
    )
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(shrinking());
    for (length, what) in [
        (WORD, "a word"),
        (SHORT, "short bytes"),
        (SMALL, "a block"),
        (LARGE, "a large block"),
    ] {
        for (at, which) in [(1, ""), (2, ", the last")] {
            let before = pairs(3, length);
            let name = before[at].0.clone();
            entries.push(change(
                format!("remove {what} from a table{which}"),
                before.clone(),
                without(&before, at),
                |_, _| (),
                move |space, made, ()| remove(space, made, &name),
            ));
        }
        if length <= SHORT {
            let before = pairs(3, length);
            let (pair, name) = (before[1].clone(), before[1].0.clone());
            entries.push(change(
                format!("remove {what} from a table by the fast path"),
                before.clone(),
                without(&before, 1),
                move |space, _| ready_blocks(space, &pair),
                move |space, made, ()| {
                    let (segment, me, object) = (&space.segment, me(space), made.base);
                    // SAFETY: the processes here have one thread.
                    assert!(unsafe { table::remove_fast(segment, me, object, &key(&name)) });
                },
            ));
        }
        let before = pairs(3, length);
        let name = before[1].0.clone();
        entries.push(change(
            format!("take {what} from a table"),
            before.clone(),
            without(&before, 1),
            |_, _| (),
            move |space, made, ()| {
                let table = writer(made);
                let taken = table::take(caller(space), table, &key(&name));
                is_taken(space, taken.expect("to take").expect("the key"), length);
            },
        ));
    }
    for (length, what) in [(SHORT, "short bytes"), (SMALL, "a block")] {
        let before = pairs(3, length);
        let name = before[1].0.clone();
        entries.push(change(
            format!("remove {what} from a table in a full space"),
            before.clone(),
            without(&before, 1),
            |space, _| {
                let held = fill(space);
                drop(PendingBlock::allocate(caller(space), 40_000, 0)); // in vain
                held
            },
            move |space, made, held| {
                remove(space, made, &name);
                std::mem::forget(held);
            },
        ));
    }
    for (name, before) in [
        ("clear an empty table", Vec::new()),
        ("clear a table", spread(12, &[WORD, SHORT, SMALL, LARGE])),
    ] {
        entries.push(change(
            name,
            before,
            Vec::new(),
            |_, _| (),
            |space, made, ()| {
                table::clear(caller(space), writer(made)).expect("to clear");
            },
        ));
    }
}
