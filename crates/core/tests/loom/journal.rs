//! Records: several words change at once for readers that do not lock, and for whoever comes
//! after a writer, or a reaper, that died before any of its stores.
//!
//! A pair of words under a lock and a sequence, always equal but inside a change. Writers are
//! operations as they are; the reader is the loop of `object::under_sequence`, one turn of it.
//!
//! A block changes hands twice, while somebody reads all words that may name it, as `check` does.

use crate::process::join;
use courtyard_core::inside::operation::Operation;
use courtyard_core::inside::progress::Progress;
use courtyard_core::layout::{self, WORD, record, slot};
use courtyard_core::lock::{self, PROBE, Tried, WaitOutcome, Waiter};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::{Me, Participant};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::sync::{Ordering, fence};
use loom::thread;
use std::sync::Arc;

const LOCK: LockWord = LockWord(DATA);
const SEQUENCE: u64 = DATA + WORD;
const PAIR: [u64; 2] = [DATA + 2 * WORD, DATA + 3 * WORD];

/// How a protocol may be got wrong by who calls the engine: each of these must be caught, as
/// must the engine's own bugs (`seed`).
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// Changes the words without a record.
    NoRecord,
    /// The reader does not fence between the words and the sequence.
    NoFence,
    /// Reads the pair before it has the lock.
    ReadsUnlocked,
    /// Takes two equal readings for one of a moment, whatever the records say.
    ProgressIgnored,
}

fn read(segment: &Segment) -> [u64; 2] {
    PAIR.map(|word| segment.word(word).load(Ordering::Relaxed))
}

/// One turn of a reader: a consistent pair, or nothing.
fn look(segment: &Segment, bug: Bug) {
    let sequence = segment.word(SEQUENCE);
    let before = sequence.load(Ordering::Acquire);
    if before & 1 != 0 {
        return;
    }
    let [first, second] = read(segment);
    if bug != Bug::NoFence {
        fence(Ordering::Acquire);
    }
    if sequence.load(Ordering::Relaxed) == before {
        assert_eq!(first, second, "torn for a reader");
        assert!(first >= before / 2, "older than its sequence");
    }
}

/// Takes the lock, reaping whoever died with it.
fn acquire(segment: &Segment, me: Me) -> Tried {
    let mut waiter = Waiter::new(segment, LOCK);
    loop {
        match lock::try_acquire(segment, LOCK, me, waiter.flags()).unwrap() {
            Tried::Held(_) => {
                if let WaitOutcome::Dead(dead) = waiter.wait(PROBE).unwrap() {
                    reap(segment, dead);
                }
            }
            tried => {
                waiter.acquired();
                return tried;
            }
        }
    }
}

fn reap(segment: &Segment, dead: Me) {
    recover::reap(segment, dead).unwrap();
}

/// Adds one to both words.
fn add(segment: &Segment, participant: &Participant, bug: Bug) {
    let mut waiter = Waiter::new(segment, LOCK);
    match bug {
        Bug::NoRecord => {
            acquire(segment, participant.me);
            for word in PAIR {
                let value = segment.word(word).load(Ordering::Relaxed);
                segment.word(word).store(value + 1, Ordering::Relaxed);
            }
            lock::release(segment, LOCK);
        }
        _ => loop {
            let stale = read(segment);
            let mut operation = Operation::begin(segment, participant, LOCK, waiter.flags());
            if operation.lock(LOCK).is_err() {
                operation.abandon();
                drop(operation);
                if let WaitOutcome::Dead(dead) = waiter.wait(PROBE).unwrap() {
                    reap(segment, dead);
                }
                continue;
            }
            waiter.acquired();
            for (word, stale) in PAIR.into_iter().zip(stale) {
                let now = match bug {
                    Bug::ReadsUnlocked => stale,
                    _ => operation.read(word),
                };
                operation.write(word, now + 1);
            }
            operation.sequence(SEQUENCE);
            operation.commit();
            return;
        },
    }
}

fn segment(writers: u64) -> Arc<Segment> {
    let words = (0..writers).flat_map(|slot| Segment::slot(slot, 2));
    Arc::new(Segment::new(words.chain([LOCK.0, SEQUENCE]).chain(PAIR)))
}

