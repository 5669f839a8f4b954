//! The words of the protocol one by one: locks, event words, records, tables of rows.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::inside::journal::Record;
use courtyard_core::inside::rows::{self, Place};
use courtyard_core::layout::{self, record, superblock};
use courtyard_core::lock::{self, Tried, WaitOutcome, Waiter};
use courtyard_core::membership_cache::{MembershipCache, ObjectId};
use courtyard_core::object::{self, SCALAR};
use courtyard_core::offset::LockWord;
use courtyard_core::os::{self, Woken};
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::segment::Segment;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::wait;
use stage::{Folder, alone, caller, census, make, me};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

fn word(space: &Space, at: u64) -> u64 {
    space.segment.word(at).load(Ordering::Relaxed)
}

fn set(space: &Space, at: u64, value: u64) {
    space.segment.word(at).store(value, Ordering::Relaxed);
}

/// A waiter that is counted as starving.
fn starve(segment: &Segment, lock: LockWord) -> Waiter<'_> {
    let mut waiter = Waiter::new(segment, lock);
    while waiter.flags() & (lock::FIRST | lock::SECOND) == 0 {
        waiter.wait(Duration::from_millis(1)).unwrap();
    }
    waiter
}

#[test]
fn a_lock_word() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let lock = make(&space, SCALAR, 0).base.lock();
    let (mine, guest) = (me(&space).me, Participant::claim(segment, 9, false));
    let guest = guest.unwrap().unwrap();
    let acquire = |who, flags| lock::try_acquire(segment, lock, who, flags).unwrap();

    assert_eq!(acquire(guest.me, 0), Tried::Acquired);
    let held = word(&space, lock.0);
    assert!(lock::is_held_by(held, guest.me) && !lock::is_held_by(held, mine));
    assert_eq!(lock::owner(held).unwrap(), Some(guest.me));
    assert!(lock::is_held(segment, held).unwrap());
    assert_eq!(acquire(mine, 0), Tried::Held(held));
    assert_eq!(acquire(guest.me, 0), Tried::Held(held), "not recursive");
    // A waiter leaves its flag, is counted once it starves, and is let in before others.
    Waiter::new(segment, lock).wait(SHORT).unwrap();
    assert_eq!(word(&space, lock.0), held | lock::WAITERS);
    let mut waiter = starve(segment, lock);
    assert_eq!(waiter.wait(SHORT).unwrap(), WaitOutcome::TimedOut);
    assert_eq!(word(&space, lock.0), (held | lock::WAITERS) + lock::FIRST);
    lock::release(segment, lock);
    let kept = word(&space, lock.0);
    assert!(lock::is_free(kept) && kept != 0);
    assert_eq!(acquire(mine, 0), Tried::Held(kept));
    assert_eq!(acquire(mine, waiter.flags()), Tried::Acquired);
    waiter.acquired();
    lock::release(segment, lock);
    assert_eq!(word(&space, lock.0), 0);
    // One that gives up is not counted any more, and the lock is free.
    assert_eq!(acquire(guest.me, 0), Tried::Acquired);
    let waiter = starve(segment, lock);
    lock::release(segment, lock);
    drop(waiter);
    assert_eq!(word(&space, lock.0), 0);
    // A lock that is kept for who does not come may be taken by anybody, after a while.
    assert_eq!(acquire(guest.me, 0), Tried::Acquired);
    let late = starve(segment, lock);
    lock::release(segment, lock);
    assert!(matches!(acquire(mine, 0), Tried::Held(_)));
    os::pause(lock::PROBE + Duration::from_millis(5));
    assert_eq!(acquire(mine, 0), Tried::Acquired);
    lock::release(segment, lock);
    drop(late);
    assert_eq!(word(&space, lock.0), 0);
    assert_eq!(
        Waiter::new(segment, lock).wait(SHORT).unwrap(),
        WaitOutcome::Changed
    );

    // The holder dies: who waits there sees it, reaps it, and takes the lock over.
    assert_eq!(acquire(guest.me, 0), Tried::Acquired);
    let dead = guest.me;
    guest.release_anchor();
    assert_eq!(
        Waiter::new(segment, lock).wait(SHORT).unwrap(),
        WaitOutcome::Dead(dead)
    );
    assert!(matches!(acquire(mine, 0), Tried::Held(_)), "not reaped yet");
    assert!(recover::reap(segment, dead).unwrap());
    assert!(!lock::is_held(segment, word(&space, lock.0)).unwrap());
    assert_eq!(
        Waiter::new(segment, lock).wait(SHORT).unwrap(),
        WaitOutcome::Changed
    );
    assert_eq!(acquire(mine, 0), Tried::Recovered);
    let flags = lock::WAITERS | lock::RECOVERED;
    assert_eq!(word(&space, lock.0) & flags, flags);
    lock::release(segment, lock);
    assert_eq!(acquire(mine, 0), Tried::Acquired);
    assert_eq!(word(&space, lock.0) & flags, 0);
    lock::release(segment, lock);

    // Words that nobody wrote: a slot never used, one that does not exist.
    set(&space, lock.0, 500 << 16);
    assert_eq!(acquire(mine, 0), Tried::Recovered);
    set(&space, lock.0, 1500 << 16);
    assert!(lock::try_acquire(segment, lock, mine, 0).is_err());
    assert!(Waiter::new(segment, lock).wait(SHORT).is_err());
    set(&space, lock.0, 0);
}

