//! Semaphores, conditions, barriers, events and recursive locks.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{
    Made, announce, caller, is_free, me, told_apart, victim, warm, with_wake, writer,
};
use courtyard_core::barrier::{self, ACTING, BROKEN, Cause, DRAINING, FILLING, Joined, Party};
use courtyard_core::condition::{self, Waiter};
use courtyard_core::holding::Row;
use courtyard_core::object::{self, BARRIER, CONDITION, FLAG, RMUTEX, SEMAPHORE};
use courtyard_core::offset::Object;
use courtyard_core::semaphore::{self, User};
use courtyard_core::space::Space;
use courtyard_core::{flag, mutex};

struct Scene {
    made: Made,
    flagged: Option<u64>,
}

fn make(space: &Space, kind: u64, length: u64, fill: impl Fn(&Space, Object)) -> Scene {
    let made = object::create(caller(space), kind, length, |object| {
        fill(space, object);
    });
    let (id, row) = made.expect("an object");
    let (base, ..) = object::open(&space.segment, id).expect("the object");
    let made = Made { id, row, base };
    let flagged = Some(announce(space, made));
    Scene { made, flagged }
}

fn reserve(space: &Space) -> Row {
    Row::reserve(caller(space)).expect("a row")
}

/// An operation on a primitive; `found` says what it came to.
fn change<R: 'static, F: PartialEq + std::fmt::Debug + 'static>(
    name: &str,
    make: impl Fn(&Space) -> Scene + 'static,
    ready: impl Fn(&'static Space, Made) -> R + 'static,
    act: impl Fn(&'static Space, Made, R) + 'static,
    found: impl Fn(&Space, Made) -> F + 'static,
    (before, after): (F, F),
) -> Entry {
    let ends = if before == after {
        Ends::AsBefore // what the dead one had comes back
    } else {
        Ends::Changed
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            make(space)
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.made)
        },
        move |space, scene, state| act(space, scene.made, state),
        move |space, scene| {
            let outcome = told_apart(&found(space, scene.made), &before, &after)?;
            is_free(space, scene.made.base.lock())?;
            if before == after {
                return Ok(Outcome::Before);
            }
            with_wake(outcome, space, scene.made, scene.flagged)
        },
    )
}

fn semaphore_of(value: u64) -> impl Fn(&Space) -> Scene {
    move |space| {
        make(space, SEMAPHORE, semaphore::LENGTH, |space, object| {
            semaphore::fill(&space.segment, object, value, None);
        })
    }
}

fn user(space: &Space, made: Made) -> User {
    User {
        object: made.base,
        id: made.id,
        row: reserve(space),
    }
}

fn acquire(space: &Space, user: User) {
    let acquired = semaphore::try_acquire(caller(space), user);
    assert!(acquired.expect("to acquire"));
}

fn semaphores(entries: &mut Vec<Entry>) {
    let value = |space: &Space, made: Made| semaphore::value(&space.segment, made.base);
    // What a dead holder has comes back, so its death undoes the whole.
    entries.push(change(
        "acquire a semaphore",
        semaphore_of(2),
        user,
        |space, _, user| acquire(space, user),
        value,
        (2, 2),
    ));
    entries.push(change(
        "acquire a semaphore by the fast path",
        semaphore_of(2),
        user,
        |space, _, user| {
            // SAFETY: the processes here have one thread.
            let acquired = unsafe { semaphore::acquire_fast(&space.segment, me(space), user) };
            assert!(acquired);
        },
        value,
        (2, 2),
    ));
    let holding = |space: &'static Space, made| {
        let user = user(space, made);
        acquire(space, user);
        user
    };
    entries.push(change(
        "release a semaphore",
        semaphore_of(2),
        holding,
        |space, _, user| {
            let released = semaphore::release(caller(space), user, 1);
            assert!(released.expect("to release"));
        },
        value,
        (2, 2),
    ));
    entries.push(change(
        "release a semaphore by the fast path",
        semaphore_of(2),
        holding,
        |space, _, user| {
            // SAFETY: the processes here have one thread.
            assert!(unsafe { semaphore::release_fast(&space.segment, me(space), user) });
        },
        value,
        (2, 2),
    ));
    entries.push(change(
        "release a semaphore that others hold",
        semaphore_of(0),
        user,
        |space, _, user| {
            let released = semaphore::release(caller(space), user, 2);
            assert!(released.expect("to release"));
        },
        value,
        (0, 2),
    ));
    entries.push(change(
        "consume what another released",
        |space| {
            let scene = semaphore_of(0)(space);
            let released = semaphore::release(caller(space), user(space, scene.made), 1);
            assert!(released.expect("to release"));
            let flagged = Some(announce(space, scene.made));
            Scene { flagged, ..scene }
        },
        user,
        |space, _, user| acquire(space, user),
        value,
        (1, 0),
    ));
}

