//! Several processes: forks, deaths, liveness, slots used again, and every slot taken.

mod stage;

use courtyard_core::directory;
use courtyard_core::error::Error;
use courtyard_core::layout::{RESERVED_SLOT, SLOTS};
use courtyard_core::lock::{self, Tried, Waiter};
use courtyard_core::object::{BYTES, MUTEX, SCALAR, STORED};
use courtyard_core::participant::{DRAINING, FREE, LIVE, Participant, State, is_alive};
use courtyard_core::space::{Caller, Space, unlimited};
use courtyard_core::sync::{AtomicBool, Ordering};
use courtyard_core::{HOOKS, folder, fork, mutex, recover};
use stage::{
    Child, End, Folder, add, alone, attach, caller, census, get, held, leave, leave_now, live,
    make, me, put, read, spawn, take, until, write,
};
use std::time::{Duration, Instant};

/// Forks as Python does: with a slot and memberships for the child.
fn fork_with_reservation(space: &Space, body: impl FnOnce()) -> Child {
    fork_late(space, || {}, body)
}

/// As `fork_with_heir`; `meanwhile` is what other threads do between the copy and the fork.
fn fork_late(space: &Space, meanwhile: impl FnOnce(), body: impl FnOnce()) -> Child {
    let reservation = fork::before(space).unwrap().unwrap();
    meanwhile();
    // SAFETY: the child runs `body` and ends; the tests that fork run one at a time.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid != 0 {
        fork::after_in_parent(reservation);
        return Child(pid);
    }
    live();
    fork::after_in_child(space, reservation).unwrap();
    body();
    leave_now(0)
}

/// Whether it is one of ours, once our memberships are copied: the first use of an object registers
/// us, and waits for that.
fn is_member(space: &Space, made: stage::Made) -> bool {
    let me = me(space);
    space.settle_up(&unlimited).unwrap();
    directory::is_member(space, me, made.row, made.id)
}

fn pause() {
    // SAFETY: returns when a signal came; the alarm ends us.
    unsafe { libc::pause() };
}

#[test]
fn a_second_process_attaches() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (path, uuid) = (space.segment.path(), space.uuid);
    let made = make(&space, SCALAR, 0);
    let ticket = directory::send(caller(&space), made.id).unwrap();
    let child = spawn(|| {
        let space = folder::attach(&path, uuid, HOOKS).unwrap();
        let row = directory::receive(caller(&space), made.id, ticket);
        let (base, ..) = courtyard_core::object::open(&space.segment, made.id).unwrap();
        let here = stage::Made {
            row: row.unwrap(),
            base,
            ..made
        };
        for _ in 0..1000 {
            add(&space, here, 1);
        }
    });
    for _ in 0..1000 {
        add(&space, made, 1);
    }
    assert_eq!(child.wait(), End::Done);
    assert_eq!(get(&space, made), 2000);
    assert_eq!(held(&space), (1, 0, 1));
    leave(&space, made);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn attaching_while_the_space_grows() {
    let _alone = alone();
    for _ in 0..20 {
        let folder = Folder::new();
        let space = folder.space();
        let made = make(&space, SCALAR, 0);
        let grower = spawn(|| {
            let space = attach(&space);
            let mut held = Vec::new();
            while get(&space, made) == 0 && held.len() < 4000 {
                held.push(make(&space, BYTES, 16_000));
            }
        });
        for _ in 0..60 {
            attach(&space).discard();
        }
        add(&space, made, 1);
        assert_eq!(grower.wait(), End::Done);
    }
}

#[test]
fn an_heir_makes_up_for_what_happened_before_the_fork() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (kept, dropped) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    let taken = std::cell::Cell::new(None);
    let child = fork_late(
        &space,
        || {
            leave(&space, dropped);
            taken.set(Some(make(&space, SCALAR, 0)));
        },
        || {
            for made in [kept, taken.get().unwrap()] {
                assert!(is_member(&space, made));
                leave(&space, made);
            }
        },
    );
    assert_eq!(child.wait(), End::Done);
    assert_eq!(
        held(&space),
        (2, 0, 1),
        "the dropped one went with the child's copy"
    );
    leave(&space, kept);
    leave(&space, taken.get().unwrap());
    census(&space);
}

/// Runs `work` while another thread does `other` over and over.
fn beside(other: impl Fn() + Sync, work: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                other();
            }
        });
        let _stop = Stop(&over);
        work();
    });
}

/// Forks while other threads take rows of the membership cache and give them back as fast as they can;
/// then while they make objects, and behind our back.
#[test]
fn forks_beside_threads_that_are_anywhere_in_the_membership_cache() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let kept: Vec<_> = (0..10).map(|_| make(&space, SCALAR, 0)).collect();
    let inherits = || {
        for made in &kept {
            assert!(is_member(&space, *made));
        }
        let own = make(&space, BYTES, 100);
        leave(&space, own);
    };
    let object = kept[0].id;
    let rows = || {
        let rows: Vec<u64> = (0..100).map(|_| space.membership_cache.reserve()).collect();
        for row in rows {
            space.membership_cache.hold(row, object);
            space.membership_cache.forget(row);
        }
    };
    beside(rows, || {
        for _ in 0..150 {
            assert_eq!(fork_with_reservation(&space, inherits).wait(), End::Done);
        }
    });
    let objects = || leave(&space, make(&space, BYTES, 5000));
    beside(objects, || {
        for _ in 0..50 {
            assert_eq!(fork_with_reservation(&space, inherits).wait(), End::Done);
            assert_eq!(spawn(inherits).wait(), End::Done);
        }
    });
    for made in kept {
        leave(&space, made);
    }
    assert_eq!(held(&space), (0, 0, 1));
    census(&space);
}