/// Whoever joins while the last of a batch has the lock comes after the batch that waited meanwhile.
#[test]
fn a_batch_is_not_joined_again_before_the_other_is_served() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (segment, lock) = (&space.segment, make(&space, SCALAR, 0).base.lock());
    let mine = me(&space).me;
    let try_as = |waiter: &mut Waiter| {
        let tried = lock::try_acquire(segment, lock, mine, waiter.flags()).unwrap();
        if tried == Tried::Acquired {
            waiter.acquired();
        }
        tried
    };
    assert_eq!(try_as(&mut Waiter::new(segment, lock)), Tried::Acquired);
    let mut served = starve(segment, lock);
    let mut patient = starve(segment, lock);
    for turn in 0..4 {
        assert_ne!(served.flags(), patient.flags());
        lock::release(segment, lock);
        if try_as(&mut patient) == Tried::Acquired {
            assert!(turn <= 1);
            lock::release(segment, lock);
            assert_eq!(try_as(&mut served), Tried::Acquired);
            lock::release(segment, lock);
            assert_eq!(word(&space, lock.0), 0);
            return;
        }
        assert_eq!(try_as(&mut served), Tried::Acquired);
        served = starve(segment, lock);
    }
    panic!("it was overtaken again and again");
}

/// It is woken before it starves, and loses: then it sleeps for what is left until it does.
#[test]
fn a_waiter_that_is_woken_early_starves_in_time() {
    const MEMBERS: u64 = 31; // the most that a batch counts
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (segment, lock) = (&space.segment, make(&space, SCALAR, 0).base.lock());
    let mine = me(&space).me;
    let mut woken = 0;
    for _ in 0..50 {
        lock::try_acquire(segment, lock, mine, 0).unwrap();
        let mut waiter = Waiter::new(segment, lock);
        let start = Instant::now();
        let first = std::thread::scope(|scope| {
            scope.spawn(|| {
                while word(&space, lock.0) & lock::WAITERS == 0 {
                    std::thread::yield_now();
                }
                // Released and taken again, before the sleeper comes.
                lock::release(segment, lock);
                lock::try_acquire(segment, lock, mine, 0).unwrap();
            });
            waiter.wait(lock::PROBE).unwrap();
            start.elapsed()
        });
        if first < Duration::from_millis(3) {
            woken += 1;
            // It does not sleep for long before it has joined those that starve.
            let outcome = waiter.wait(lock::PROBE).unwrap();
            let members = (lock::FIRST | lock::SECOND) * MEMBERS;
            let joined = word(&space, lock.0) & members != 0;
            assert!(joined || outcome != WaitOutcome::TimedOut);
        }
        drop(waiter);
        lock::release(segment, lock);
    }
    assert!(woken > 0);
}

