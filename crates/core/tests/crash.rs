//! A process dies at every named point of every operation; who comes after finds the old value or
//! the new one, nothing leaked, and nobody left asleep.

mod stage;

use courtyard_core::census::Census;
use courtyard_core::condition::{self, Waiter};
use courtyard_core::holding::Row;
use courtyard_core::inside::crash::{self, POINTS};
use courtyard_core::inside::pin::Pin;
use courtyard_core::inside::rows::{self, Place};
use courtyard_core::layout::{RESERVED_SLOT, superblock};
use courtyard_core::object::{self, BYTES, CONDITION, MUTEX, SCALAR, STORED};
use courtyard_core::offset::{EventWord, Object};
use courtyard_core::participant::{FREE, Participant, State};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{directory, fork, lock, wait};
use stage::{
    End, Folder, Made, add, add_fast, alone, attach, caller, census, crashes, get, leave, make, me,
    put, read, spawn, take, write, writer,
};

/// Figures that must be the same before and after.
fn figures(census: Census) -> [u64; 5] {
    [
        census.objects,
        census.tickets,
        census.participants,
        census.live_blocks,
        census.used,
    ]
}

/// A space whose tables need not grow during a test.
fn warm_space(folder: &Folder) -> Space {
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let ticket = directory::send(caller(&space), made.id).unwrap();
    let row = directory::receive(caller(&space), made.id, ticket);
    directory::leave(caller(&space), row.unwrap()).unwrap();
    leave(&space, made);
    space
}

/// Kills `body` at each point, the 0th time it comes there, the 1st, and so on; `after` looks.
/// Returns how often it died.
fn die_everywhere(before: impl Fn(), body: impl Fn(), after: impl Fn(&str)) -> u32 {
    let mut deaths = 0;
    for &point in POINTS {
        let mut skip = 0;
        loop {
            before();
            let died = crashes(point, skip, &body);
            after(&format!("{point} {skip}"));
            if !died {
                break;
            }
            deaths += 1;
            skip += 1 + skip / 8;
        }
    }
    deaths
}

/// Runs one operation of a newcomer to death, everywhere; figures must be as before.
fn operation_dies(space: &Space, before: impl Fn(), body: impl Fn(&Space), after: impl Fn(&str)) {
    before();
    let expected = figures(census(space));
    let deaths = die_everywhere(
        before,
        || {
            // What is armed counts from here on: registering has a test of its own.
            body(space);
        },
        |at| {
            let now = courtyard_core::check::check(space, &unlimited);
            assert_eq!(
                figures(now.unwrap_or_else(|e| panic!("{at}: {e}"))),
                expected,
                "{at}"
            );
            after(at);
        },
    );
    assert!(deaths > 5, "{deaths} deaths");
}

fn as_newcomer(space: &Space, body: impl Fn(&Space)) {
    let newcomer = attach(space);
    body(&newcomer);
}

#[test]
fn creating_and_leaving() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    for (kind, length) in [(SCALAR, 0), (BYTES, 1000), (BYTES, 50_000), (STORED, 0)] {
        operation_dies(
            &space,
            || {},
            |space| {
                as_newcomer(space, |space| {
                    let made = make(space, kind, length);
                    if kind == STORED {
                        put(space, made, &[1; 100]);
                    }
                    leave(space, made);
                });
            },
            |_| {},
        );
    }
}

/// A process that ends by itself gives all back and is no participant; one that dies on the way is drained.
#[test]
fn giving_the_slot_back() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let mutex = make(&space, MUTEX, 0);
    let is_done = std::cell::Cell::new(false);
    operation_dies(
        &space,
        || {},
        |space| {
            as_newcomer(space, |space| {
                make(space, BYTES, 50_000);
                let stored = make(space, STORED, 0);
                put(space, stored, &[1; 100]);
                lock::try_acquire(&space.segment, mutex.base.lock(), me(space).me, 0).unwrap();
                let slot = me(space).me.slot;
                assert!(courtyard_core::leave(space, &unlimited).unwrap());
                assert!(space.registered().is_null());
                assert_eq!(State::read(&space.segment, slot).state, FREE);
            });
        },
        |at| {
            take_and_give(&space, mutex.base, at);
            is_done.set(true);
        },
    );
    assert!(is_done.get());
}

