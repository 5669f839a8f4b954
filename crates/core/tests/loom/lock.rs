//! Lock words: one holder at a time, no sleeper forgotten, and death releases.
//!
//! The contenders are processes of one thread each, running `lock` and `recover` as they are.
//! The mortal one dies before each of its stores in turn (see `courtyard_core::mortal`).

use courtyard_core::lock::{self, PROBE, Tried, WaitOutcome, Waiter};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::{Me, Participant};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::Ordering;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const LOCK: LockWord = LockWord(DATA);

/// What the lock guards: 1 while somebody is inside. loom fails two who are inside at once, and
/// one who has not seen what the holder before him did.
#[derive(Default)]
struct Guarded(UnsafeCell<u64>);

// SAFETY: that is what the lock is for; loom checks it.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn swap(&self, value: u64) -> u64 {
        // SAFETY: loom checks that nobody else is here.
        self.0.with_mut(|object| unsafe { object.replace(value) })
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
    let waiter = match bug {
        Bug::None if me.slot > 0 => Waiter::starving(segment, LOCK),
        _ => Waiter::new(segment, LOCK),
    };
    acquire_as(waiter, segment, me, bug)
}

fn acquire_as(mut waiter: Waiter, segment: &Segment, me: Me, bug: Bug) -> Tried {
    let mut flags = waiter.flags();
    loop {
        match lock::try_acquire(segment, LOCK, me, flags).unwrap() {
            Tried::Held(seen) if bug == Bug::NeverAsks => {
                let word = segment.word(LOCK.0);
                let flagged = seen | lock::WAITERS;
                let order = Ordering::Relaxed;
                if !lock::is_free(seen)
                    && (word.compare_exchange(seen, flagged, order, order)).is_ok()
                {
                    segment.sleep(LOCK.0, flagged, courtyard_core::wait::LOOK_AGAIN);
                }
            }
            Tried::Held(seen) if bug == Bug::ReapsTheLiving && !lock::is_free(seen) => {
                use courtyard_core::participant::{DRAINING, State};
                let dead = lock::owner(seen).unwrap().unwrap();
                State::write(segment, dead.slot, DRAINING, dead.generation + 1);
            }
            Tried::Held(_) => {
                if let WaitOutcome::Dead(dead) = waiter.wait(PROBE).unwrap() {
                    recover::reap(segment, dead).unwrap();
                }
            }
            tried => {
                waiter.acquired();
                return tried;
            }
        }
        flags = match bug {
            Bug::ForgetsWaiters => waiter.flags() & !lock::WAITERS,
            _ => waiter.flags(),
        };
    }
}