#[test]
fn an_heir_keeps_what_its_parent_drops() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made: Vec<_> = (0..100).map(|_| make(&space, SCALAR, 0)).collect();
    let slot = me(&space).me.slot;
    let child = fork_with_reservation(&space, || {
        assert_ne!(me(&space).me.slot, slot);
        until("the parent left", || {
            made.iter().all(|made| get(&space, *made) == 1)
        });
        for made in &made {
            assert!(is_member(&space, *made));
            add(&space, *made, 1);
            leave(&space, *made);
        }
        leave(&space, make(&space, BYTES, 100));
    });
    for made in &made {
        leave(&space, *made);
    }
    // Nobody but the child holds them now, so nothing of ours says that we may write.
    for made in &made {
        space
            .segment
            .word(made.base + courtyard_core::object::DATA)
            .store(1, Ordering::Release);
    }
    assert_eq!(child.wait(), End::Done);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn an_heir_that_dies_unseen_is_drained() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let child = fork_with_reservation(&space, pause);
    assert_eq!(held(&space), (1, 0, 2));
    child.kill();
    assert_eq!(child.wait(), End::Killed);
    assert_eq!(held(&space), (1, 0, 1));
    // The fork failed: the child was never born.
    let reservation = fork::before(&space).unwrap().unwrap();
    fork::after_in_parent(reservation);
    assert_eq!(held(&space), (1, 0, 1));
    leave(&space, made);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn a_child_forked_from_c_adopts() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (kept, dropped) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    let go = make(&space, SCALAR, 0);
    let slot = me(&space).me.slot;
    let child = spawn(|| {
        assert!(space.registered().is_null());
        until("the parent left one", || get(&space, go) == 1);
        let me = space.participant().unwrap();
        assert_ne!(me.me.slot, slot);
        assert!(is_member(&space, kept));
        assert!(!is_member(&space, dropped));
        add(&space, kept, 7);
        add(&space, go, 1);
        until("the parent looked", || get(&space, go) == 3);
    });
    leave(&space, dropped);
    add(&space, go, 1);
    until("the child adopted", || get(&space, go) == 2);
    leave(&space, kept);
    let census = census(&space);
    assert_eq!((census.objects, census.participants), (2, 2));
    add(&space, go, 1);
    assert_eq!(child.wait(), End::Done);
    leave(&space, go);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn a_forked_child_does_not_keep_its_parent_alive() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    // The owner forks a grandchild that outlives it, then dies.
    let owner = spawn(|| {
        let space = attach(&space);
        add(&space, made, me(&space).me.slot);
        // SAFETY: the grandchild only waits.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: plain integers; its parent is about to die, so its alarm ends it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
            // SAFETY: as above.
            unsafe { libc::alarm(3) };
            add(&space, made, 100);
            pause();
        }
        until("the grandchild lives", || get(&space, made) >= 100);
        leave_now(0);
    });
    assert_eq!(owner.wait(), End::Done);
    let slot = get(&space, made) - 100;
    assert!(!is_alive(&space.segment, slot).unwrap());
}

#[test]
fn exec_and_a_zombie_are_death() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    for exec in [true, false] {
        let child = spawn(|| {
            let space = attach(&space);
            make(&space, BYTES, 50_000);
            let slot = me(&space).me.slot;
            add(&space, made, slot);
            if exec {
                let (path, argument) = (c"/bin/sleep", c"20");
                let arguments = [path.as_ptr(), argument.as_ptr(), std::ptr::null()];
                // SAFETY: NUL-terminated strings, and a list that ends with null.
                unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
            }
        });
        until("the child registered", || get(&space, made) != 0);
        let slot = get(&space, made);
        assert_eq!(State::read(&space.segment, slot).state, LIVE);
        // Not waited for: a zombie, or another program.
        until("its slot is dead", || {
            !is_alive(&space.segment, slot).unwrap()
        });
        assert_eq!(held(&space), (1, 0, 1));
        child.kill();
        child.wait();
        write_scalar(&space, made, 0);
    }
}

fn write_scalar(space: &Space, made: stage::Made, value: u64) {
    let word = space.segment.word(made.base + courtyard_core::object::DATA);
    word.store(value, Ordering::Release);
}

