//! Stored objects: words, small blocks, large ones, pinned ones.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{
    Made, announce, bytes_apart, caller, get, is_free, make, me, put, take, warm, with_wake, writer,
};
use courtyard_core::inside::pin::Pin;
use courtyard_core::layout::superblock;
use courtyard_core::object::{self, STORED};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;

struct Scene {
    made: Made,
    flagged: Option<u64>,
}

fn stored<R: 'static>(
    name: String,
    (old, new): (Vec<u8>, Vec<u8>),
    watched: bool,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
) -> Entry {
    let first = old.clone();
    play(
        name,
        if old == new {
            Ends::AsBefore
        } else {
            Ends::Changed
        },
        move |space| {
            warm(space);
            let made = make(space, STORED, 0);
            put(space, made, &first);
            let flagged = watched.then(|| announce(space, made));
            Scene { made, flagged }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.made)
        },
        move |space, scene, state| act(space, scene.made, state),
        move |space, scene| {
            let outcome = bytes_apart(&take(space, scene.made)?, &old, &new)?;
            let outcome = with_wake(outcome, space, scene.made, scene.flagged)?;
            is_free(space, scene.made.base.lock())?;
            Ok(outcome)
        },
    )
}

fn pin(space: &'static Space, made: Made) -> Pin<'static> {
    Pin::new(space, me(space), get(space, made), || true).expect("a pin")
}

/// What slot 0 reads in place stays where it is, though a newer value was stored.
fn pinned_by_another() -> Entry {
    play(
        "store small over large, pinned by another",
        Ends::Changed,
        |space| {
            warm(space);
            let made = make(space, STORED, 0);
            put(space, made, &[1; 50_000]);
            let block = get(space, made);
            std::mem::forget(Pin::new(space, me(space), block, || true));
            (made, block)
        },
        |space, _| warm(space),
        |space, (made, _), ()| put(space, *made, &[2; 100]),
        |space, &(made, block)| {
            let outcome = bytes_apart(&take(space, made)?, &[1; 50_000], &[2; 100])?;
            let retired = space.segment.word(superblock::RETIRED);
            let kept = retired.load(Ordering::Relaxed) == block;
            if outcome == Outcome::After && !kept {
                return Err("the pinned block was freed".into());
            }
            is_free(space, made.base.lock())?;
            Ok(outcome)
        },
    )
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(pinned_by_another());
    let sizes = [(0, "inline"), (100, "small"), (50_000, "large")];
    for (from, old) in sizes {
        for (to, new) in sizes {
            if from == 0 && to == 0 {
                continue; // the same word twice: below
            }
            entries.push(stored(
                format!("store {new} over {old}"),
                (vec![1; from], vec![2; to]),
                to == 100,
                |_, _| (),
                move |space, made, ()| put(space, made, &vec![2; to]),
            ));
        }
    }
    entries.push(stored(
        "store small over inline, first block".into(),
        (vec![1; 0], vec![2; 3000]),
        true,
        |_, _| (),
        |space, made, ()| put(space, made, &[2; 3000]),
    ));
    entries.push(stored(
        "store inline over inline".into(),
        (vec![1; 0], vec![2; 0]),
        false,
        |_, _| (),
        |space, made, ()| put(space, made, &[]),
    ));
    entries.push(stored(
        "store small over large, pinned by the writer".into(),
        (vec![1; 50_000], vec![2; 100]),
        false,
        pin,
        |space, made, pin| {
            put(space, made, &[2; 100]);
            drop(pin);
        },
    ));
    entries.push(stored(
        "store large over large, unpinned after".into(),
        (vec![1; 50_000], vec![2; 40_000]),
        false,
        |space, made| {
            let pin = pin(space, made);
            put(space, made, &[3; 60_000]); // retired, and kept by the pin
            put(space, made, &[1; 50_000]);
            pin
        },
        |space, made, pin| {
            drop(pin);
            put(space, made, &[2; 40_000]);
        },
    ));
    entries.push(stored(
        "read large".into(),
        (vec![1; 50_000], vec![1; 50_000]),
        false,
        |_, _| (),
        |space, made, ()| drop(take(space, made)),
    ));
    for to in [0, 100, 50_000] {
        entries.push(stored(
            format!("compare and store {to} bytes"),
            (vec![1; 120], vec![2; to]),
            true,
            |space, made| {
                let loaded = object::load(caller(space), writer(made));
                loaded.expect("the value").1
            },
            move |space, made, token| {
                let new_value = match to {
                    0 => object::NewValue::Word(1),
                    _ => object::prepare(caller(space), 16, &[&vec![2; to]]).expect("a block"),
                };
                let writer = writer(made);
                let stored = object::store(caller(space), writer, &new_value, Some(token));
                assert!(stored.expect("to store"), "the token was not the last");
            },
        ));
    }
}
