//! Forks that neither wait nor cost more with others: beside a peer stopped inside a lock, and
//! beside the dead.

mod stage;

use courtyard_core::directory;
use courtyard_core::fork;
use courtyard_core::layout::{RESERVED_SLOT, superblock};
use courtyard_core::lock;
use courtyard_core::object::SCALAR;
use courtyard_core::participant::{LIVE, Participant, State};
use courtyard_core::space::{Space, unlimited};
use stage::{
    Child, End, Folder, Made, add, alone, census, get, held, leave_now, live, make, me, spawn,
    until,
};
use std::time::{Duration, Instant};

/// As a process that was stopped inside the directory's lock: it lives, and holds it, until `go`.
fn stopped(space: &Space, go: Made, from: u64) -> Child {
    let ready = make(space, SCALAR, 0);
    let holder = spawn(|| {
        let me = me(space);
        let lock = superblock::DIRECTORY_LOCK;
        until("the lock", || {
            let tried = lock::try_acquire(&space.segment, lock, me.me, 0);
            !matches!(tried, Ok(lock::Tried::Held(_)))
        });
        add(space, ready, 1);
        until("to go on", || get(space, go) >= from);
        lock::release(&space.segment, lock);
    });
    until("the stop", || get(space, ready) == 1);
    holder
}

fn drop_it(space: &Space, made: Made) {
    directory::let_go(space, me(space), made.row);
}

/// Forks as Python does, and says how long that took.
fn fork_timed(space: &Space, body: impl FnOnce()) -> (Child, Duration) {
    let start = Instant::now();
    let reservation = fork::before(space).unwrap().unwrap();
    // SAFETY: the child runs `body` and ends; the tests that fork run one at a time.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid != 0 {
        fork::after_in_parent(reservation);
        return (Child(pid), start.elapsed());
    }
    live();
    fork::after_in_child(space, reservation).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "the child waited");
    body();
    leave_now(0)
}

fn is_member(space: &Space, made: Made) -> bool {
    directory::is_member(space, me(space), made.row, made.id)
}

#[test]
fn a_fork_beside_a_peer_stopped_inside_the_directory_does_not_wait() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made: Vec<Made> = (0..10).map(|_| make(&space, SCALAR, 0)).collect();
    let (go, arrived) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    let holder = stopped(&space, go, 1);
    let mine = made.clone();
    let (child, took) = fork_timed(&space, || {
        assert!(space.is_owing());
        assert!(!is_member(&space, mine[0]));
        add(&space, arrived, 1);
        until("the parent dropped all", || get(&space, go) >= 2);
        space.settle_up(&unlimited).unwrap();
        for made in &mine {
            assert!(is_member(&space, *made), "what the parent dropped is gone");
            add(&space, *made, 1);
        }
        until("the parent looked", || get(&space, go) >= 3);
        mine.iter().for_each(|made| drop_it(&space, *made));
    });
    assert!(took < Duration::from_secs(2), "it waited {took:?}");
    until("the child", || get(&space, arrived) == 1);
    // The parent drops all but one at once, also after the lock is free.
    made[..5].iter().for_each(|made| drop_it(&space, *made));
    add(&space, go, 1);
    assert_eq!(holder.wait(), End::Done);
    made[5..9].iter().for_each(|made| drop_it(&space, *made));
    add(&space, go, 1);
    until("the child has its own", || get(&space, made[9]) == 1);
    // What was held back goes with the next.
    drop_it(&space, made[9]);
    assert_eq!(held(&space).0, 13);
    add(&space, go, 1);
    assert_eq!(child.wait(), End::Done);
    drop_it(&space, go);
    drop_it(&space, arrived);
    census(&space);
    assert_eq!(held(&space).1, 0);
    assert_eq!(held(&space).0, 1, "the lock's holder's sign is left");
}

#[test]
fn what_is_held_back_for_a_child_goes_when_that_dies() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (made, other, go) = (
        make(&space, SCALAR, 0),
        make(&space, SCALAR, 0),
        make(&space, SCALAR, 0),
    );
    let holder = stopped(&space, go, 1);
    let (child, _) = fork_timed(&space, || {});
    assert_eq!(child.wait(), End::Done);
    drop_it(&space, made);
    add(&space, go, 1);
    assert_eq!(holder.wait(), End::Done);
    drop_it(&space, other);
    census(&space);
    assert_eq!(held(&space).0, 2, "the two that are left are in use");
}

/// Each look at another is a system call, which itself takes longer the more locks there are.
#[test]
fn a_fork_costs_no_more_with_a_thousand_others() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let _made = make(&space, SCALAR, 0);
    let guests: Vec<Participant> = (1..950)
        .map(|slot| Participant::claim(&space.segment, slot, false))
        .map(|guest| guest.unwrap().unwrap())
        .collect();
    let least = (0..30).map(|_| {
        let start = Instant::now();
        let reservation = fork::before(&space).unwrap().unwrap();
        fork::after_in_parent(reservation);
        start.elapsed()
    });
    let least = least.min().unwrap();
    assert!(least < Duration::from_millis(4), "a fork took {least:?}");
    guests.into_iter().for_each(Participant::release_anchor);
}

#[test]
fn who_only_forks_does_not_fill_the_space_with_the_dead() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let _made = make(&space, SCALAR, 0);
    for _ in 0..40 {
        let (child, _) = fork_timed(&space, || {
            make(&space, SCALAR, 0);
        });
        assert_eq!(child.wait(), End::Done);
    }
    let is_used = |&slot: &u64| State::read(&space.segment, slot).state != 0;
    let used: Vec<u64> = (0..RESERVED_SLOT).filter(is_used).collect();
    assert!(used.len() <= 4, "slots in use: {used:?}");
    assert_eq!(State::read(&space.segment, me(&space).me.slot).state, LIVE);
}
