//! Event words: nobody sleeps on whose condition holds, whoever dies before the wake.
//!
//! Wakers are operations as they are, each changing a word of its own by one store. The mortal
//! one dies before each of its stores in turn; the reaper, where it is mortal too, before each
//! of its own. A waiter needs no slot. Nothing ever times an event's sleeper out here.

use crate::process::join;
use courtyard_core::inside::operation::Operation;
use courtyard_core::layout::{WORD, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::{EventWord, LockWord};
use courtyard_core::participant::{Me, Participant};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::{Ordering, relax};
use courtyard_core::wait::{self, LOOK_AGAIN, SLEEPER};
use loom::thread;
use std::sync::Arc;

const EVENT: EventWord = EventWord(DATA);
const CHANGES: u64 = DATA + 64;
const STEP: u64 = 4;

/// How a protocol may be got wrong by who calls the engine: each of these must be caught, as
/// must the engine's own bugs (`seed`).
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// Tests the condition, then reads the word.
    TestsFirst,
    /// Clears flags before it looks at them.
    ClearsUnseenFlags,
    /// Reads the bell after it has set the flag.
    BellReadLate,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Sleeps on the event word itself.
    Event,
    /// Sleeps on the bell of the space, as a waiter on many objects does.
    Bell,
}

fn change(index: u64) -> u64 {
    CHANGES + index * WORD
}

fn set(segment: &Segment, index: u64) {
    segment.word(change(index)).store(1, Ordering::Release);
}

fn is_set(segment: &Segment, index: u64) -> bool {
    segment.word(change(index)).load(Ordering::Acquire) != 0
}

/// Waits until all the changes were made.
fn wait(segment: &Segment, changes: u64, way: Way, bug: Bug) {
    let holds = || (0..changes).all(|index| is_set(segment, index));
    for turn in 0.. {
        if turn > 0 {
            relax(); // loom may else serve the same stale value for ever
        }
        let mut bell = (way == Way::Bell).then(|| wait::observe(segment, superblock::BELL));
        let early = bug == Bug::TestsFirst && holds();
        let observed = wait::observe(segment, EVENT);
        if early || bug != Bug::TestsFirst && holds() {
            return;
        }
        let Some(bell) = &mut bell else {
            if let Some(flagged) = wait::prepare(segment, EVENT, observed) {
                wait::sleep(segment, EVENT, flagged, LOOK_AGAIN);
            }
            continue;
        };
        if wait::prepare_bell(segment, EVENT, observed).is_none() {
            continue;
        }
        if bug == Bug::BellReadLate {
            *bell = wait::observe(segment, superblock::BELL);
        }
        if let Some(flagged) = wait::prepare(segment, superblock::BELL, *bell) {
            wait::sleep(segment, superblock::BELL, flagged, LOOK_AGAIN);
        }
    }
}

/// Makes a change and tells the waiters.
fn make(segment: &Segment, participant: &Participant, index: u64, bug: Bug) {
    if bug == Bug::ClearsUnseenFlags {
        set(segment, index);
        let word = segment.word(EVENT.0);
        let seen = word.fetch_add(STEP, Ordering::SeqCst);
        word.fetch_and(!SLEEPER, Ordering::SeqCst);
        if seen & SLEEPER != 0 {
            segment.wake(EVENT.0, u32::MAX);
        }
        return;
    }
    let mut operation = Operation::begin(segment, participant, LockWord::default(), 0);
    operation.queue_wake(EVENT);
    operation.commit_with(|| set(segment, index));
}

fn segment() -> Arc<Segment> {
    let words = (0..2).flat_map(|slot| Segment::slot(slot, 0));
    let shared = [EVENT.0, superblock::BELL.0, change(0), change(1)];
    Arc::new(Segment::new(words.chain(shared)))
}

