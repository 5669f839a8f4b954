//! Elements and slices of an array.

use crate::entry::{Ends, Entry, play};
use crate::stage::{
    Made, announce, bytes_apart, caller, is_free, make, me, read, warm, with_wake, write, writer,
};
use courtyard_core::object::{self, BYTES, Pieces, Writer};
use courtyard_core::space::Space;
use courtyard_core::sync::{AtomicU16, Ordering};

const ROOM: usize = 1200;

struct Scene {
    made: Made,
    flagged: Option<u64>,
}

fn pieces_of(length: u64, offset: u64, count: u64, stride: u64) -> Pieces {
    Pieces {
        offset,
        length,
        count,
        stride,
    }
}

/// The pieces are 2 after the operation; all else stays 1.
fn change(
    name: &str,
    pieces: Pieces,
    watched: bool,
    act: impl Fn(&'static Space, Made, Pieces) + 'static,
) -> Entry {
    let told = if watched { ", watched" } else { "" };
    let before = vec![1u8; ROOM];
    let mut after = before.clone();
    for index in 0..pieces.count {
        let at = (pieces.offset + index * pieces.stride) as usize;
        after[at..at + pieces.length as usize].fill(2);
    }
    let old = before.clone();
    play(
        format!("{name}{told}"),
        Ends::Changed,
        move |space| {
            warm(space);
            let made = make(space, BYTES, ROOM as u64);
            write(space, made, 0, &old, None);
            let flagged = watched.then(|| announce(space, made));
            Scene { made, flagged }
        },
        |space, _| warm(space),
        move |space, scene, ()| act(space, scene.made, pieces),
        move |space, scene| {
            let found = read(space, scene.made, ROOM);
            let outcome = bytes_apart(&found, &before, &after)?;
            let outcome = with_wake(outcome, space, scene.made, scene.flagged)?;
            is_free(space, scene.made.base.lock())?;
            Ok(outcome)
        },
    )
}

fn put(space: &Space, made: Made, pieces: Pieces) {
    let from = vec![2; (pieces.length * pieces.count) as usize];
    let writer = writer(made);
    object::write_pieces(caller(space), writer, pieces, &from, None).expect("to write");
}

fn element(space: &'static Space, made: Made, pieces: Pieces, guarded: bool) -> impl Fn() {
    let at = object::payload(made.base) + pieces.offset;
    move || {
        let element: &AtomicU16 = space.segment.object(at);
        element.store(0x0202, Ordering::Release);
        if guarded {
            object::touch(&space.segment, made.base);
        }
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    let one = pieces_of(2, 34, 1, 2);
    for watched in [false, true] {
        entries.push(change(
            "store an element",
            one,
            watched,
            |space, made, at| {
                let store = element(space, made, at, true);
                object::change(caller(space), writer(made), store).expect("to store");
            },
        ));
        entries.push(change(
            "store an element by the fast path",
            one,
            watched,
            |space, made, at| {
                let store = element(space, made, at, true);
                // SAFETY: the processes here have one thread.
                let done = unsafe {
                    object::change_fast(&space.segment, me(space), made.base, true, store)
                };
                assert!(done.is_some());
            },
        ));
        entries.push(change(
            "store an element unguarded",
            one,
            watched,
            |space, made, at| {
                let store = element(space, made, at, false);
                let guarded = false;
                let writer = Writer {
                    guarded,
                    ..writer(made)
                };
                object::change(caller(space), writer, store).expect("to store");
            },
        ));
        let apart = pieces_of(4, 4, 20, 12);
        entries.push(change("write a slice with steps", apart, watched, put));
    }
    for (name, pieces) in [
        ("write a slice of whole words", pieces_of(64, 8, 1, 64)),
        (
            "write a slice beginning within a word",
            pieces_of(6, 2, 1, 6),
        ),
        ("write a slice within a word", pieces_of(1, 3, 3, 1)),
        ("write a long slice", pieces_of(1001, 3, 1, 1001)),
        ("write rows apart", pieces_of(24, 8, 10, 100)),
        ("write bytes apart", pieces_of(1, 1, 60, 17)),
    ] {
        entries.push(change(name, pieces, false, put));
    }
}
