//! One of those who wait for a lock asks whether its holder lives, for all of them.

mod stage;

use courtyard_core::layout::{SLOTS, superblock};
use courtyard_core::lock::{self, PROBE, WaitOutcome, Waiter};
use courtyard_core::object::SCALAR;
use courtyard_core::offset::LockWord;
use courtyard_core::participant::{LIVE, Me, State};
#[cfg(feature = "seeded-bugs")]
use courtyard_core::seed;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use stage::{Folder, alone, make, me};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

/// Makes slots those of dead participants, who count as a crowd as long as nobody asks after them.
fn free_head(space: &Space, slots: std::ops::Range<u64>) {
    for slot in slots {
        State::write(&space.segment, slot, LIVE, 1);
    }
}

/// A lock that this process holds, in a crowd.
fn held(space: &Space) -> LockWord {
    free_head(space, 100..900);
    let lock = make(space, SCALAR, 0).base.lock();
    lock::try_acquire(&space.segment, lock, me(space).me, 0).unwrap();
    lock
}

/// Waits for so long in vain. A slice ends early when the waiter begins to starve.
fn wait(waiter: &mut Waiter, limit: Duration) {
    while waiter.wait(limit).unwrap() == WaitOutcome::Woken {}
}

/// A waiter that has slept in vain, and found that another had looked at the lock.
fn one_of_many<'a>(space: &'a Space, lock: LockWord, other: &mut Waiter) -> Waiter<'a> {
    let mut waiter = Waiter::new(&space.segment, lock);
    while waiter.limit() == PROBE {
        wait(other, PROBE);
        wait(&mut waiter, SHORT); // just after the other's turn, unless the machine is busy
    }
    waiter
}

/// Lets the holder have died.
fn kill_holder(space: &Space, lock: LockWord) {
    let dead = Me {
        slot: 500,
        generation: 1,
    };
    space.segment.word(lock.0).store(0, Ordering::Relaxed);
    lock::try_acquire(&space.segment, lock, dead, lock::WAITERS).unwrap();
}

#[test]
fn one_asks_and_the_others_sleep_longer() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let lock = held(&space);
    let mut first = Waiter::new(&space.segment, lock);
    let mut second = one_of_many(&space, lock, &mut first);
    while second.limit() < 5 * PROBE {
        wait(&mut first, PROBE);
        wait(&mut second, SHORT);
    }
    assert!(second.limit() <= 13 * PROBE, "it doubles, and scatters");
    assert_eq!(first.limit(), PROBE);
    kill_holder(&space, lock);
    assert_eq!(
        second.wait(SHORT).unwrap(),
        WaitOutcome::TimedOut,
        "does not ask"
    );
    assert!(matches!(first.wait(SHORT).unwrap(), WaitOutcome::Dead(_)));
}

fn the_one_who_asks_dies() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let lock = held(&space);
    let mut first = Waiter::new(&space.segment, lock);
    let mut second = one_of_many(&space, lock, &mut first);
    kill_holder(&space, lock);
    std::mem::forget(first); // the dead wake nobody
    let limit = second.limit();
    wait(&mut second, limit);
    let next = second.wait(SHORT).unwrap();
    assert!(
        matches!(next, WaitOutcome::Dead(_)),
        "nobody asks: {next:?}"
    );
}

#[test]
fn another_asks_when_the_one_who_did_is_dead() {
    the_one_who_asks_dies();
}

#[cfg(feature = "seeded-bugs")]
#[test]
#[should_panic(expected = "nobody asks")]
fn catches_a_turn_to_ask_that_is_never_over() {
    let _seeded = seed::seed(seed::Bug::AskedForGood);
    the_one_who_asks_dies();
}

#[test]
fn the_one_who_asks_wakes_another_when_it_goes() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let lock = held(&space);
    for does_acquire in [false, true] {
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let mut waiter = Waiter::new(&space.segment, lock);
                wait(&mut waiter, SHORT);
                waiter.wait(Duration::from_secs(60)).unwrap()
            });
            // Again and again: the first may go before the sleeper sleeps.
            while !sleeper.is_finished() {
                let mut first = Waiter::new(&space.segment, lock);
                wait(&mut first, PROBE);
                if does_acquire {
                    first.acquired();
                    std::mem::forget(first);
                }
            }
            assert_eq!(sleeper.join().unwrap(), WaitOutcome::Woken);
        });
    }
}

#[test]
fn few_who_wait_never_sleep_long() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let lock = make(&space, SCALAR, 0).base.lock();
    lock::try_acquire(&space.segment, lock, me(&space).me, 0).unwrap();
    let mut first = Waiter::new(&space.segment, lock);
    let mut second = Waiter::new(&space.segment, lock);
    for _ in 0..3 {
        wait(&mut first, PROBE);
        wait(&mut second, SHORT);
        assert_eq!(first.limit(), PROBE);
        assert!(second.limit() < PROBE * 3 / 2);
    }
}

#[test]
fn nonsense_keeps_nobody_from_asking() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let lock = held(&space);
    for nonsense in [u64::MAX, 1 << 63, 0xFFFF, SLOTS, 0] {
        for index in 0..superblock::ASKED_WORDS {
            let word = space.segment.word(superblock::ASKED + index * 8);
            word.store(nonsense, Ordering::Relaxed);
        }
        let mut waiter = Waiter::new(&space.segment, lock);
        wait(&mut waiter, SHORT);
        assert_eq!(waiter.limit(), PROBE, "{nonsense:x}");
    }
}