/// Waiters on both changes of two wakers, of whom none dies.
fn undisturbed(ways: &[Way], bug: Bug) {
    let segment = segment();
    let mut threads = Vec::new();
    for &way in ways {
        let segment = segment.clone();
        threads.push(thread::spawn(move || wait(&segment, 2, way, bug)));
    }
    let participants = [join(&segment, 0), join(&segment, 1)];
    for (index, participant) in (0..).zip(participants) {
        let segment = segment.clone();
        threads.push(thread::spawn(move || {
            make(&segment, &participant, index, bug)
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A waiter; a waker that dies after so many stores; a reaper that dies after so many, and the
/// next one. If the change was never made, somebody else makes it in the end.
fn disturbed(way: Way, stores: u64, reaper_stores: u64, bug: Bug) {
    let segment = segment();
    let waiter = segment.clone();
    let waiter = thread::spawn(move || wait(&waiter, 1, way, bug));
    let (mortal, other) = (join(&segment, 0), join(&segment, 1));
    let dead = mortal.me;
    let waker = segment.clone();
    let waker = thread::spawn(move || waker.live(0, stores, || make(&waker, &mortal, 0, bug)));
    if waker.join().unwrap().is_none() {
        reap(&segment, dead, reaper_stores);
        // Asking SeqCst: what the dead one stored is there for who reaped it.
        if !is_set(&segment, 0) {
            make(&segment, &other, 0, Bug::None);
        }
    }
    waiter.join().unwrap();
}

fn reap(segment: &Segment, dead: Me, stores: u64) {
    let reaped = segment.live(2, stores, || recover::reap(segment, dead).unwrap());
    if reaped.is_none() {
        recover::reap(segment, dead).unwrap();
    }
}

#[test]
fn waiter_and_two_wakers() {
    mortal::explore("waiter, two wakers", 4, || {
        undisturbed(&[Way::Event], Bug::None)
    });
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn two_waiters_and_two_wakers() {
    let ways = &[Way::Event, Way::Event];
    mortal::explore("two waiters, two wakers", 2, || {
        undisturbed(ways, Bug::None)
    });
}

#[test]
fn bell_and_two_wakers() {
    mortal::explore("bell, two wakers", 3, || {
        undisturbed(&[Way::Bell], Bug::None)
    });
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn bell_and_waiter_and_two_wakers() {
    let ways = &[Way::Bell, Way::Event];
    mortal::explore("bell, waiter, two wakers", 2, || {
        undisturbed(ways, Bug::None)
    });
}

fn with_death(name: &'static str, way: Way, reaper_dies: bool, bug: Bug) -> u64 {
    mortal::every_death(|stores| {
        let reaped = |reaper_stores| {
            let reaper = match reaper_stores {
                IMMORTAL => "never".to_string(),
                stores => format!("after {stores}"),
            };
            let name = format!("{name}, waker dies after {stores} stores, reaper {reaper}");
            mortal::explore(&name, 3, move || disturbed(way, stores, reaper_stores, bug));
        };
        if reaper_dies {
            mortal::every_second_death(reaped);
        } else {
            reaped(IMMORTAL);
        }
    })
}

#[test]
fn waker_dies() {
    assert!(with_death("waiter", Way::Event, false, Bug::None) > 4);
}

#[test]
fn waker_and_reaper_die() {
    with_death("waiter", Way::Event, true, Bug::None);
}

#[test]
fn waker_dies_owing_the_bell() {
    assert!(with_death("bell", Way::Bell, false, Bug::None) > 6);
}

#[test]
fn waker_and_reaper_die_owing_the_bell() {
    with_death("bell", Way::Bell, true, Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_bump_before_the_change() {
    let _seeded = seed::seed(seed::Bug::WakeBeforeStore);
    mortal::explore("seed", 2, || undisturbed(&[Way::Event], Bug::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_test_before_the_look() {
    mortal::explore("seed", 2, || undisturbed(&[Way::Event], Bug::TestsFirst));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_flags_cleared_after_the_wake() {
    let _seeded = seed::seed(seed::Bug::ClearAfterWake);
    mortal::explore("seed", 3, || undisturbed(&[Way::Event], Bug::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_flags_cleared_unseen() {
    mortal::explore("seed", 3, || {
        undisturbed(&[Way::Event], Bug::ClearsUnseenFlags)
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_bell_read_late() {
    mortal::explore("seed", 3, || undisturbed(&[Way::Bell], Bug::BellReadLate));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_wake_owed_late() {
    let _seeded = seed::seed(seed::Bug::WakesAfterCommit);
    with_death("seed", Way::Event, false, Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_wake_forgotten_early() {
    let _seeded = seed::seed(seed::Bug::WakesClearedBeforeWake);
    with_death("seed", Way::Event, false, Bug::None);
}
