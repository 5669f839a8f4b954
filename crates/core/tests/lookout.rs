//! One of those who wait looks after the dead for all, whoever of them dies or is stopped.

mod stage;

use courtyard_core::layout::{RESERVED_SLOT, SLOTS, superblock};
use courtyard_core::lock::PROBE;
use courtyard_core::lookout::Lookout;
use courtyard_core::participant::{DRAINING, LIVE, State};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use stage::{Folder, alone, attach, crashes, me};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The boot clock when a test begins.
const NOON: Duration = Duration::from_secs(1000);

/// Makes slots those of dead participants: nobody locks their bytes.
fn free_head(space: &Space, slots: std::ops::Range<u64>) {
    let here = me(space).me.slot;
    for slot in slots.filter(|&slot| slot != here) {
        State::write(&space.segment, slot, LIVE, 1);
    }
}

fn count(space: &Space, state: u64) -> usize {
    let slots = 0..RESERVED_SLOT;
    (slots.filter(|&slot| State::read(&space.segment, slot).state == state)).count()
}

fn looks(lookout: &mut Lookout, space: &Space, now: Duration) -> bool {
    lookout.look(&space.segment, now).unwrap()
}

#[test]
fn one_looks_and_the_others_sleep_longer() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    free_head(&space, 100..900);
    let mut waiters: Vec<Lookout> = (0..50).map(|_| Lookout::new(PROBE)).collect();
    let found = waiters.iter_mut().map(|one| looks(one, &space, NOON));
    assert_eq!(found.filter(|&found| found).count(), 1);
    // So long it lasts until the next one looks, if that is the one who looked now.
    assert_eq!(waiters[0].limit(), PROBE);
    let mut now = NOON;
    for _ in 0..100 {
        free_head(&space, 100..900); // a crowd that lives, as far as the others see
        now += PROBE;
        looks(&mut waiters[0], &space, now);
        assert_eq!(waiters[0].limit(), PROBE);
        for other in &mut waiters[1..] {
            assert!(!looks(other, &space, now + PROBE / 2));
        }
    }
    for other in &mut waiters[1..] {
        assert!(other.limit() > 5 * SECOND && other.limit() < 11 * SECOND);
        other.woken();
        assert_eq!(other.limit(), PROBE);
    }
}

#[test]
fn few_who_wait_never_sleep_long() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (mut one, mut other) = (Lookout::new(PROBE), Lookout::new(PROBE));
    for turn in 0..100 {
        let now = NOON + PROBE * turn;
        looks(&mut one, &space, now);
        looks(&mut other, &space, now + PROBE / 2);
        assert!(other.limit() <= PROBE * 2);
    }
}

#[test]
fn who_waits_for_seldom_deaths_looks_seldom() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    free_head(&space, 5..6);
    let mut one = Lookout::new(SECOND);
    assert_eq!(one.limit(), PROBE);
    assert!(looks(&mut one, &space, NOON));
    assert_eq!(one.limit(), SECOND);
}

#[test]
fn rounds_reach_all_the_dead() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let mut one = Lookout::new(PROBE);
    assert!(!looks(&mut one, &space, NOON)); // all that there are: nobody looked before
    free_head(&space, 10..1000);
    let mut before = 0;
    for turn in 1..40 {
        assert!(looks(&mut one, &space, NOON + PROBE * turn));
        let found = count(&space, DRAINING);
        assert!(found - before <= 32, "{before} {found}");
        before = found;
    }
    assert_eq!(count(&space, DRAINING), 990);
    assert_eq!(count(&space, LIVE), 1);
}

#[test]
fn who_looks_again_after_long_looks_at_as_many_as_it_missed() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let mut one = Lookout::new(PROBE);
    looks(&mut one, &space, NOON);
    free_head(&space, 10..1000);
    assert!(looks(&mut one, &space, NOON + 4 * SECOND));
    assert_eq!(count(&space, DRAINING), 990);
}

#[test]
fn the_death_of_who_looks_delays_a_turn() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    assert!(crashes("lookout.taken", 0, || {
        let space = attach(&space);
        free_head(&space, 10..40);
        looks(&mut Lookout::new(PROBE), &space, NOON);
    }));
    assert_eq!((count(&space, DRAINING), count(&space, LIVE)), (0, 32));
    let mut other = Lookout::new(PROBE);
    assert!(!looks(&mut other, &space, NOON + PROBE / 2)); // it may be looking
    assert!(other.limit() <= PROBE * 2);
    assert!(looks(&mut other, &space, NOON + PROBE * 2));
    assert_eq!(count(&space, DRAINING), 31); // and the one who looked
}

#[test]
fn nonsense_keeps_nobody_from_looking() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    for (turn, slot) in [u64::MAX, 1 << 63, 0xFFFF, SLOTS, 0].into_iter().zip(10..) {
        let word = space.segment.word(superblock::TURN);
        word.store(turn, Ordering::Relaxed);
        free_head(&space, slot..slot + 1);
        let mut one = Lookout::new(PROBE);
        assert!(looks(&mut one, &space, NOON), "{turn:x}");
        assert_eq!(State::read(&space.segment, slot).state, DRAINING);
        // And the time goes on from there.
        assert_eq!(word.load(Ordering::Relaxed) >> 16, 1_000_000);
    }
}