fn take_and_give(space: &Space, mutex: Object, at: &str) {
    let tried = lock::try_acquire(&space.segment, mutex.lock(), me(space).me, 0);
    assert!(!matches!(tried, Ok(lock::Tried::Held(_)) | Err(_)), "{at}");
    lock::release(&space.segment, mutex.lock());
}

/// Announces a waiter; afterwards it must have been told if the value changed.
struct Watch {
    event: EventWord,
    flagged: u64,
}

impl Watch {
    fn new(space: &Space, made: Made) -> Watch {
        let event = made.base + object::EVENT;
        let observed = wait::observe(&space.segment, event);
        let flagged = wait::prepare(&space.segment, event, observed).unwrap();
        Watch { event, flagged }
    }

    fn was_woken(&self, space: &Space) -> bool {
        let now = wait::observe(&space.segment, self.event);
        now != self.flagged && now & wait::SLEEPER == 0
    }
}

#[test]
fn changing_a_scalar() {
    scalar_change_dies(|space, made| assert!(add(space, made, 1) > 0));
}

#[test]
fn changing_a_scalar_by_the_fast_path() {
    scalar_change_dies(|space, made| {
        // The word of a dead holder may stand in the way until somebody reaps it.
        if !add_fast(space, made, 1) {
            add(space, made, 1);
        }
    });
}

fn scalar_change_dies(change: impl Fn(&Space, Made)) {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, SCALAR, 0);
    let watch = std::cell::Cell::new(None);
    operation_dies(
        &space,
        || {
            let word = space.segment.word(made.base + object::DATA);
            word.store(7, Ordering::Relaxed);
            watch.set(Some(Watch::new(&space, made)));
        },
        |space| as_newcomer(space, |space| change(space, made)),
        |at| {
            let value = get(&space, made);
            assert!(value == 7 || value == 8, "{at}: {value}");
            let woken = watch.take().unwrap().was_woken(&space);
            assert!(woken || value == 7, "{at}: nobody was woken");
            add(&space, made, 1); // the lock is free
        },
    );
}

/// A notifier that dies on its way from the change to the wake has notified wholly, or not at all.
#[test]
fn notifying_a_condition() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, CONDITION, condition::LENGTH);
    let row = Row::reserve(caller(&space)).unwrap();
    let waiter = Waiter {
        object: made.base,
        id: made.id,
        row,
    };
    let watch = std::cell::Cell::new(None);
    let leave = || condition::leave(caller(&space), waiter).unwrap();
    operation_dies(
        &space,
        || {
            if watch.take().is_some() {
                leave();
            }
            condition::enter(caller(&space), waiter).unwrap();
            watch.set(Some(Watch::new(&space, made)));
        },
        |space| {
            as_newcomer(space, |space| {
                condition::notify(caller(space), made.base, 1).unwrap();
            });
        },
        |at| {
            let woken = watch.take().unwrap().was_woken(&space);
            assert!(leave() <= woken, "{at}: notified, but nobody was woken");
        },
    );
}

#[test]
fn writing_bytes() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, BYTES, 5000);
    for length in [100, 5000] {
        let (old, new) = (vec![1u8; length], vec![2u8; length]);
        let watch = std::cell::Cell::new(None);
        operation_dies(
            &space,
            || {
                write(&space, made, &old);
                watch.set(Some(Watch::new(&space, made)));
            },
            |space| as_newcomer(space, |space| write(space, made, &new)),
            |at| {
                let value = read(&space, made, length);
                assert!(value == old || value == new, "{at}: torn");
                let woken = watch.take().unwrap().was_woken(&space);
                assert!(woken || value == old, "{at}: nobody was woken");
            },
        );
    }
}

