//! Lock words: one holder at a time, no sleeper forgotten, and death releases.
//!
//! The contenders are processes of one thread each, running `lock` and `recover` as they are.
//! The mortal one dies before each of its stores in turn (see `courtyard_core::mortal`).
#![cfg(loom)]

use courtyard_core::lock::{self, PROBE, Stood, Tried, Waited};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::participant::{Me, Participant};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::Ordering;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

const LOCK: u64 = DATA;

/// What the lock guards: 1 while somebody is inside. loom fails two who are inside at once, and
/// one who has not seen what the holder before him did.
#[derive(Default)]
struct Guarded(UnsafeCell<u64>);

// SAFETY: that is what the lock is for; loom checks it.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn swap(&self, value: u64) -> u64 {
        // SAFETY: loom checks that nobody else is here.
        self.0.with_mut(|cell| unsafe { cell.replace(value) })
    }
}

/// How a protocol may be got wrong by who calls the engine: each of these must be caught, as
/// must the engine's own bugs (`seed`).
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// Release does not publish what was done inside.
    RelaxedRelease,
    /// Who slept takes the lock without saying that others may sleep too.
    ForgetsWaiters,
    /// A sleeper never asks whether the owner lives.
    NeverAsks,
    /// A reaper that did not see the byte unlocked.
    ReapsTheLiving,
}

fn acquire(segment: &Segment, me: Me, bug: Bug) -> Tried {
    // The first is a newcomer, and the others starve.
    let mut waited = match bug {
        Bug::None if me.slot > 0 => Waited::long(),
        _ => Waited::default(),
    };
    let mut flags = waited.flags();
    loop {
        match lock::try_acquire(segment, LOCK, me, flags).unwrap() {
            Tried::Held(seen) if bug == Bug::NeverAsks => {
                let word = segment.word(LOCK);
                let flagged = seen | lock::WAITERS;
                let order = Ordering::Relaxed;
                if !lock::is_free(seen)
                    && (word.compare_exchange(seen, flagged, order, order)).is_ok()
                {
                    segment.sleep(LOCK, flagged, courtyard_core::wait::LOOK_AGAIN);
                }
            }
            Tried::Held(seen) if bug == Bug::ReapsTheLiving && !lock::is_free(seen) => {
                use courtyard_core::participant::{DRAINING, State};
                let dead = lock::owner(seen).unwrap().unwrap();
                State::write(segment, dead.slot, DRAINING, dead.generation + 1);
            }
            Tried::Held(_) => {
                if let Stood::Dead(dead) = lock::stand(segment, LOCK, PROBE, &mut waited).unwrap() {
                    recover::reap(segment, dead).unwrap();
                }
            }
            tried => return tried,
        }
        flags = match bug {
            Bug::ForgetsWaiters => waited.flags() & !lock::WAITERS,
            _ => waited.flags(),
        };
    }
}

fn release(segment: &Segment, bug: Bug) {
    let word = segment.word(LOCK);
    let seen = match bug {
        Bug::RelaxedRelease => word.swap(0, Ordering::Relaxed),
        _ => return lock::release(segment, LOCK),
    };
    if seen & lock::WAITERS != 0 {
        segment.wake(LOCK, 1);
    }
}

fn visit(segment: &Segment, guarded: &Guarded, me: Me, bug: Bug) {
    let tried = acquire(segment, me, bug);
    let left = guarded.swap(1);
    assert!(left == 0 || tried == Tried::Recovered, "unfinished, unseen");
    guarded.swap(0);
    release(segment, bug);
}

fn claim(segment: &Segment, slot: u64) -> Participant {
    Participant::claim(segment, slot, false).unwrap().unwrap()
}

fn join(segment: &Segment, slot: u64) -> Participant {
    segment
        .live(slot, IMMORTAL, || claim(segment, slot))
        .unwrap()
}

