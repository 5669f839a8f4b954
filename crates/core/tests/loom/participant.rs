//! Registration: a slot has one owner, and what a dead one left is never overlooked.
//!
//! Newcomers and reapers run `participant` and `recover` as they are, on the reserved slot,
//! which phase (a) alone frees, so that it goes from hand to hand. The mortal newcomer dies
//! before each of its stores, and after the last one with a lock in its hand.

use courtyard_core::layout::RESERVED_SLOT as SLOT;
use courtyard_core::lock::{self, Tried};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::{self, FREE, LIVE, Me, Participant, State};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::Ordering;
use loom::thread;
use std::sync::Arc;

const LOCK: LockWord = LockWord(DATA);

/// How registering may be got wrong beside the engine's own bugs (`seed`).
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// A newcomer publishes itself without the byte.
    NoByte,
}

fn segment() -> Arc<Segment> {
    Arc::new(Segment::new(Segment::slot(SLOT, 0).chain([LOCK.0])))
}

/// Registers, if the slot is free; returns who we are.
fn claim(segment: &Segment, bug: Bug) -> Option<(Me, Option<Participant>)> {
    if bug == Bug::None {
        let participant = Participant::claim(segment, SLOT, false).unwrap()?;
        return Some((participant.me, Some(participant)));
    }
    let free = State::read(segment, SLOT);
    if free.state != FREE {
        return None;
    }
    State::write(segment, SLOT, LIVE, free.generation);
    let generation = free.generation;
    Some((
        Me {
            slot: SLOT,
            generation,
        },
        None,
    ))
}

/// Reaps whoever is found dead in the slot.
fn look_after(segment: &Segment) {
    let state = State::read(segment, SLOT);
    if state.state == LIVE && !participant::is_alive(segment, SLOT).unwrap() {
        let dead = Me {
            slot: SLOT,
            generation: state.generation,
        };
        recover::reap(segment, dead).unwrap();
    }
}

/// Registers and takes a lock; the lock must not be ours already, through a dead one's name.
fn enter(segment: &Segment, bug: Bug) -> Option<(Me, Option<Participant>)> {
    let entered = claim(segment, bug)?;
    let seen = segment.word(LOCK.0).load(Ordering::Acquire);
    assert!(!lock::is_held_by(seen, entered.0), "a dead one's name");
    match lock::try_acquire(segment, LOCK, entered.0, 0).unwrap() {
        Tried::Held(_) => panic!("held by nobody alive"),
        _ => Some(entered),
    }
}

/// A slot left by a dead one, who held the lock; a reaper, who may die; two newcomers, the first
/// of whom may die. Whoever lives in the end must be the one that the slot and the lock name.
fn crowd(reaper_stores: u64, stores: u64, bug: Bug) {
    let segment = segment();
    let first = segment.live(7, IMMORTAL, || enter(&segment, Bug::None));
    let (dead, _) = first.unwrap().unwrap();
    segment.free_head(7);
    let reaper = segment.clone();
    let reaper = thread::spawn(move || {
        reaper.live(8, reaper_stores, || recover::reap(&reaper, dead).unwrap());
    });
    let newcomer = |process: u64, stores: u64| {
        let segment = segment.clone();
        move || {
            segment
                .live(process, stores, || {
                    look_after(&segment);
                    let entered = enter(&segment, bug);
                    mortal::step(); // a place to die, holding all
                    entered
                })
                .flatten()
        }
    };
    let mortal = thread::spawn(newcomer(1, stores));
    let other = newcomer(2, IMMORTAL)();
    let mortal = mortal.join().unwrap();
    reaper.join().unwrap();
    assert!(mortal.is_none() || other.is_none(), "two owners");
    let owner = mortal.or(other);
    if let Some((me, _)) = &owner {
        let state = State::read(&segment, SLOT);
        let live = (LIVE, me.generation);
        assert_eq!((state.state, state.generation), live, "the owner's slot");
        assert_ne!(me.generation, dead.generation, "a dead one's generation");
        assert!(participant::is_alive(&segment, SLOT).unwrap());
        let word = segment.word(LOCK.0).load(Ordering::Acquire);
        assert!(lock::is_held_by(word, *me), "the owner's lock");
        return;
    }
    // Nobody came in; then the next one can, whatever the dead left.
    let late = segment.live(3, IMMORTAL, || {
        look_after(&segment);
        enter(&segment, bug)
    });
    assert!(late.unwrap().is_some(), "kept out by the dead");
}

#[test]
fn two_newcomers_and_a_reaper() {
    mortal::explore("two newcomers, reaper", 3, || {
        crowd(IMMORTAL, IMMORTAL, Bug::None);
    });
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn a_newcomer_dies() {
    mortal::every_death(|stores| {
        let name = format!("two newcomers, reaper; one dies after {stores} stores");
        mortal::explore(&name, 2, move || crowd(IMMORTAL, stores, Bug::None));
    });
}

#[test]
fn the_reaper_dies() {
    mortal::every_death(|stores| {
        let name = format!("two newcomers, reaper dies after {stores} stores");
        mortal::explore(&name, 2, move || crowd(stores, IMMORTAL, Bug::None));
    });
}

fn catch(bug: seed::Bug) {
    let _seeded = seed::seed(bug);
    mortal::every_death(|stores| {
        mortal::explore("seed", 1, move || crowd(IMMORTAL, stores, Bug::None));
    });
}

#[test]
#[should_panic(expected = "a dead one's name")]
fn catches_a_newcomer_that_does_not_look_again() {
    catch(seed::Bug::ClaimBlindly);
}

#[test]
#[should_panic(expected = "a dead one's name")]
fn catches_a_reaper_that_does_not_look_again() {
    catch(seed::Bug::ReapBlindly);
}

#[test]
#[should_panic(expected = "held by nobody alive")]
fn catches_a_newcomer_without_the_byte() {
    mortal::explore("seed", 2, || crowd(IMMORTAL, IMMORTAL, Bug::NoByte));
}
