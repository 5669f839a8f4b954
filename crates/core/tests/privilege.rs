//! Processes that may not open the file any more: their slots, their children's, and those of the dead.

mod stage;

use courtyard_core::lock::{self, Tried};
use courtyard_core::object::{MUTEX, SCALAR};
use courtyard_core::os::fault;
use courtyard_core::participant::{LIVE, Right, State, is_alive};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::{folder, fork, recover};
use stage::{
    Child, End, Folder, Made, add, alone, attach, caller, census, get, held, leave_now, live, make,
    me, spawn, until,
};
use std::time::Instant;

/// As after a `setuid`: what is open stays open, nothing is opened.
fn give_up() {
    fault::arm("open", 0, libc::EACCES, true);
}

fn pause() -> ! {
    loop {
        // SAFETY: returns when a signal came; the alarm ends us.
        unsafe { libc::pause() };
    }
}

/// Forks as Python does; `late` runs in the child before it takes its slot.
fn fork_with_reservation(space: &Space, late: impl FnOnce(), body: impl FnOnce()) -> Child {
    let reservation = fork::before(space).unwrap().unwrap();
    // SAFETY: the child runs `body` and ends; the tests that fork run one at a time.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid != 0 {
        fork::after_in_parent(reservation);
        return Child(pid);
    }
    live();
    late();
    fork::after_in_child(space, reservation).unwrap();
    body();
    leave_now(0)
}

fn acquire(space: &Space, made: Made) -> Tried {
    let mut waiting = 0;
    loop {
        match lock::try_acquire(&space.segment, made.base.lock(), me(space).me, waiting).unwrap() {
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

/// A child of a child holds a lock, is left alone while it lives, and recovered when it does not: by its
/// parent, which has given up its rights as well, and by one that has them all.
#[test]
fn locks_of_the_dead() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (mutex, turn) = (make(&space, MUTEX, 0), make(&space, SCALAR, 0));
    let before = held(&space);
    for parent_recovers in [true, false] {
        let from = get(&space, turn);
        let parent = fork_with_reservation(
            &space,
            || {},
            || {
                give_up();
                let holder = fork_with_reservation(
                    &space,
                    || {},
                    || {
                        acquire(&space, mutex);
                        add(&space, turn, 1);
                        pause();
                    },
                );
                until("it is held", || get(&space, turn) == from + 1);
                space.sweep(&unlimited).unwrap();
                let tried =
                    lock::try_acquire(&space.segment, mutex.base.lock(), me(&space).me, 0).unwrap();
                assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
                add(&space, turn, 1);
                until("the other looked", || get(&space, turn) == from + 3);
                holder.kill();
                assert_eq!(holder.wait(), End::Killed);
                if parent_recovers {
                    assert_eq!(acquire(&space, mutex), Tried::Recovered);
                    release(&space, mutex);
                    space.sweep(&unlimited).unwrap();
                }
            },
        );
        until("it is held and looked at", || get(&space, turn) == from + 2);
        space.sweep(&unlimited).unwrap();
        let tried = lock::try_acquire(&space.segment, mutex.base.lock(), me(&space).me, 0).unwrap();
        assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
        add(&space, turn, 1);
        assert_eq!(parent.wait(), End::Done);
        let expected = match parent_recovers {
            true => Tried::Acquired,
            false => Tried::Recovered,
        };
        assert_eq!(acquire(&space, mutex), expected);
        release(&space, mutex);
        assert_eq!(held(&space), before);
    }
}

/// Its parent ends before the child has taken its slot: it is nobody, and registers anew.
#[test]
fn a_child_that_comes_late() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (done, turn) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    let before = held(&space);
    for _ in 0..3 {
        let from = get(&space, done);
        let guest = spawn(|| {
            let space = &space;
            give_up();
            let reservation = fork::before(space);
            // Not registered yet, as any child forked behind our back.
            assert!(reservation.unwrap().is_none());
            add(space, turn, 1);
            let reservation = fork::before(space).unwrap().unwrap();
            let parent = std::process::id();
            // SAFETY: as above.
            if unsafe { libc::fork() } != 0 {
                leave_now(7);
            }
            // SAFETY: plain integers.
            unsafe { libc::alarm(30) };
            until("the parent is gone", || {
                // SAFETY: no arguments.
                unsafe { libc::getppid() != parent as i32 }
            });
            // Somebody finds the slot, which nobody keeps.
            recover::reap_all(&space.segment).unwrap();
            fork::after_in_child(space, reservation).unwrap();
            add(space, done, 1);
            leave_now(0);
        });
        assert_ne!(guest.wait(), End::Done);
        until("the child did it", || get(&space, done) == from + 1);
        until("all is given back", || {
            space.sweep(&unlimited).unwrap();
            held(&space) == before
        });
        assert_eq!(census(&space).participants, 1);
    }
}

/// The child ends before it has taken its slot: its parent waits for no more than a second.
#[test]
fn a_child_that_never_comes() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    make(&space, SCALAR, 0);
    let before = held(&space);
    give_up();
    let began = Instant::now();
    let child = fork_with_reservation(&space, || leave_now(7), || {});
    assert_eq!(child.wait(), End::Failed);
    assert!(began.elapsed().as_secs() < 10);
    space.sweep(&unlimited).unwrap();
    fault::disarm();
    assert_eq!(held(&space), before);
    assert_eq!(census(&space).participants, 1);
}

/// Of threads and processes one recovers at a time; and looking at the file takes no lock away.
#[test]
fn one_owner() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let turn = make(&space, SCALAR, 0);
    let child = fork_with_reservation(
        &space,
        || {},
        || {
            give_up();
            let right = Right::try_acquire(&space.segment, 900).unwrap().unwrap();
            assert!(Right::try_acquire(&space.segment, 900).unwrap().is_none());
            fault::disarm();
            assert!(Right::try_acquire(&space.segment, 900).unwrap().is_none());
            drop(attach(&space)); // opens and closes descriptors of the file
            folder::read(&space.segment.path()).unwrap();
            assert_eq!(folder::clean(&folder.0), 0);
            attach(&space).discard();
            let grandchild = fork_with_reservation(
                &space,
                || {},
                || {
                    assert!(Right::try_acquire(&space.segment, 900).unwrap().is_none());
                },
            );
            assert_eq!(grandchild.wait(), End::Done);
            add(&space, turn, 1);
            until("it was tried", || get(&space, turn) == 2);
            drop(right);
            assert!(!is_alive(&space.segment, 900).unwrap());
            assert!(Right::try_acquire(&space.segment, 900).unwrap().is_some());
        },
    );
    until("it is acquired", || get(&space, turn) == 1);
    assert!(is_alive(&space.segment, 900).unwrap());
    assert!(Right::try_acquire(&space.segment, 900).unwrap().is_none());
    assert_ne!(State::read(&space.segment, 900).state, LIVE);
    add(&space, turn, 1);
    assert_eq!(child.wait(), End::Done);
}
