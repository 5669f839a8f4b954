//! Looking after the dead in turns: whoever dies in a turn, those who still wait find the dead.
//!
//! Two waiters run `lookout` as it is, at one moment and then at the next; one of them dies before
//! each of its stores. The dead participant is in the reserved slot, which phase (a) alone frees.

use courtyard_core::layout::{RESERVED_SLOT as SLOT, superblock};
use courtyard_core::lock::PROBE;
use courtyard_core::lookout::Lookout;
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::participant::{FREE, Participant, State};
use courtyard_core::seed;
use courtyard_core::segment::Segment;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const NOON: Duration = Duration::from_secs(1000);

fn is_found(segment: &Segment) -> bool {
    State::read(segment, SLOT).state == FREE
}

fn wait(stores: u64) {
    let words = Segment::slot(SLOT, 0).chain([superblock::TURN]);
    let segment = Arc::new(Segment::new(words));
    let entered = segment.live(7, IMMORTAL, || Participant::claim(&segment, SLOT, false));
    std::mem::forget(entered.unwrap().unwrap().expect("a free slot"));
    segment.free_head(7);
    let mortal = {
        let segment = segment.clone();
        thread::spawn(move || {
            segment.live(1, stores, || {
                Lookout::new(PROBE).look(&segment, NOON).unwrap();
            });
        })
    };
    let mut other = Lookout::new(PROBE);
    segment.live(2, IMMORTAL, || other.look(&segment, NOON).unwrap());
    mortal.join().unwrap();
    if !is_found(&segment) {
        // Its sleep is over, and the one who took the turn is dead.
        let later = NOON + other.limit();
        segment.live(2, IMMORTAL, || other.look(&segment, later).unwrap());
    }
    assert!(is_found(&segment), "nobody looked after the dead");
}

#[test]
fn the_one_who_looks_dies() {
    mortal::every_death(|stores| {
        let name = format!("two who wait, one dies after {stores} stores");
        mortal::explore(&name, 3, move || wait(stores));
    });
}

#[test]
#[should_panic(expected = "nobody looked after the dead")]
fn catches_a_turn_that_is_never_over() {
    let _seeded = seed::seed(seed::Bug::TurnKept);
    mortal::every_death(|stores| {
        mortal::explore("seed", 3, move || wait(stores));
    });
}