fn waiter(space: &Space, made: Made) -> Waiter {
    Waiter {
        object: made.base,
        id: made.id,
        row: reserve(space),
    }
}

fn wait(space: &Space, made: Made) -> Waiter {
    let waiter = waiter(space, made);
    condition::enter(caller(space), waiter).expect("to wait");
    waiter
}

fn notify(space: &Space, made: Made) {
    condition::notify(caller(space), made.base, 1).expect("to notify");
}

fn conditions(entries: &mut Vec<Entry>) {
    let line = |space: &Space| {
        let scene = make(space, CONDITION, condition::LENGTH, |_, _| {});
        wait(space, scene.made);
        let flagged = Some(announce(space, scene.made));
        Scene { flagged, ..scene }
    };
    // Whoever is in line and not dead: one waits from the start.
    let waiting = |space: &Space, made: Made| condition::waiting(&space.segment, made.base);
    entries.push(change(
        "wait for a condition",
        line,
        waiter,
        |space, _, waiter| {
            condition::enter(caller(space), waiter).expect("to wait");
        },
        waiting,
        (1, 1),
    ));
    entries.push(change(
        "notify a condition",
        line,
        |_, _| (),
        |space, made, ()| notify(space, made),
        |space, made| condition::given(&space.segment, made.base),
        (0, 1),
    ));
    // A notification that died with its taker goes to the one that still waits.
    entries.push(change(
        "take a notification",
        line,
        |space, made| {
            let waiter = wait(space, made);
            notify(space, made);
            waiter
        },
        |space, _, waiter| {
            let taken = condition::try_take(caller(space), waiter);
            assert!(taken.expect("to take"));
        },
        move |space, made| {
            (
                waiting(space, made),
                condition::given(&space.segment, made.base),
            )
        },
        ((1, 1), (1, 1)),
    ));
    entries.push(change(
        "leave a condition with a notification",
        move |space| Scene {
            flagged: None, // nobody waits for that
            ..line(space)
        },
        |space, made| {
            let waiter = wait(space, made);
            notify(space, made);
            let taken = condition::try_take(caller(space), waiter);
            assert!(taken.expect("to take"));
            waiter
        },
        |space, _, waiter| {
            let left = condition::leave(caller(space), waiter);
            assert!(left.expect("to leave"));
        },
        |space, made| condition::given(&space.segment, made.base),
        (1, 0),
    ));
    entries.push(change(
        "leave a condition without one",
        line,
        wait,
        |space, _, waiter| {
            let left = condition::leave(caller(space), waiter);
            assert!(!left.expect("to leave"));
        },
        waiting,
        (1, 1),
    ));
}

fn party(space: &Space, made: Made) -> Party {
    Party {
        object: made.base,
        id: made.id,
        row: reserve(space),
    }
}

fn join(space: &Space, party: Party) -> Joined {
    barrier::join(caller(space), party).expect("to join")
}