#[test]
fn an_event_word() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let event = make(&space, SCALAR, 0).base + object::EVENT;
    let seen = wait::observe(segment, event);
    // No waiter: a bump and no more.
    wait::notify(segment, event);
    assert_eq!(
        wait::version(wait::observe(segment, event)),
        wait::version(seen) + 1
    );
    // The word changed between observing and announcing.
    assert!(wait::prepare(segment, event, seen).is_none());
    let seen = wait::observe(segment, event);
    let flagged = wait::prepare(segment, event, seen).unwrap();
    assert_eq!(flagged, seen | wait::SLEEPER);
    assert_eq!(
        wait::prepare(segment, event, flagged),
        Some(flagged),
        "a second waiter"
    );
    assert_eq!(wait::sleep(segment, event, flagged, SHORT), Woken::TimedOut);
    wait::notify(segment, event);
    assert_eq!(wait::observe(segment, event) & wait::SLEEPER, 0);
    assert_eq!(
        wait::sleep(segment, event, flagged, wait::LOOK_AGAIN),
        Woken::Changed
    );
    // A flag for the bell rings it.
    let bell = wait::observe(segment, superblock::BELL);
    segment
        .word(event.0)
        .fetch_add(wait::BELL, Ordering::Relaxed);
    wait::notify(segment, event);
    assert_ne!(wait::observe(segment, superblock::BELL), bell);
    assert_eq!(wait::observe(segment, event) & wait::BELL, 0);

    // A sleeping thread is woken at once.
    let seen = wait::observe(segment, event);
    let flagged = wait::prepare(segment, event, seen).unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| wait::sleep(segment, event, flagged, Duration::from_secs(20)));
        wait::notify(segment, event);
    });
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_record_of_changes() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let made = make(&space, object::BYTES, 256);
    let at = made.base + object::PAYLOAD;
    let sequence = made.base + object::SEQUENCE;
    let base = me(&space).record(7);
    set(&space, at, 1);

    let mut changes = Record::new(segment, base);
    assert!(changes.is_empty());
    changes.write(at, 2);
    changes.write(at + 8, 3);
    changes.write(at, 4);
    assert_eq!(
        (
            changes.read(at),
            changes.read(at + 8),
            changes.read(at + 16)
        ),
        (4, 3, 0)
    );
    assert_eq!(word(&space, at), 1, "not before the commit");
    changes.sequence(sequence);
    changes.commit();
    assert_eq!((word(&space, at), word(&space, at + 8)), (4, 3));
    assert_eq!(word(&space, sequence), 2);
    assert_eq!(word(&space, base + record::COMMIT), record::CARRIED);

    // Written and not committed: forgotten.
    let mut changes = Record::new(segment, base);
    changes.write(at, 9);
    assert!(Record::replay(segment, base));
    assert_eq!(word(&space, at), 4);
    // Committed by one that died: applied, also if it was applied in part, also twice.
    let fill = |entries: &[(u64, u64)]| {
        for (index, (offset, value)) in entries.iter().enumerate() {
            let entry = base + record::ENTRIES + index as u64 * 16;
            set(&space, entry, *offset);
            set(&space, entry + 8, *value);
        }
        entries.len() as u64
    };
    for started in [false, true] {
        let count = fill(&[(at, 10), (at + 8, 11)]);
        let even = word(&space, sequence);
        set(&space, base + record::SEQUENCES, sequence);
        set(&space, base + record::SEQUENCES + 8, even);
        set(&space, base + record::COPY_FROM, at);
        set(&space, base + record::COPY_TO, at + 64);
        set(&space, base + record::COPY_LENGTH, 16);
        set(&space, base + record::COPY_COUNT, 1);
        if started {
            set(&space, sequence, even | 1);
            set(&space, at, 10);
        }
        let carried = word(&space, base + record::COMMIT);
        let committed = carried | record::committed(count, 1, 1, 0);
        set(&space, base + record::COMMIT, committed);
        assert!(Record::replay(segment, base));
        assert!(Record::replay(segment, base));
        let cleared = word(&space, base + record::COMMIT);
        assert_eq!(cleared, carried + record::CARRIED, "counted, and once");
        let words = [0, 8, 64, 72].map(|offset| word(&space, at + offset));
        assert_eq!(words, [10, 11, 10, 11]);
        assert_eq!(word(&space, sequence), even + 2);
        set(&space, at, 0);
    }

    // Entries that name what no record may name: none is applied, and the space says so.
    census(&space);
    let forbidden = [
        at + 4,
        0,
        superblock::MAGIC,
        superblock::SIZE,
        superblock::HEAP_LOCK.0,
        superblock::FIRST_FREE,
        superblock::NEXT_SERIAL,
        superblock::BELL.0,
        layout::slot_state(3),
        layout::drain_lock(3).0,
        layout::slot_record(3) + layout::slot::PROCESS_ID,
        layout::thread_record(3, 0) + record::COMMIT,
        layout::thread_record(3, 0) + record::ENTRIES,
        segment.size(),
        u64::MAX - 7,
    ];
    for wrong in forbidden {
        let count = fill(&[(at, 77), (wrong, 77)]);
        set(&space, base + record::COMMIT, count);
        assert!(!Record::replay(segment, base), "{wrong:#x}");
        assert_ne!(word(&space, at), 77, "{wrong:#x}");
        assert_eq!(word(&space, base + record::COMMIT), record::CARRIED);
    }
    // Copies to or from where none may go, or so long that nobody would see their end.
    let far = segment.size();
    for (from, to, length, count, stride) in [
        (at, 0, 8, 1, 8),
        (0, at, 8, 1, 8),
        (at, far - 8, 16, 1, 16),
        (at, at + 64, 0, u64::MAX, 0),
        (at, at + 64, 8, 3, u64::MAX / 2),
        (at, at + 64, u64::MAX, 1, 0),
        (at, at + 64, 1 << 40, 1 << 40, 0),
        (u64::MAX, at, 8, 1, 8),
        (at, superblock::SIZE, 8, 1, 8),
    ] {
        set(&space, base + record::COPY_FROM, from);
        set(&space, base + record::COPY_TO, to);
        set(&space, base + record::COPY_LENGTH, length);
        set(&space, base + record::COPY_COUNT, count);
        set(&space, base + record::COPY_STRIDE, stride);
        set(&space, base + record::COMMIT, record::committed(0, 0, 1, 0));
        assert!(!Record::replay(segment, base), "{from:#x} to {to:#x}");
    }
    for commit in [
        record::committed(65, 0, 0, 0),
        record::committed(0, 5, 0, 0),
        record::committed(0, 9, 0, 0),
        u64::MAX,
    ] {
        set(&space, base + record::COMMIT, commit);
        assert!(!Record::replay(segment, base), "{commit:#x}");
    }
    // The count of those that were carried through starts again at 0.
    assert_eq!(word(&space, base + record::COMMIT), 0);
    assert!(courtyard_core::check::check(&space, &unlimited).is_err());
}