/// What must hold when nobody is inside: both words equal, the sequence even and in step.
fn settled(segment: &Segment, bug: Bug) -> u64 {
    let [first, second] = read(segment);
    assert_eq!(first, second, "half a change");
    if bug == Bug::None && !seed::seeded(seed::Bug::SequenceLeftOut) {
        let sequence = segment.word(SEQUENCE).load(Ordering::Relaxed);
        assert_eq!(sequence, 2 * first, "the sequence is out of step");
    }
    first
}

/// Two writers of whom the first dies after so many stores, and perhaps a reader.
fn write_and_read(reader: bool, stores: u64, bug: Bug) {
    let segment = segment(2);
    let [mortal, other] = [join(&segment, 0), join(&segment, 1)];
    let dead = mortal.me;
    let reader = reader.then(|| {
        let segment = segment.clone();
        thread::spawn(move || look(&segment, bug))
    });
    let writer = segment.clone();
    let writer = thread::spawn(move || writer.live(0, stores, || add(&writer, &mortal, bug)));
    segment.live(1, IMMORTAL, || add(&segment, &other, bug));
    let lived = writer.join().unwrap().is_some();
    if !lived {
        reap(&segment, dead);
    }
    let added = settled(&segment, bug);
    assert!(added == 2 || !lived && added == 1, "{added} of two adds");
    if let Some(reader) = reader {
        reader.join().unwrap();
    }
    for index in 0..slot::RECORD_COUNT {
        let commit = layout::thread_record(0, index) + record::COMMIT;
        let commit = segment.word(commit).load(Ordering::Relaxed);
        assert_eq!(commit & record::TO_REPLAY, 0);
    }
    segment.live(1, IMMORTAL, || add(&segment, &other, bug));
    assert_eq!(settled(&segment, bug), added + 1);
}

/// A writer dies after so many stores, its reaper after so many; then the next reaper comes,
/// all while another writer wants the lock.
fn reap_twice(stores: u64, reaper_stores: u64) {
    let bug = Bug::None;
    let segment = segment(2);
    let [mortal, other] = [join(&segment, 0), join(&segment, 1)];
    let dead = mortal.me;
    let lived = segment.live(0, stores, || add(&segment, &mortal, bug));
    if lived.is_none() {
        let writer = segment.clone();
        let writer = thread::spawn(move || add(&writer, &other, bug));
        segment.live(2, reaper_stores, || reap(&segment, dead));
        reap(&segment, dead);
        writer.join().unwrap();
        let added = settled(&segment, bug);
        assert!((1..=2).contains(&added), "{added} of two adds");
    }
}

/// Where a block is: with its taker, when it is free and when it is not, or in a queue. In this order
/// they are read.
const PLACES: [u64; 3] = [DATA, DATA + WORD, DATA + 2 * WORD];
const BLOCK: u64 = 1;

/// Takes the block from the queue, and frees it.
fn take_and_free(segment: &Segment, taker: &Participant) {
    let [free, taken, queue] = PLACES;
    for (from, to) in [(queue, taken), (taken, free)] {
        let mut operation = Operation::begin(segment, taker, LockWord::default(), 0);
        operation.write(from, 0);
        operation.write(to, BLOCK);
        operation.commit();
    }
}

fn places(segment: &Segment) -> Vec<u64> {
    let read = |&word: &u64| segment.word(word).load(Ordering::Relaxed);
    PLACES.iter().map(read).collect()
}

/// Reads all places twice, and judges if nothing happened from the first time to the second. True: so
/// it was.
fn judge(segment: &Segment, bug: Bug) -> bool {
    let read = || (Progress::read(segment), places(segment));
    let ((before, first), (after, second)) = (read(), read());
    let is_still = before == after && before.is_at_rest() || bug == Bug::ProgressIgnored;
    let is_quiet = is_still && first == second;
    if is_quiet {
        let owners = first.iter().filter(|&&place| place == BLOCK).count();
        assert_eq!(owners, 1, "a block with another number of owners");
    }
    is_quiet
}