#[test]
fn storing_objects() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, STORED, 0);
    let sizes = [0, 100, 50_000];
    for (from, to) in sizes.iter().flat_map(|from| sizes.map(|to| (*from, to))) {
        let (old, new) = (vec![1u8; from], vec![2u8; to]);
        let watch = std::cell::Cell::new(None);
        put(&space, made, &new);
        let of_new = figures(census(&space));
        put(&space, made, &old);
        let of_old = figures(census(&space));
        die_everywhere(
            || {
                put(&space, made, &old);
                watch.set(Some(Watch::new(&space, made)));
            },
            || as_newcomer(&space, |space| put(space, made, &new)),
            |at| {
                let now = figures(census(&space));
                let value = take(&space, made);
                if value == new {
                    assert_eq!(now, of_new, "{from} to {to}, {at}");
                } else {
                    assert!(value == old, "{from} to {to}, {at}: torn");
                    assert_eq!(now, of_old, "{from} to {to}, {at}");
                }
                let woken = watch.take().unwrap().was_woken(&space);
                assert!(woken || value == old, "{at}: nobody was woken");
            },
        );
    }
}

#[test]
fn replacing_what_is_pinned() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, STORED, 0);
    put(&space, made, &[1; 50_000]);
    operation_dies(
        &space,
        || put(&space, made, &[1; 50_000]),
        |space| {
            let newcomer = attach(space);
            let block = get(&newcomer, made);
            let pin = Pin::new(&newcomer, me(&newcomer), block, || true);
            put(&newcomer, made, &[2; 50_000]);
            drop(pin);
        },
        |at| assert_eq!(take(&space, made).len(), 50_000, "{at}"),
    );
    // Pinned by one that lives on: the block stays until it lets go.
    put(&space, made, &[1; 50_000]);
    let before = census(&space);
    let pin = Pin::new(&space, me(&space), get(&space, made), || true).unwrap();
    let child = spawn(|| as_newcomer(&space, |space| put(space, made, &[2; 50_000])));
    assert_eq!(child.wait(), End::Done);
    assert_eq!(census(&space).used, before.used + (64 << 10));
    drop(pin);
    assert_eq!(census(&space), before);
}

#[test]
fn filling_and_emptying_magazines() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    operation_dies(
        &space,
        || {},
        |space| {
            as_newcomer(space, |space| {
                let made: Vec<_> = (0..14).map(|_| make(space, BYTES, 6000)).collect();
                made.into_iter().for_each(|made| leave(space, made));
            });
        },
        |_| {},
    );
}

#[test]
fn growing_the_tables() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let kept: Vec<_> = (0..64).map(|_| make(&space, SCALAR, 0)).collect();
    let before = figures(census(&space));
    die_everywhere(
        || {},
        || as_newcomer(&space, |space| leave(space, make(space, SCALAR, 0))),
        |at| {
            let now = figures(census(&space));
            assert_eq!(now[..3], before[..3], "{at}");
            assert!(now[3] <= before[3] + 1, "{at}: {now:?} {before:?}");
        },
    );
    kept.into_iter().for_each(|made| leave(&space, made));
    assert_eq!(census(&space).objects, 0);
}

/// Lets the tickets of the dead run out at once.
fn expire(space: &Space) {
    census(space); // sets their deadlines
    for row in 0..64 {
        let place = rows::place(&space.segment, superblock::TICKETS, row, 32);
        let Ok(Place::At(ticket)) = place else { break };
        let deadline = space.segment.word(ticket + 24);
        if deadline.load(Ordering::Relaxed) != 0 {
            deadline.store(1, Ordering::Relaxed);
        }
    }
    census(space);
}

#[test]
fn sending_and_receiving() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, SCALAR, 0);
    let before = figures(census(&space));
    let deaths = die_everywhere(
        || {},
        || {
            as_newcomer(&space, |space| {
                let id = made.id;
                let ticket = directory::send(caller(space), id).unwrap();
                let row = directory::receive(caller(space), id, ticket);
                directory::leave(caller(space), row.unwrap()).unwrap();
            });
        },
        |at| {
            expire(&space);
            assert_eq!(figures(census(&space)), before, "{at}");
        },
    );
    assert!(deaths > 20);
    // While the sender lives its ticket does not run out.
    let ticket = directory::send(caller(&space), made.id).unwrap();
    expire(&space);
    assert_eq!(census(&space).tickets, 1);
    leave(&space, made);
    let row = directory::receive(caller(&space), made.id, ticket);
    directory::leave(caller(&space), row.unwrap()).unwrap();
    assert_eq!(census(&space).objects, 0);
}