#[test]
fn a_record_that_chains() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let at = make(&space, object::BYTES, 4096).base + object::PAYLOAD;
    let chain = make(&space, object::BYTES, 4096).base + object::PAYLOAD;
    let base = me(&space).record(7);
    let (most, more) = (record::ENTRY_PAIRS, 40);

    let mut changes = Record::new(segment, base);
    changes.chain(chain, more, more).unwrap();
    for number in (0..most + more).rev() {
        changes.write(at + number * 8, number);
    }
    changes.write(at, 7);
    changes.write(at + (most + more - 1) * 8, 8);
    assert_eq!((changes.read(at), changes.read(at + 8)), (7, 1));
    assert_eq!(word(&space, at), 0, "not before the commit");
    changes.commit();
    let words = |space| {
        (0..most + more)
            .map(|number| word(space, at + number * 8))
            .collect()
    };
    let mut expected: Vec<u64> = (0..most + more).collect();
    (expected[0], expected[(most + more - 1) as usize]) = (7, 8);
    let found: Vec<u64> = words(&space);
    assert_eq!(found, expected);

    // Committed by one that died: applied, both parts.
    let fill = |value: u64| {
        for index in 0..most + more {
            let entry = match index.checked_sub(most) {
                None => base + record::ENTRIES + index * 16,
                Some(beyond) => chain + beyond * 16,
            };
            set(&space, entry, at + index * 8);
            set(&space, entry + 8, value);
        }
        set(&space, base + record::CHAIN, chain);
        let committed = record::committed(most, 0, 0, more);
        set(&space, base + record::COMMIT, committed);
    };
    fill(77);
    assert!(Record::replay(segment, base));
    assert!(Record::replay(segment, base));
    let found: Vec<u64> = words(&space);
    assert!(found.iter().all(|&word| word == 77), "{found:?}");
    census(&space);

    // A chain where none may be, of more than there is room for, behind a record that is not full,
    // or with an entry that names what none may name: nothing is applied, and the space says so.
    let far = segment.size();
    let dropped = |wrong: &str, at_word: u64, value: u64| {
        fill(78);
        set(&space, at_word, value);
        assert!(!Record::replay(segment, base), "{wrong}: {value:#x}");
        let left = word(&space, base + record::COMMIT) & record::TO_REPLAY;
        assert_eq!(left, 0, "{wrong}");
        let found: Vec<u64> = words(&space);
        assert!(found.iter().all(|&word| word == 77), "{wrong}: {value:#x}");
        assert_eq!(word(&space, superblock::DAMAGED), base, "{wrong}");
        set(&space, superblock::DAMAGED, 0);
    };
    for place in [
        0,
        chain + 4,
        superblock::OBJECTS,
        base,
        far - 16,
        far,
        u64::MAX - 7,
    ] {
        dropped("a chain elsewhere", base + record::CHAIN, place);
    }
    for (here, chained) in [
        (most, far / 16),
        (most, record::MOST_CHAINED),
        (most - 1, more),
        (most - 30, more),
        (0, more),
        (most + 1, more),
        (127, more),
    ] {
        dropped(
            "too many, or too few",
            base + record::COMMIT,
            record::committed(here, 0, 0, chained),
        );
    }
    for wrong in [at + 4, 0, superblock::SIZE, layout::slot_state(3), far] {
        dropped("an entry", chain + (more - 1) * 16, wrong);
    }
}