fn release(segment: &Segment, bug: Bug) {
    let word = segment.word(LOCK.0);
    let seen = match bug {
        Bug::RelaxedRelease => word.swap(0, Ordering::Relaxed),
        _ => return lock::release(segment, LOCK),
    };
    if seen & lock::WAITERS != 0 {
        segment.wake(LOCK.0, 1);
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
    Arc::new(Segment::new(slots.chain([LOCK.0])))
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
    let word = segment.word(LOCK.0).load(Ordering::Relaxed);
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
    let _seeded = seed::seed(seed::Bug::ReleaseInTwo);
    mortal::explore("seed", 3, || contend(2, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_lock_kept_for_who_is_not_woken() {
    let _seeded = seed::seed(seed::Bug::KeptWithoutWake);
    mortal::explore("seed", 3, || contend(2, IMMORTAL, Bug::None));
}

/// How often in a row one that takes the lock so many times has it while any of the others starves, who
/// take it once.
fn overtake(patient: u64, turns: u64) -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed}; // no part of the model
    let segment = segment(patient + 1);
    let participants: Vec<_> = (0..=patient).map(|slot| join(&segment, slot)).collect();
    let served = Arc::new(AtomicU64::new(0));
    let overtaken = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for (slot, participant) in (0..).zip(participants) {
        let (segment, served, overtaken) = (segment.clone(), served.clone(), overtaken.clone());
        threads.push(thread::spawn(move || {
            let me = participant.me;
            if slot > 0 {
                acquire(&segment, me, Bug::None);
                served.fetch_add(1, Relaxed);
                lock::release(&segment, LOCK);
                return;
            }
            let (mut starved, mut in_a_row) = (0, 0);
            for _ in 0..turns {
                acquire_as(Waiter::new(&segment, LOCK), &segment, me, Bug::None);
                let word = segment.word(LOCK.0).load(Ordering::Relaxed);
                let members = [lock::FIRST, lock::SECOND].map(|one| word / one % 4);
                let served = served.load(Relaxed);
                // The word may forget who starves; we do not.
                starved = starved.max(served + members.iter().sum::<u64>());
                in_a_row = if starved > served { in_a_row + 1 } else { 0 };
                overtaken.fetch_max(in_a_row, Relaxed);
                lock::release(&segment, LOCK);
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    overtaken.load(Relaxed)
}

#[test]
fn one_who_starves_is_overtaken_twice_at_most() {
    mortal::explore("one starves", 4, || assert!(overtake(1, 4) <= 2));
}

#[test]
fn each_of_two_who_starve_is_overtaken_twice_at_most() {
    mortal::explore("two starve", 2, || assert!(overtake(2, 6) <= 4));
}

#[test]
#[should_panic(expected = "overtake")]
fn catches_a_kept_lock_that_anybody_takes() {
    let _seeded = seed::seed(seed::Bug::KeptForAnybody);
    mortal::explore("seed", 3, || assert!(overtake(1, 4) <= 2));
}

#[test]
#[should_panic(expected = "a member that is not counted")]
fn catches_a_batch_that_is_forgotten() {
    let _seeded = seed::seed(seed::Bug::BatchForgotten);
    mortal::explore("seed", 2, || assert!(overtake(2, 6) <= 4));
}

/// How many starve, by the word.
fn members(segment: &Segment) -> u64 {
    let word = segment.word(LOCK.0).load(Ordering::Relaxed);
    word / lock::FIRST % 4 + word / lock::SECOND % 4
}

/// While the lock is held, a greedy one joins a batch, and then those who take the lock once join the
/// other. Then it is released, and a second greedy one comes. How often either of the greedy has it
/// before all of the others have had it.
fn overtake_in_batches(patient: u64, turns: u64) -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed}; // no part of the model
    let segment = segment(patient + 3);
    let mut participants = (0..patient + 3).map(|slot| join(&segment, slot));
    let holder = participants.next().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let overtaken = Arc::new(AtomicU64::new(0));
    let greedy = |participant: Participant| {
        let (segment, served, overtaken) = (segment.clone(), served.clone(), overtaken.clone());
        thread::spawn(move || {
            for turn in 1..=turns {
                acquire(&segment, participant.me, Bug::None);
                if served.load(Relaxed) < patient {
                    overtaken.fetch_max(turn, Relaxed);
                }
                lock::release(&segment, LOCK);
            }
        })
    };
    acquire_as(Waiter::new(&segment, LOCK), &segment, holder.me, Bug::None);
    let mut threads = vec![greedy(participants.next().unwrap())];
    while members(&segment) < 1 {
        thread::yield_now();
    }
    for _ in 0..patient {
        let participant = participants.next().unwrap();
        let (segment, served) = (segment.clone(), served.clone());
        threads.push(thread::spawn(move || {
            acquire(&segment, participant.me, Bug::None);
            served.fetch_add(1, Relaxed);
            lock::release(&segment, LOCK);
        }));
    }
    while members(&segment) < 2 {
        thread::yield_now();
    }
    lock::release(&segment, LOCK);
    if turns > 1 {
        threads.push(greedy(participants.next().unwrap()));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let word = segment.word(LOCK.0).load(Ordering::Relaxed);
    assert_eq!(word, 0, "nobody starves any more");
    overtaken.load(Relaxed)
}

#[test]
fn two_who_are_greedy_overtake_twice_at_most() {
    mortal::explore("two greedy", 2, || assert!(overtake_in_batches(1, 3) <= 2));
}

/// One joins while the last member of a batch has the lock: it comes after the batch that waits.
fn join_while_served() {
    let segment = segment(2);
    let participants: Vec<_> = (0..2).map(|slot| join(&segment, slot)).collect();
    let me = participants[0].me;
    let acquire_now = |flags| {
        let tried = lock::try_acquire(&segment, LOCK, me, flags).unwrap();
        assert_eq!(tried, Tried::Acquired);
    };
    acquire_now(0);
    // A member of each batch, both of which are awake: they are this thread, too.
    let word = segment.word(LOCK.0);
    let held = word.load(Ordering::Relaxed);
    word.store(held + lock::FIRST + lock::SECOND, Ordering::Relaxed);
    lock::release(&segment, LOCK);
    acquire_now(lock::FIRST);
    let joining = {
        let segment = segment.clone();
        let me = participants[1].me;
        thread::spawn(move || {
            acquire(&segment, me, Bug::None);
            lock::release(&segment, LOCK);
        })
    };
    while members(&segment) < 2 {
        thread::yield_now();
    }
    let both = lock::FIRST + lock::SECOND;
    let joined = word.load(Ordering::Relaxed) & both;
    assert_eq!(joined, both, "it joined the batch that waits");
    lock::release(&segment, LOCK);
    acquire_now(lock::SECOND);
    lock::release(&segment, LOCK);
    joining.join().unwrap();
    assert_eq!(word.load(Ordering::Relaxed), 0);
}

#[test]
fn a_batch_is_not_joined_while_it_is_served() {
    mortal::explore("a batch is joined", None, join_while_served);
}

#[test]
#[should_panic(expected = "it joined the batch that waits")]
fn catches_a_batch_that_is_joined_while_it_is_served() {
    let _seeded = seed::seed(seed::Bug::TurnedLate);
    mortal::explore("seed", 2, join_while_served);
}

/// One who starves gives up, before it sleeps or when it is woken, while another one waits.
fn give_up(limit: Duration, stores: u64) {
    let segment = segment(3);
    let participants: Vec<_> = (0..3).map(|slot| join(&segment, slot)).collect();
    let mut threads = Vec::new();
    for (slot, participant) in (0..).zip(participants) {
        let segment = segment.clone();
        let stores = if slot == 1 { stores } else { IMMORTAL };
        threads.push(thread::spawn(move || {
            segment.live(slot, stores, || {
                let me = participant.me;
                if slot == 1 {
                    let mut waiter = Waiter::starving(&segment, LOCK);
                    match lock::try_acquire(&segment, LOCK, me, waiter.flags()).unwrap() {
                        Tried::Held(_) => {
                            let _ = waiter.wait(limit).unwrap();
                        }
                        _ => {
                            waiter.acquired();
                            lock::release(&segment, LOCK);
                        }
                    }
                } else {
                    acquire(&segment, me, Bug::None);
                    lock::release(&segment, LOCK);
                }
            })
        }));
    }
    let all_lived = threads
        .into_iter()
        .fold(true, |all, thread| thread.join().unwrap().is_some() && all);
    let word = segment.word(LOCK.0).load(Ordering::Relaxed);
    assert!(
        word == 0 || !all_lived,
        "nobody starves any more: {word:#x}"
    );
}

#[test]
fn one_who_starves_gives_up() {
    for limit in [Duration::ZERO, PROBE] {
        mortal::explore("one gives up", 3, move || give_up(limit, IMMORTAL));
    }
}

#[test]
fn one_dies_when_it_gives_up() {
    let places = mortal::every_death(|stores| {
        mortal::explore("one dies giving up", 2, move || give_up(PROBE, stores));
    });
    assert!(places > 2, "it can die counted");
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_waiter_that_gives_up_and_wakes_nobody() {
    let _seeded = seed::seed(seed::Bug::LeftAsleep);
    mortal::explore("seed", 3, || give_up(PROBE, IMMORTAL));
}

#[test]
#[should_panic(expected = "a member that is not counted")]
fn catches_a_member_that_is_not_counted() {
    let _seeded = seed::seed(seed::Bug::JoinedAnyway);
    mortal::explore("seed", 2, || {
        overtake_in_batches(2, 1);
    });
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
