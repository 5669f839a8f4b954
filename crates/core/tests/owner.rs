//! Owners of locks whose end is hard to see, and reapers that hold locks themselves.

mod stage;

use courtyard_core::inside::crash::{self, POINTS};
use courtyard_core::inside::rows::{self, Place};
use courtyard_core::layout::superblock;
use courtyard_core::lock::{self, Tried};
use courtyard_core::object::{BYTES, DATA, MUTEX, SCALAR, STORED};
use courtyard_core::participant::{FREE, LIVE, Me, State};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{directory, fork, mutex, recover};
use stage::{
    Child, End, Folder, Made, alone, attach, caller, census, get, held, leave_now, live, make, me,
    put, read, spawn, until, write,
};

fn acquire(space: &Space, made: Made) -> Tried {
    let (me, mut waiting) = (me(space).me, 0);
    loop {
        match lock::try_acquire(&space.segment, made.base.lock(), me, waiting).unwrap() {
            Tried::Held(_) => {
                waiting = lock::WAITERS;
                caller(space).wait_for(made.base.lock()).unwrap();
            }
            acquired => return acquired,
        }
    }
}

fn release(space: &Space, made: Made) {
    lock::release(&space.segment, made.base.lock());
}

fn is_mine(space: &Space, made: Made) -> bool {
    let word = space.segment.word(made.base.0).load(Ordering::Relaxed);
    lock::is_held_by(word, me(space).me)
}

fn pause() -> ! {
    loop {
        // SAFETY: returns when a signal came; the alarm ends us.
        unsafe { libc::pause() };
    }
}

/// Dies with a lock, an object, blocks, and a record committed but not applied.
fn die_holding(space: &Space, mutex: Made, bytes: Made) {
    let child = spawn(|| {
        let space = attach(space);
        make(&space, BYTES, 50_000);
        put(&space, make(&space, STORED, 0), &[1; 300]);
        acquire(&space, mutex);
        crash::arm("journal.committed", 0);
        write(&space, bytes, &[9; 100]);
    });
    assert_eq!(child.wait(), End::Killed);
}

/// Processes wait for the lock of a dead one while they hold others, recover it, and die of that
/// at each step; who waits for theirs recovers them in turn. All get what they wait for, nobody
/// gets what is held, and what the first had committed is done.
#[test]
fn reapers_that_hold_other_locks() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let [first, second] = [MUTEX, SCALAR].map(|kind| make(&space, kind, 0));
    let (theirs, own) = (make(&space, MUTEX, 0), make(&space, MUTEX, 0));
    let (bytes, turn) = (make(&space, BYTES, 100), make(&space, SCALAR, 0));
    let set = |value| {
        let word = space.segment.word(turn.base + DATA);
        word.store(value, Ordering::Release);
    };
    // Newcomers tidy up, so all are there before the first of them dies.
    let reaper = |number: u64, step: &'static str, skip, holds: &[Made], wants: &[Made]| {
        spawn(|| {
            let space = attach(&space);
            for made in holds {
                acquire(&space, *made);
            }
            until("the one before is here", || get(&space, turn) == number);
            add_to(&space, turn);
            until("the one before is dead", || {
                get(&space, turn) >= DEATHS + number
            });
            crash::arm(step, skip);
            for made in wants {
                acquire(&space, *made);
            }
            space.sweep(&unlimited).unwrap();
            for made in holds.iter().chain(wants) {
                assert!(is_mine(&space, *made));
                release(&space, *made);
            }
        })
    };
    let before = held(&space);
    let mut deaths = [0; 2];
    for step in STEPS {
        assert!(POINTS.contains(&step), "{step}");
        let mut skip = 0;
        loop {
            let at = format!("{step} {skip}");
            write(&space, bytes, &[1; 100]);
            set(0);
            let one = reaper(0, step, skip, &[first, second], &[theirs]);
            let two = reaper(1, step, skip / 2, &[own], &[first, second, theirs]);
            until("both are here", || get(&space, turn) == 2);
            die_holding(&space, theirs, bytes);
            set(DEATHS);
            let ends = [one.wait(), {
                set(DEATHS + 1);
                two.wait()
            }];
            for (end, deaths) in ends.iter().zip(&mut deaths) {
                assert!(matches!(end, End::Done | End::Killed), "{at}: {end:?}");
                *deaths += u32::from(*end == End::Killed);
            }
            for made in [own, first, second, theirs] {
                acquire(&space, made);
                release(&space, made);
            }
            assert_eq!(read(&space, bytes, 100), [9; 100], "{at}");
            assert_eq!(held(&space), before, "{at}");
            if ends[0] == End::Done {
                break;
            }
            skip += 1 + skip / 4;
        }
    }
    assert!(deaths[0] > 20 && deaths[1] > 10, "{deaths:?}");
}

