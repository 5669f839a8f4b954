//! The processes of a model: participants of a space of few words, each with one thread.

use courtyard_core::mortal::IMMORTAL;
use courtyard_core::participant::Participant;
use courtyard_core::segment::Segment;
use courtyard_core::space::{Caller, Hooks, Space, unlimited};
use courtyard_core::sync::Ordering;
use loom::thread;
use std::sync::Arc;

/// A space of these words, some of which have a value from the start.
pub fn space(words: impl IntoIterator<Item = u64>, start: &[(u64, u64)]) -> Arc<Space> {
    let segment = Segment::new(words);
    for &(word, value) in start {
        segment.word(word).store(value, Ordering::Relaxed);
    }
    Arc::new(Space::new(segment, Hooks::MODEL).unwrap())
}

/// So many words from here.
pub fn words(from: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |word| from + word * 8)
}

/// A process takes its slot.
pub fn join(segment: &Segment, slot: u64) -> Participant {
    let claim = || {
        let claimed = Participant::claim(segment, slot, false);
        claimed.unwrap().expect("a free slot")
    };
    segment.live(slot, IMMORTAL, claim).unwrap()
}

/// For a call that waits as long as it takes.
pub fn caller<'a>(space: &'a Space, participant: &'a Participant) -> Caller<'a, 'static> {
    Caller::new(space, participant, &unlimited)
}

/// Two processes take their slots.
pub fn pair(space: &Space) -> [Participant; 2] {
    [0, 1].map(|slot| join(&space.segment, slot))
}

/// The first of a pair acts, and dies after so many stores, beside what the second does. Says whether the
/// first lives, what came of the second, and gives that one back.
pub fn beside<T: Send + 'static>(
    space: &Arc<Space>,
    [first, second]: [Participant; 2],
    stores: u64,
    act: impl FnOnce(&Space, &Participant) + Send + 'static,
    look: impl FnOnce(&Space, &Participant) -> T + Send + 'static,
) -> (bool, T, Participant) {
    let there = space.clone();
    let acting = thread::spawn(move || {
        let act = || act(&there, &first);
        there.segment.live(0, stores, act).is_some()
    });
    // A thread too, not this one: to leave a thread that could go on counts as a preemption.
    let there = space.clone();
    let looking = thread::spawn(move || {
        let seen = there.segment.live(1, IMMORTAL, || look(&there, &second));
        (seen.unwrap(), second)
    });
    let (seen, second) = looking.join().unwrap();
    (acting.join().unwrap(), seen, second)
}