#[test]
fn rows_of_a_table() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    make(&space, SCALAR, 0);
    let segment = &space.segment;
    let head = superblock::TICKETS;
    let place = |row| rows::place(segment, head, row, 32);
    assert!(matches!(place(0), Ok(Place::Missing(0))));
    assert!(matches!(place(64), Ok(Place::Missing(1))));
    assert!(matches!(place(64 + 128), Ok(Place::Missing(2))));
    assert!(place(u64::MAX).is_err());
    let extend = |part| rows::extend(caller(&space), head, part, 32);
    // Rows are dealt in turn: none of segment 20, some gigabytes, before those of segment 1.
    assert!(matches!(extend(1), Err(Error::Corrupt(_))));
    extend(0).unwrap();
    assert!(matches!(extend(20), Err(Error::Corrupt(_))));
    extend(1).unwrap();
    extend(1).unwrap(); // it is there by now
    let mut seen = Vec::new();
    for (row, at) in rows::each(segment, head, 32).unwrap() {
        assert!(matches!(place(row), Ok(Place::At(there)) if there == at));
        assert_eq!(word(&space, at), 0);
        seen.push(row);
    }
    assert_eq!(seen, (0..64 + 128).collect::<Vec<u64>>());
    assert!(matches!(place(64 + 128), Ok(Place::Missing(2))));
    census(&space);
}

#[test]
fn the_membership_cache() {
    let membership_cache = MembershipCache::default();
    let id = |row| ObjectId {
        row,
        serial: row + 100,
    };
    let rows: Vec<u64> = (0..3).map(|_| membership_cache.reserve()).collect();
    assert_eq!(rows, [0, 1, 2]);
    membership_cache.hold(0, id(5));
    membership_cache.hold(2, id(6));
    membership_cache.forget(1);
    assert_eq!(membership_cache.all(), [(0, id(5)), (2, id(6))]);
    assert!(membership_cache.holds(0, id(5)) && !membership_cache.holds(0, id(6)));
    assert!(!membership_cache.holds(1, id(5)) && !membership_cache.holds(99, id(5)));
    assert_eq!(membership_cache.reserve(), 1);
    let changes = membership_cache.changes();
    membership_cache.hold(1, id(7));
    assert_ne!(membership_cache.changes(), changes);
    // Many rows, and those given back come again before more are used.
    let many: Vec<u64> = (0..1000).map(|_| membership_cache.reserve()).collect();
    assert_eq!(many, (3..1003).collect::<Vec<u64>>());
    for row in many.iter().copied().filter(|row| row % 7 == 0) {
        membership_cache.forget(row);
    }
    let again = (0..many.len() / 7 + 2)
        .map(|_| membership_cache.reserve())
        .max();
    assert_eq!(again, Some(1003));
}
