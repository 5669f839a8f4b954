//! Names: whoever reads one reads it whole, or none, whoever dies while it is written.

use crate::process::{join, words};
use courtyard_core::layout::{self, WORD, slot};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::name::{self, Name};
use courtyard_core::seed;
use courtyard_core::segment::Segment;
use loom::thread;
use std::sync::Arc;

/// Two owners of one process, whose names have one row.
const OWNERS: [u32; 2] = [1, 1 + slot::NAME_ROWS as u32];

fn name_of(serial: u32) -> Name {
    Name::new(&format!("{:016}", serial))
}

/// Each owner's name is noted in turn, and the second one's by another thread, if there are two, while
/// another process reads. The process that notes them dies after so many stores.
fn read_beside(stores: u64, threads: usize) {
    let row = layout::slot_record(0) + slot::NAMES + u64::from(OWNERS[0]) * slot::NAME_ROW;
    let row = words(row, slot::NAME_ROW / WORD);
    let segment = Arc::new(Segment::new(Segment::slot(0, 0).chain(row)));
    let process = Arc::new(join(&segment, 0));
    let noting = (0..threads).map(|thread| {
        let (there, process) = (segment.clone(), process.clone());
        thread::spawn(move || {
            let note = |serial: u32| name::note(&there, &process, serial, &name_of(serial));
            let owners = OWNERS.into_iter().skip(thread);
            there.live(0, stores, || owners.for_each(note));
        })
    });
    let noting: Vec<_> = noting.collect();
    // A thread too, not this one: to leave a thread that could go on counts as a preemption.
    let there = segment.clone();
    let reading = thread::spawn(move || {
        for serial in OWNERS {
            if let Some(name) = name::read(&there, 0, serial) {
                assert_eq!(name, name_of(serial), "a torn name");
            }
        }
    });
    for thread in noting.into_iter().chain([reading]) {
        thread.join().unwrap();
    }
    if stores == IMMORTAL {
        let found = OWNERS.map(|serial| name::read(&segment, 0, serial));
        assert!(found[1].is_some() || found[0].is_some() && threads > 1);
    }
}

#[test]
fn names_are_read_whole() {
    mortal::explore("one thread notes", 3, || read_beside(IMMORTAL, 1));
    mortal::explore("two threads note", 2, || read_beside(IMMORTAL, 2));
}

#[test]
fn the_one_who_notes_dies() {
    let places = mortal::every_death(|stores| {
        let name = format!("it dies after {stores} stores");
        mortal::explore(&name, 2, move || read_beside(stores, 1));
    });
    assert!(places > 3, "{places} places to die");
}

#[test]
#[should_panic(expected = "a torn name")]
fn catches_a_name_before_it_is_said_to_be_written() {
    let _seeded = seed::seed(seed::Bug::NameBeforeWriting);
    mortal::explore("seed", 3, || read_beside(IMMORTAL, 1));
}