/// Contenders, the first of which dies after so many stores.
fn contend(contenders: u64, stores: u64, bug: Bug) {
    let segment = segment(contenders);
    let participants: Vec<_> = (0..contenders).map(|slot| join(&segment, slot)).collect();
    run(
        segment,
        participants.into_iter().map(Some).collect(),
        stores,
        bug,
    );
}

/// Contenders that register beside each other, so that whoever meets their name on the lock may
/// not have seen their slot become LIVE.
fn contend_as_newcomers(contenders: u64, stores: u64, bug: Bug) {
    let newcomers = (0..contenders).map(|_| None).collect();
    run(segment(contenders), newcomers, stores, bug);
}

fn segment(contenders: u64) -> Arc<Segment> {
    let slots = (0..contenders).flat_map(|slot| Segment::slot(slot, 0));
    Arc::new(Segment::new(slots.chain([LOCK])))
}

fn run(segment: Arc<Segment>, contenders: Vec<Option<Participant>>, stores: u64, bug: Bug) {
    let guarded = Arc::new(Guarded::default());
    let mut threads = Vec::new();
    let number = contenders.len() as u64;
    for (slot, participant) in (0..).zip(contenders) {
        let (segment, guarded) = (segment.clone(), guarded.clone());
        let stores = if slot == 0 { stores } else { IMMORTAL };
        threads.push(thread::spawn(move || {
            segment.live(slot, stores, || {
                let participant = participant.unwrap_or_else(|| claim(&segment, slot));
                visit(&segment, &guarded, participant.me, bug);
            })
        }));
    }
    let lived = threads.into_iter().map(|thread| thread.join().unwrap());
    let lived = lived.filter(Option::is_some).count() as u64;
    assert!(lived == number || stores != IMMORTAL && lived == number - 1);
    let word = segment.word(LOCK).load(Ordering::Relaxed);
    assert!(lived < number || lock::is_free(word), "left held");
}

#[test]
fn two_contend() {
    mortal::explore("two contend", None, || contend(2, IMMORTAL, Bug::None));
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn three_contend() {
    mortal::explore("three contend", 4, || contend(3, IMMORTAL, Bug::None));
}

fn with_death(contenders: u64, preemptions: Option<usize>) {
    let places = mortal::every_death(|stores| {
        let name = format!("{contenders} contend, one dies after {stores} stores");
        mortal::explore(&name, preemptions, move || {
            contend(contenders, stores, Bug::None);
        });
    });
    assert!(places > 2, "a holder can die holding");
}

#[test]
fn one_of_two_dies() {
    with_death(2, None);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn one_of_three_dies() {
    with_death(3, Some(3));
}

#[test]
fn newcomers_contend() {
    mortal::explore("two newcomers contend", 4, || {
        contend_as_newcomers(2, IMMORTAL, Bug::None);
    });
}

#[test]
fn one_of_two_newcomers_dies() {
    mortal::every_death(|stores| {
        let name = format!("two newcomers contend, one dies after {stores} stores");
        mortal::explore(&name, 3, move || {
            contend_as_newcomers(2, stores, Bug::None);
        });
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_flag_set_between_look_and_store() {
    let _planted = seed::plant(seed::Bug::ReleaseInTwo);
    mortal::explore("seed", 3, || contend(2, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_lock_kept_for_who_is_not_woken() {
    let _planted = seed::plant(seed::Bug::KeptWithoutWake);
    mortal::explore("seed", 3, || contend(2, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn catches_a_release_that_does_not_publish() {
    mortal::explore("seed", 2, || contend(2, IMMORTAL, Bug::RelaxedRelease));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_second_sleeper_forgotten() {
    mortal::explore("seed", 3, || contend(3, IMMORTAL, Bug::ForgetsWaiters));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_sleeper_that_never_asks() {
    mortal::every_death(|stores| {
        mortal::explore("seed", 2, move || contend(2, stores, Bug::NeverAsks));
    });
}

#[test]
#[should_panic]
fn catches_a_holder_reaped_alive() {
    mortal::explore("seed", 2, || contend(2, IMMORTAL, Bug::ReapsTheLiving));
}