fn barriers(entries: &mut Vec<Entry>) {
    let of = |parties: u64| {
        move |space: &Space| {
            make(space, BARRIER, barrier::LENGTH, |space, object| {
                barrier::fill(&space.segment, object, parties);
            })
        }
    };
    let phase = |space: &Space, made: Made| barrier::phase(&space.segment, made.base);
    let waiting = move |space: &Space, made: Made| {
        let waiting = barrier::waiting(&space.segment, made.base);
        (phase(space, made), waiting)
    };
    entries.push(change(
        "join a barrier",
        of(2),
        party,
        |space, _, party| assert_eq!(join(space, party), Joined::Waits),
        waiting,
        ((FILLING, 0), (BROKEN, 0)),
    ));
    entries.push(change(
        "join a barrier as the last",
        of(1),
        party,
        |space, _, party| assert_eq!(join(space, party), Joined::Last),
        waiting,
        ((FILLING, 0), (BROKEN, 0)),
    ));
    let advance = |space: &Space, made: Made, to| {
        let from = [ACTING];
        let done = barrier::advance(caller(space), made.base, &from, to);
        assert!(done.expect("to advance"));
    };
    // Once it is open, all inside go on, whoever dies; the last to leave, or its drainer, fills.
    entries.push(change(
        "open a barrier",
        of(1),
        |space, made| assert_eq!(join(space, party(space, made)), Joined::Last),
        move |space, made, ()| advance(space, made, DRAINING),
        phase,
        (BROKEN, FILLING),
    ));
    entries.push(change(
        "leave a barrier",
        of(1),
        move |space, made| {
            let party = party(space, made);
            assert_eq!(join(space, party), Joined::Last);
            advance(space, made, DRAINING);
            party
        },
        |space, _, party| {
            let left = barrier::leave(caller(space), party);
            assert_eq!(left.expect("to leave"), (DRAINING, 0));
        },
        |space, made| (barrier::phase(&space.segment, made.base), 0),
        ((FILLING, 0), (FILLING, 0)),
    ));
    // Whoever has passed is a party, and missed when it dies; inside it breaks the barrier.
    let passed = move |space: &'static Space, made| {
        let party = party(space, made);
        assert_eq!(join(space, party), Joined::Last);
        advance(space, made, DRAINING);
        barrier::leave(caller(space), party).expect("to leave");
        party
    };
    let unwatched = move |space: &Space| Scene {
        flagged: None, // nobody waits for that
        ..of(1)(space)
    };
    let missed = move |space: &Space, made: Made| {
        let missed = barrier::is_missed(&space.segment, made.base);
        (phase(space, made), missed)
    };
    entries.push(change(
        "join a barrier again",
        unwatched,
        passed,
        |space, _, party| assert_eq!(join(space, party), Joined::Last),
        missed,
        ((FILLING, true), (BROKEN, false)),
    ));
    entries.push(change(
        "be no party any more",
        unwatched,
        passed,
        |space, _, party| {
            barrier::depart(caller(space), party).expect("to depart");
        },
        missed,
        ((FILLING, true), (FILLING, false)),
    ));
    entries.push(change(
        "be no party any more, with the last handle",
        unwatched,
        passed,
        |space, _, party| barrier::forget(space, me(space), party.id, party.row),
        missed,
        ((FILLING, true), (FILLING, false)),
    ));
    entries.push(change(
        "come to the end by itself",
        unwatched,
        passed,
        |space, _, _| me(space).end_by_itself(&space.segment),
        missed,
        ((FILLING, true), (FILLING, false)),
    ));
    entries.push(change(
        "break a barrier",
        move |space| {
            let scene = of(2)(space);
            let flagged = Some(announce(space, scene.made));
            Scene { flagged, ..scene }
        },
        |_, _| (),
        |space, made, ()| {
            let (any, cause) = ([FILLING], Cause::Aborted);
            let object = made.base;
            let done = barrier::mark_broken(caller(space), object, &any, cause);
            assert!(done.expect("to break"));
            assert_eq!(barrier::cause(&space.segment, object), Some(cause));
        },
        phase,
        (FILLING, BROKEN),
    ));
    entries.push(change(
        "reset a broken barrier",
        move |space| {
            let scene = of(2)(space);
            let any = [FILLING];
            let object = scene.made.base;
            let cause = Cause::Aborted;
            let done = barrier::mark_broken(caller(space), object, &any, cause);
            assert!(done.expect("to break"));
            let flagged = Some(announce(space, scene.made));
            Scene { flagged, ..scene }
        },
        |_, _| (),
        |space, made, ()| {
            barrier::reset(caller(space), made.base).expect("to reset");
        },
        phase,
        (BROKEN, FILLING),
    ));
}

fn enter(space: &Space, made: Made) {
    let entered = mutex::enter(&space.segment, me(space), writer(made), 0);
    assert!(entered.expect("to enter"));
}

fn others(entries: &mut Vec<Entry>) {
    for (on, name) in [(true, "set an event"), (false, "clear an event")] {
        entries.push(change(
            name,
            move |space| {
                make(space, FLAG, 0, |space, object| {
                    flag::turn(&space.segment, object, !on);
                })
            },
            |_, _| (),
            move |space, made, ()| {
                flag::change(caller(space), made.base, on).expect("to turn");
            },
            |space, made| flag::is_set(flag::word(&space.segment, made.base)),
            (!on, on),
        ));
    }
    let rlock = |space: &Space| make(space, RMUTEX, 0, |_, _| {});
    entries.push(change(
        "acquire a recursive lock, reaping who holds it",
        rlock,
        move |space, made| {
            victim(space, "never", |space| {
                (0..2).for_each(|_| enter(space, made))
            })
        },
        |space, made, ()| {
            let writer = writer(made);
            while !mutex::enter(&space.segment, me(space), writer, 0).expect("an answer") {
                caller(space).wait_for(made.base.lock()).expect("to wait");
            }
            assert!(mutex::is_recovered(&space.segment, made.base));
        },
        |_, _| (),
        ((), ()),
    ));
    // Free again with its holder's death, however often it was entered.
    for (name, levels) in [("acquire a recursive lock", 0), ("acquire it again", 1)] {
        entries.push(change(
            name,
            rlock,
            move |space, made| (0..levels).for_each(|_| enter(space, made)),
            move |space, made, ()| enter(space, made),
            |_, _| (),
            ((), ()),
        ));
        entries.push(change(
            &format!("{name}, then release it"),
            rlock,
            move |space, made| (0..=levels).for_each(|_| enter(space, made)),
            |space, made, ()| assert!(mutex::exit(&space.segment, me(space), writer(made))),
            |_, _| (),
            ((), ()),
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    semaphores(entries);
    conditions(entries);
    barriers(entries);
    others(entries);
}