#[test]
fn a_lock_falls_with_its_holder() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let mutex = make(&space, MUTEX, 0);
    let segment = &space.segment;
    let child = spawn(|| {
        let space = attach(&space);
        assert!(mutex::try_acquire(&space.segment, me(&space), mutex.base, 0).unwrap());
        pause();
    });
    until("the child has it", || {
        mutex::is_locked(segment, mutex.base).unwrap()
    });
    assert!(!mutex::try_acquire(segment, me(&space), mutex.base, 0).unwrap());
    let mut waiter = Waiter::new(segment, mutex.base.lock());
    let mut slice = || space.wait_slice(&mut waiter, Duration::from_millis(5));
    assert_eq!(slice().unwrap(), lock::WaitOutcome::Woken); // it has begun to starve
    assert_eq!(slice().unwrap(), lock::WaitOutcome::TimedOut);
    drop(waiter);
    child.kill();
    let start = Instant::now();
    while !mutex::try_acquire(segment, me(&space), mutex.base, lock::WAITERS).unwrap() {
        let mut waiter = Waiter::new(segment, mutex.base.lock());
        space.wait_slice(&mut waiter, lock::PROBE).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(mutex::is_recovered(segment, mutex.base));
    assert!(mutex::release(segment, mutex.base));
    assert!(!mutex::is_recovered(segment, mutex.base));
    child.wait();
    leave(&space, mutex);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn a_slot_used_again_has_another_generation() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let word = made.base.lock();
    let mut generations = Vec::new();
    for _ in 0..3 {
        let guest = Participant::claim(&space.segment, 5, false)
            .unwrap()
            .unwrap();
        assert!(
            Participant::claim(&space.segment, 5, false)
                .unwrap()
                .is_none()
        );
        let me = guest.me;
        assert_eq!(
            lock::try_acquire(&space.segment, word, me, 0).unwrap(),
            Tried::Acquired
        );
        assert!(!recover::reap(&space.segment, me).unwrap(), "it lives");
        guest.release_anchor();
        assert!(recover::reap(&space.segment, me).unwrap());
        assert!(
            !recover::reap(&space.segment, me).unwrap(),
            "reaped already"
        );
        assert_eq!(State::read(&space.segment, 5).state, DRAINING);
        // Not while it is draining.
        assert!(
            Participant::claim(&space.segment, 5, false)
                .unwrap()
                .is_none()
        );
        space.sweep(&unlimited).unwrap();
        assert_eq!(State::read(&space.segment, 5).state, FREE);
        generations.push(me.generation);
        add(&space, made, 1); // takes the past lock over
    }
    assert_eq!(generations, [0, 1, 2]);
    assert_eq!(held(&space), (1, 0, 1));
}

#[test]
fn every_slot_taken() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let segment = &space.segment;
    let mut guests: Vec<Participant> = (1..RESERVED_SLOT)
        .map(|slot| Participant::claim(segment, slot, false).unwrap().unwrap())
        .collect();
    assert_eq!(census(&space).participants, SLOTS - 1);
    assert!(matches!(
        folder::attach(&segment.path(), space.uuid, HOOKS),
        Err(Error::Crowded(1023))
    ));
    assert_eq!(State::read(segment, RESERVED_SLOT).state, FREE);
    // One of them holds things and dies: a newcomer drains it from the reserved slot.
    let dead = guests.remove(600);
    let slot = dead.me.slot;
    let root = |participant| {
        let root = courtyard_core::object::create(
            Caller::new(&space, participant, &unlimited),
            STORED,
            0,
            |_| {},
        );
        root.unwrap()
    };
    let (id, row) = root(&dead);
    let (base, ..) = courtyard_core::object::open(segment, id).unwrap();
    let made = stage::Made { id, row, base };
    put(&space, made, &[3; 500]);
    space.membership_cache.forget(row);
    dead.release_anchor();
    let newcomer = attach(&space);
    assert_eq!(me(&newcomer).me.slot, slot);
    assert_eq!(State::read(segment, RESERVED_SLOT).state, FREE);
    assert_eq!(held(&space), (0, 0, SLOTS - 1));
    for guest in guests {
        guest.release_anchor();
    }
    assert_eq!(held(&space), (0, 0, 2));
}

#[test]
fn readers_never_see_a_torn_value() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (bytes, stored) = (make(&space, BYTES, 2000), make(&space, STORED, 0));
    put(&space, stored, &[0; 100]);
    let go = make(&space, SCALAR, 0);
    let writers: Vec<Child> = (0..2u8)
        .map(|name| {
            fork_with_reservation(&space, || {
                let mut turn = name;
                while get(&space, go) == 0 {
                    let length = [100, 2000, 20_000, 50_000][usize::from(turn % 4)];
                    write(&space, bytes, &vec![turn; 2000]);
                    put(&space, stored, &vec![turn; length]);
                    turn = turn.wrapping_add(2);
                }
            })
        })
        .collect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        let seen = read(&space, bytes, 2000);
        assert!(seen.iter().all(|byte| *byte == seen[0]));
        let seen = take(&space, stored);
        assert!(seen.iter().all(|byte| *byte == seen[0]));
    }
    write_scalar(&space, go, 1);
    for child in writers {
        assert_eq!(child.wait(), End::Done);
    }
    for made in [bytes, stored, go] {
        leave(&space, made);
    }
    assert_eq!(held(&space), (0, 0, 1));
    assert_eq!(census(&space).idle_blocks, census(&space).idle_blocks);
}