/// A block is taken and freed by one who dies after so many stores and is reaped, beside one who reads.
fn change_hands(stores: u64, bug: Bug) {
    let segment = Arc::new(Segment::new(Segment::slot(0, 2).chain(PLACES)));
    let taker = join(&segment, 0);
    let dead = taker.me;
    segment.word(PLACES[2]).store(BLOCK, Ordering::Relaxed);
    let taking = segment.clone();
    let taking = thread::spawn(move || {
        let lived = taking.live(0, stores, || take_and_free(&taking, &taker));
        if lived.is_none() {
            reap(&taking, dead);
        }
    });
    judge(&segment, bug);
    taking.join().unwrap();
    assert!(judge(&segment, bug), "nobody is at work");
}

#[test]
fn a_block_changes_hands() {
    mortal::explore("a block changes hands", 4, || {
        change_hands(IMMORTAL, Bug::None);
    });
}

#[test]
fn a_block_changes_hands_of_one_who_dies() {
    let places = mortal::every_death(|stores| {
        let name = format!("a block changes hands, its taker dies after {stores} stores");
        mortal::explore(&name, 3, move || change_hands(stores, Bug::None));
    });
    assert!(places > 10, "{places} places to die");
}

#[test]
#[should_panic(expected = "a block with another number of owners")]
fn catches_records_that_are_not_counted() {
    let _seeded = seed::seed(seed::Bug::RecordsUncounted);
    mortal::explore("seed", 4, || change_hands(IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "a block with another number of owners")]
fn catches_equal_words_taken_for_a_moment() {
    mortal::explore("seed", 4, || change_hands(IMMORTAL, Bug::ProgressIgnored));
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn two_writers_and_a_reader() {
    mortal::explore("two writers, reader", 3, || {
        write_and_read(true, IMMORTAL, Bug::None);
    });
}

fn with_death(name: &str, reader: bool, preemptions: usize, bug: Bug) -> u64 {
    mortal::every_death(|stores| {
        let name = format!("{name}, one dies after {stores} stores");
        mortal::explore(&name, preemptions, move || {
            write_and_read(reader, stores, bug);
        });
    })
}

#[test]
fn one_of_two_writers_dies() {
    assert!(with_death("two writers", false, 4, Bug::None) > 10);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn one_of_two_writers_dies_beside_a_reader() {
    assert!(with_death("two writers, reader", true, 2, Bug::None) > 10);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn writer_and_reaper_die() {
    mortal::every_death(|stores| {
        mortal::every_second_death(|reaper_stores| {
            let name = format!("writer dies after {stores}, reaper after {reaper_stores} stores");
            mortal::explore(&name, 2, move || {
                reap_twice(stores, reaper_stores);
            });
        });
    });
}

#[test]
#[should_panic(expected = "half a change")]
fn catches_a_change_without_a_record() {
    with_death("seed", false, 2, Bug::NoRecord);
}

#[test]
#[should_panic(expected = "torn for a reader")]
fn catches_a_record_without_a_sequence() {
    let _seeded = seed::seed(seed::Bug::SequenceLeftOut);
    mortal::explore("seed", 2, || write_and_read(true, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "torn for a reader")]
fn catches_a_reader_without_a_fence() {
    mortal::explore("seed", 2, || write_and_read(true, IMMORTAL, Bug::NoFence));
}

#[test]
#[should_panic(expected = "out of step")]
fn catches_an_unlock_before_the_record_is_clear() {
    let _seeded = seed::seed(seed::Bug::UnlockBeforeClear);
    with_death("seed", false, 2, Bug::None);
}

#[test]
#[should_panic(expected = "out of step")]
fn catches_locks_freed_before_the_replay() {
    let _seeded = seed::seed(seed::Bug::GenerationBeforeReplay);
    mortal::every_death(|stores| {
        mortal::explore("seed", 2, move || reap_twice(stores, IMMORTAL));
    });
}

#[test]
#[should_panic(expected = "of two adds")]
fn catches_words_read_before_the_lock() {
    mortal::explore("seed", 3, || {
        write_and_read(false, IMMORTAL, Bug::ReadsUnlocked)
    });
}
