//! Registrations: no task stays asleep whose event has come, whoever dies before the wake.
//!
//! The task does as in an event loop: it registers, looks, and goes to sleep until it is given its token.
//! One thread sleeps on the bell for it. A process makes one change or two, and the task waits for the
//! last: by a record, or by a store after which it asks whether anybody waits. That process dies before
//! each of its stores, and is then reaped. Nothing times a sleep out here.

use crate::process::join;
use courtyard_core::inside::operation::Operation;
use courtyard_core::layout::superblock;
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::{EventWord, LockWord};
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::registration::Registrations;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::{AtomicBool, Ordering};
use courtyard_core::wait::{self, LOOK_AGAIN};
use loom::sync::Notify;
use loom::thread;
use std::sync::Arc;

const EVENT: EventWord = EventWord(DATA);
/// How many changes there were; the task waits for the last one.
const CHANGES: u64 = DATA + 64;
/// The process of the task.
const TASKS: u64 = 7;

/// How the process makes the change.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Its record names the event.
    Record,
    /// It bumps the event only where somebody waits.
    IfAwaited,
}

/// How a task may be got wrong by who calls the engine.
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// It looks before it registers.
    LooksFirst,
}

/// What a task and the thread that sleeps for it share, in one process.
struct Process {
    segment: Arc<Segment>,
    goal: u64,
    registrations: Registrations<Arc<Notify>>,
    is_over: AtomicBool,
}

impl Process {
    fn is_changed(&self) -> bool {
        changes(&self.segment) == self.goal
    }

    /// Waits for the change as a task of an event loop does.
    fn run_task(&self, bug: Bug) {
        loop {
            let early = bug == Bug::LooksFirst && self.is_changed();
            let token = Arc::new(Notify::new());
            let registrations = &self.registrations;
            let number = registrations.register(&self.segment, &[EVENT], token.clone());
            if early || bug != Bug::LooksFirst && self.is_changed() {
                registrations.cancel(number);
                break;
            }
            token.wait(); // loom also ends it for no reason
            registrations.cancel(number);
        }
        assert!(self.registrations.is_empty(), "a registration is left");
        self.is_over.store(true, Ordering::Release);
        wait::notify(&self.segment, superblock::BELL);
    }

    /// Sleeps on the bell, and hands out tokens when it has rung.
    fn run_thread(&self) {
        let segment = &self.segment;
        let mut announced = None;
        while !self.is_over.load(Ordering::Acquire) {
            let bell = wait::observe(segment, superblock::BELL);
            if announced != Some(bell) {
                for token in self.registrations.changed(segment) {
                    token.notify();
                }
                announced = wait::prepare(segment, superblock::BELL, bell);
            }
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            if let Some(announced) = announced {
                wait::sleep(segment, superblock::BELL, announced, LOOK_AGAIN);
            }
        }
    }
}

fn changes(segment: &Segment) -> u64 {
    segment.word(CHANGES).load(Ordering::Acquire)
}

/// Makes the changes that are left.
fn change(segment: &Segment, participant: &Participant, way: Way, goal: u64) {
    for number in changes(segment) + 1..=goal {
        change_to(segment, participant, way, number);
    }
}

fn change_to(segment: &Segment, participant: &Participant, way: Way, number: u64) {
    let set = || segment.word(CHANGES).store(number, Ordering::Release);
    if way == Way::IfAwaited {
        set();
        courtyard_core::sync::fence(Ordering::SeqCst); // the unlock that comes before, on x86
        wait::notify_waiters(segment, EVENT);
        return;
    }
    let mut operation = Operation::begin(segment, participant, LockWord::default(), 0);
    operation.queue_wake(EVENT);
    operation.commit_with(set);
}

/// A task waits for the last of some changes by a process, which dies after so many stores.
fn meet(way: Way, goal: u64, stores: u64, bug: Bug) {
    let words = (0..2).flat_map(|slot| Segment::slot(slot, 0)).chain([
        EVENT.0,
        superblock::BELL.0,
        CHANGES,
    ]);
    let segment = Arc::new(Segment::new(words));
    let waker = join(&segment, 0);
    let process = Arc::new(Process {
        segment: segment.clone(),
        goal,
        registrations: Registrations::default(),
        is_over: AtomicBool::new(false),
    });
    let task = process.clone();
    let task = thread::spawn(move || {
        let segment = task.segment.clone();
        segment.live(TASKS, IMMORTAL, || task.run_task(bug));
    });
    let sleeper = process.clone();
    let sleeper = thread::spawn(move || {
        let segment = sleeper.segment.clone();
        segment.live(TASKS, IMMORTAL, || sleeper.run_thread());
    });
    let there = segment.clone();
    let changing = thread::spawn(move || {
        there
            .live(0, stores, || change(&there, &waker, way, goal))
            .is_some()
    });
    if !changing.join().unwrap() {
        recover::reap_all(&segment).unwrap();
        let late = join(&segment, 1);
        segment.live(1, IMMORTAL, || change(&segment, &late, way, goal));
    }
    task.join().unwrap();
    sleeper.join().unwrap();
}

#[test]
fn a_task_and_a_change() {
    for way in [Way::Record, Way::IfAwaited] {
        mortal::explore("a task and a change", 3, move || {
            meet(way, 2, IMMORTAL, Bug::None)
        });
    }
}

#[test]
fn the_one_who_changes_dies() {
    let places = mortal::every_death(|stores| {
        let name = format!("the one who changes dies after {stores} stores");
        mortal::explore(&name, 1, move || meet(Way::Record, 1, stores, Bug::None));
    });
    assert!(places > 3, "{places} places to die");
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_bell_before_the_registration() {
    let _seeded = seed::seed(seed::Bug::BellBeforeRegistered);
    mortal::explore("seed", 3, || meet(Way::Record, 2, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_task_that_looks_first() {
    mortal::explore("seed", 3, || {
        meet(Way::IfAwaited, 2, IMMORTAL, Bug::LooksFirst)
    });
}