const STEPS: [&str; 8] = [
    "recover.replayed",
    "recover.repeated",
    "recover.advanced",
    "drain.locked",
    "drain.freed",
    "journal.committed",
    "journal.applied",
    "operation.unlocked",
];
/// The turn from which on the processes look after the dead.
const DEATHS: u64 = 10;

fn add_to(space: &Space, made: Made) {
    let word = space.segment.word(made.base + DATA);
    word.fetch_add(1, Ordering::AcqRel);
}

/// What a slot's word says, before anybody has it.
fn start_at(space: &Space, slot: u64, generation: u32) {
    assert_eq!(State::read(&space.segment, slot).state, FREE);
    State::write(&space.segment, slot, FREE, generation);
}

/// The deadline of a ticket: 0 while its sender lives.
fn deadline(space: &Space, ticket: directory::Ticket) -> u64 {
    match rows::place(&space.segment, superblock::TICKETS, ticket.row, 32).unwrap() {
        Place::At(at) => space.segment.word(at + 24).load(Ordering::Relaxed),
        Place::Missing(_) => panic!("no such ticket"),
    }
}

/// Holders, reservations, senders and drainers of the last generations of a slot, and of the first.
#[test]
fn generations_wrap() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let [mutex, untouched] = [make(&space, MUTEX, 0), make(&space, MUTEX, 0)];
    let bytes = make(&space, BYTES, 100);
    let before = held(&space);
    let slot = 1; // the first free one: whoever comes next takes it
    start_at(&space, slot, u32::MAX - 2);
    let mut expected = u32::MAX - 2;
    for round in 0..6 {
        // One that is killed, with everything that names a generation.
        die_holding(&space, mutex, bytes);
        let state = State::read(segment, slot);
        assert_eq!(
            (state.state, state.generation),
            (LIVE, expected),
            "round {round}"
        );
        assert_eq!(acquire(&space, mutex), Tried::Recovered);
        release(&space, mutex);
        expected = expected.wrapping_add(1);
        assert_eq!(State::read(segment, slot).generation, expected);
        assert_eq!(held(&space), before, "round {round}");
        assert_eq!(read(&space, bytes, 100), [9; 100]);
        write(&space, bytes, &[1; 100]);
        // A child reservation that lives, holds, and is not taken for a dead one.
        let reservation = fork::before(&space).unwrap().unwrap();
        // SAFETY: the child takes its place and waits; the tests that fork run one at a time.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            live();
            fork::after_in_child(&space, reservation).unwrap();
            assert_eq!(
                (me(&space).me.slot, me(&space).me.generation),
                (slot, expected)
            );
            // The lock of a generation past, which nobody else has wanted since.
            let tried = acquire(&space, untouched);
            if round == 0 || tried == Tried::Recovered {
                pause();
            }
            leave_now(1);
        }
        fork::after_in_parent(reservation);
        let child = Child(pid);
        until("the reservation holds a lock", || {
            mutex::is_locked(segment, untouched.base).unwrap()
        });
        assert!(
            !recover::reap(
                segment,
                Me {
                    slot,
                    generation: expected
                }
            )
            .unwrap()
        );
        let past = Me {
            slot,
            generation: expected.wrapping_sub(1),
        };
        assert!(!recover::reap(segment, past).unwrap());
        space.sweep(&unlimited).unwrap();
        let seen = lock::try_acquire(segment, untouched.base.lock(), me(&space).me, 0).unwrap();
        assert!(matches!(seen, Tried::Held(_)), "round {round}: {seen:?}");
        child.kill();
        assert_eq!(child.wait(), End::Killed);
        space.sweep(&unlimited).unwrap();
        expected = expected.wrapping_add(1);
        assert!(!mutex::is_locked(segment, untouched.base).unwrap());
    }
    assert_eq!(expected, 9);
    assert_eq!(held(&space), before);
}

/// A pickle's sender of the last generation lives, then does not.
#[test]
fn a_sender_of_the_last_generation() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    for generation in [u32::MAX, 0] {
        if generation == u32::MAX {
            start_at(&space, 1, generation);
        }
        let guest = attach(&space);
        assert_eq!(
            (me(&guest).me.slot, me(&guest).me.generation),
            (1, generation)
        );
        let ticket = directory::send(caller(&guest), made.id).unwrap();
        space.sweep(&unlimited).unwrap();
        assert_eq!(deadline(&space, ticket), 0);
        guest.discard(); // its slot is dead
        space.sweep(&unlimited).unwrap();
        assert_ne!(deadline(&space, ticket), 0);
        let row = directory::receive(caller(&space), made.id, ticket);
        directory::leave(caller(&space), row.unwrap()).unwrap();
        assert_eq!(census(&space).tickets, 0);
    }
}