/// Dies holding objects, blocks, a lock, a ticket, and a record committed but not applied.
fn victim(space: &Space, made: [Made; 2]) {
    let child = spawn(|| {
        let space = attach(space);
        let me = me(&space);
        for length in [0, 100, 50_000] {
            make(&space, BYTES, length);
        }
        let stored = make(&space, STORED, 0);
        put(&space, stored, &[1; 300]);
        put(&space, stored, &[1; 50_000]);
        for length in [10, 70_000] {
            std::mem::forget(PendingBlock::allocate(caller(&space), length, 9));
        }
        let block = get(&space, stored);
        std::mem::forget(Pin::new(&space, me, block, || true));
        put(&space, stored, &[2; 50_000]); // retired, as we pin it ourselves
        lock::try_acquire(&space.segment, made[0].base.lock(), me.me, 0).unwrap();
        crash::arm("journal.committed", 0);
        write(&space, made[1], &[9; 100]);
    });
    assert_eq!(child.wait(), End::Killed);
}

#[test]
fn the_reaper_and_the_drainer() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = [make(&space, MUTEX, 0), make(&space, BYTES, 100)];
    let before = figures(census(&space));
    let deaths = die_everywhere(
        || {
            write(&space, made[1], &[1; 100]);
            victim(&space, made);
        },
        || as_newcomer(&space, |space| space.sweep(&unlimited).unwrap()),
        |at| {
            assert_eq!(figures(census(&space)), before, "{at}");
            assert_eq!(read(&space, made[1], 100), [9; 100], "{at}");
            let segment = &space.segment;
            let tried = lock::try_acquire(segment, made[0].base.lock(), me(&space).me, 0);
            assert_eq!(tried.unwrap(), lock::Tried::Recovered, "{at}");
            lock::release(segment, made[0].base.lock());
        },
    );
    assert!(deaths > 50, "{deaths} deaths");
}

#[test]
fn the_guest_in_the_reserved_slot() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = [make(&space, MUTEX, 0), make(&space, BYTES, 100)];
    let before = census(&space);
    let guests: Vec<Participant> = (2..RESERVED_SLOT)
        .map(|slot| {
            let guest = Participant::claim(&space.segment, slot, false);
            guest.unwrap().unwrap()
        })
        .collect();
    let full = figures(census(&space));
    let deaths = die_everywhere(
        || victim(&space, made),
        || as_newcomer(&space, |_| {}),
        |at| assert_eq!(figures(census(&space)), full, "{at}"),
    );
    assert!(deaths > 50, "{deaths} deaths");
    guests.into_iter().for_each(Participant::release_anchor);
    assert_eq!(figures(census(&space)), figures(before));
}

#[test]
fn registering_and_leaving_an_heir() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    operation_dies(
        &space,
        || {},
        |space| {
            as_newcomer(space, |space| {
                make(space, SCALAR, 0);
                make(space, BYTES, 50_000);
                let reservation = fork::before(space).unwrap().unwrap();
                fork::after_in_parent(reservation);
            });
        },
        |_| {},
    );
}

#[test]
fn a_sleeper_is_woken_when_its_waker_dies() {
    let _alone = alone();
    let folder = Folder::new();
    let space = warm_space(&folder);
    let made = make(&space, SCALAR, 0);
    let points = [
        "object.stored",
        "operation.unlocked",
        "wait.bumped",
        "wait.cleared",
        "operation.notified",
    ];
    for point in points {
        let start = get(&space, made);
        let event = made.base + object::EVENT;
        let sleeper = spawn(|| {
            // Nothing of the sleeper's own ends its sleep: a lost wake is an alarm.
            loop {
                let seen = wait::observe(&space.segment, event);
                if get(&space, made) != start {
                    break;
                }
                if let Some(flagged) = wait::prepare(&space.segment, event, seen) {
                    wait::sleep(
                        &space.segment,
                        event,
                        flagged,
                        std::time::Duration::from_secs(99),
                    );
                }
            }
        });
        stage::until("it sleeps", || {
            wait::observe(&space.segment, event) & wait::SLEEPER != 0
        });
        assert!(crashes(point, 0, || as_newcomer(&space, |space| {
            add(space, made, 1);
        })));
        space.sweep(&unlimited).unwrap();
        assert_eq!(sleeper.wait(), End::Done, "{point}");
        assert_eq!(get(&space, made), start + 1);
        let _ = writer(made);
    }
}
