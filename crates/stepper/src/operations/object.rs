//! Scalars, bytes, and the locks of objects.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{
    Made, add as add_to, add_fast, announce, bytes_apart, caller, get, is_free, make, me, read,
    set, told_apart, victim, warm, with_wake, write, writer,
};
use courtyard_core::layout::RESERVED_SLOT;
use courtyard_core::lock::{self, Waiter};
use courtyard_core::mutex;
use courtyard_core::object::{self, BYTES, Entered, MUTEX, SCALAR, Writer};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::Me;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;

/// An object of slot 0, and the event word that somebody sleeps on.
struct Scene {
    made: Made,
    flagged: Option<u64>,
}

fn scalar(space: &Space, watched: bool) -> Scene {
    warm(space);
    let made = make(space, SCALAR, 0);
    set(space, made, 7);
    let flagged = watched.then(|| announce(space, made));
    Scene { made, flagged }
}

fn judge_scalar(space: &Space, scene: &Scene) -> Result<Outcome, String> {
    let outcome = told_apart(&get(space, scene.made), &7, &8)?;
    let outcome = with_wake(outcome, space, scene.made, scene.flagged)?;
    is_free(space, scene.made.base.lock())?;
    Ok(outcome)
}

fn change(name: &str, watched: bool, act: impl Fn(&'static Space, Made) + 'static) -> Entry {
    let told = if watched { ", watched" } else { "" };
    play(
        format!("{name}{told}"),
        Ends::Changed,
        move |space| scalar(space, watched),
        |space, _| warm(space),
        move |space, scene, ()| act(space, scene.made),
        judge_scalar,
    )
}

/// Leaves the lock in the name of one who died long ago: of a generation that is past.
fn orphan(space: &Space, lock: LockWord) {
    let dead = Me {
        slot: RESERVED_SLOT - 7,
        generation: 99,
    };
    lock::try_acquire(&space.segment, lock, dead, lock::WAITERS).expect("a free lock");
}

fn changes(entries: &mut Vec<Entry>) {
    for watched in [false, true] {
        entries.push(change("change a scalar", watched, |space, made| {
            add_to(space, writer(made), 1);
        }));
        entries.push(change(
            "change a scalar by the fast path",
            watched,
            |space, made| {
                assert!(add_fast(space, made, true));
            },
        ));
        entries.push(change(
            "change a scalar unguarded",
            watched,
            |space, made| {
                let guarded = false;
                let writer = writer(made);
                add_to(space, Writer { guarded, ..writer }, 1);
            },
        ));
        entries.push(change(
            "change a scalar by the fast path, unguarded",
            watched,
            |space, made| assert!(add_fast(space, made, false)),
        ));
    }
    for is_fast in [false, true] {
        let how = if is_fast { " by the fast path" } else { "" };
        entries.push(play(
            format!("change a scalar{how}, taking its lock over"),
            Ends::Changed,
            |space| {
                let scene = scalar(space, true);
                orphan(space, scene.made.base.lock());
                scene
            },
            |space, _| warm(space),
            move |space, scene, ()| match is_fast {
                true => assert!(add_fast(space, scene.made, true)),
                false => add_to(space, writer(scene.made), 1),
            },
            judge_scalar,
        ));
    }
    entries.push(play(
        "change a scalar, reaping who holds its lock",
        Ends::Changed,
        |space| scalar(space, true),
        |space, scene| {
            warm(space);
            let lock = scene.made.base.lock();
            victim(space, "journal.committed", |space| {
                lock::try_acquire(&space.segment, lock, me(space).me, 0).expect("the lock");
            });
        },
        |space, scene, ()| add_to(space, writer(scene.made), 1),
        judge_scalar,
    ));
}

fn bytes(name: &str, offset: usize, length: usize, compare: bool, watched: bool) -> Entry {
    const ROOM: usize = 5000;
    let before = vec![1u8; ROOM];
    let mut after = before.clone();
    after[offset..offset + length].fill(2);
    let (old, new) = (before.clone(), after.clone());
    play(
        name,
        Ends::Changed,
        move |space| {
            warm(space);
            let made = make(space, BYTES, ROOM as u64);
            write(space, made, 0, &old, None);
            let flagged = watched.then(|| announce(space, made));
            Scene { made, flagged }
        },
        |space, _| warm(space),
        move |space, scene, ()| {
            let expected = compare.then_some(&[1u8; ROOM][..]);
            let new = &new[offset..offset + length];
            write(space, scene.made, offset as u64, new, expected);
        },
        move |space, scene| {
            let found = read(space, scene.made, ROOM);
            let outcome = bytes_apart(&found, &before, &after)?;
            let outcome = with_wake(outcome, space, scene.made, scene.flagged)?;
            is_free(space, scene.made.base.lock())?;
            Ok(outcome)
        },
    )
}

/// The lock itself is the kernel's to free, so the space is as before, whoever died.
fn locking(
    name: &str,
    ready: impl Fn(&'static Space, Made) + 'static,
    act: impl Fn(&'static Space, Made) + 'static,
) -> Entry {
    play(
        name,
        Ends::AsBefore,
        |space| scalar(space, false),
        move |space, scene| ready(space, scene.made),
        move |space, scene, ()| act(space, scene.made),
        |space, scene| {
            let outcome = told_apart(&get(space, scene.made), &7, &8)?;
            let word = |offset| space.segment.word(scene.made.base + offset);
            let held = word(0).load(Ordering::Relaxed) != 0;
            let count = word(object::OWNER).load(Ordering::Relaxed) as u32 & !(1 << 31);
            if !held && count != 0 {
                return Err("the lock is free, and its owner word names a holder".into());
            }
            let (me, writer) = (me(space), writer(scene.made));
            if !matches!(
                object::enter(&space.segment, me, writer, 0),
                Ok(Entered::Yes)
            ) {
                return Err("get_lock() cannot be had".into());
            }
            match object::exit(&space.segment, me, writer) {
                true => Ok(outcome),
                false => Err("get_lock() is not ours".into()),
            }
        },
    )
}

fn enter(space: &Space, made: Made) {
    let entered = object::enter(&space.segment, me(space), writer(made), 0).expect("an answer");
    assert_eq!(entered, Entered::Yes);
}

fn exit(space: &Space, made: Made) {
    assert!(object::exit(&space.segment, me(space), writer(made)));
}

/// A `Lock` of slot 0: `releases` counted before and after.
fn mutual(
    name: &str,
    ends: Ends,
    watched: bool,
    ready: impl Fn(&'static Space, Made) + 'static,
    act: impl Fn(&'static Space, Made) + 'static,
) -> Entry {
    let told = if watched { ", watched" } else { "" };
    play(
        format!("{name}{told}"),
        ends,
        move |space| {
            warm(space);
            let made = make(space, MUTEX, 0);
            let flagged = watched.then(|| announce(space, made));
            Scene { made, flagged }
        },
        move |space, scene| ready(space, scene.made),
        move |space, scene, ()| act(space, scene.made),
        |space, scene| {
            let outcome = told_apart(&get(space, scene.made), &0, &1)?;
            is_free(space, scene.made.base.lock())?;
            Ok(outcome)
        },
    )
}

fn acquire(space: &Space, made: Made) {
    let got = mutex::try_acquire(&space.segment, me(space), made.base, 0);
    assert!(got.expect("an answer"));
}

fn release(space: &Space, made: Made) {
    assert!(mutex::release(&space.segment, made.base));
}

pub fn add(entries: &mut Vec<Entry>) {
    changes(entries);
    entries.push(bytes("write bytes, short", 0, 100, false, false));
    entries.push(bytes("write bytes, short, watched", 16, 64, false, true));
    entries.push(bytes("write bytes, in parts of words", 3, 77, false, false));
    entries.push(bytes("write bytes, long", 0, 5000, false, false));
    entries.push(bytes("write bytes, long, watched", 0, 3000, false, true));
    entries.push(bytes(
        "write bytes, long, in parts of words",
        5,
        1001,
        false,
        false,
    ));
    entries.push(bytes("compare and write bytes", 0, 100, true, false));
    entries.push(play(
        "announce a sleeper",
        Ends::AsBefore,
        |space| scalar(space, false),
        |space, _| warm(space),
        |space, scene, ()| {
            announce(space, scene.made);
        },
        judge_scalar,
    ));
    entries.push(locking("enter get_lock()", |space, _| warm(space), enter));
    entries.push(locking("exit get_lock()", enter, exit));
    entries.push(locking(
        "exit get_lock() and notify",
        |space, made| {
            enter(space, made);
            announce(space, made);
        },
        |space, made| {
            let writer = writer(made);
            assert!(object::exit_and_notify(&space.segment, me(space), writer));
        },
    ));
    entries.push(locking("enter get_lock() again", enter, |space, made| {
        enter(space, made);
        exit(space, made);
    }));
    entries.push(locking(
        "exit get_lock() with a sleeper",
        |space, made| {
            enter(space, made);
            let word = space.segment.word(made.base.0);
            word.store(
                word.load(Ordering::Relaxed) | lock::WAITERS,
                Ordering::Relaxed,
            );
        },
        exit,
    ));
    entries.push(locking(
        "enter get_lock(), taking it over",
        |space, made| orphan(space, made.base.lock()),
        enter,
    ));
    for watched in [false, true] {
        let nothing = |space: &'static Space, _: Made| warm(space);
        let before = Ends::AsBefore;
        entries.push(mutual("acquire a lock", before, watched, nothing, acquire));
        entries.push(mutual(
            "release a lock",
            Ends::Changed,
            watched,
            acquire,
            release,
        ));
    }
    for (name, members) in [
        ("release a lock that somebody starves for", lock::FIRST),
        (
            "release a lock that both batches wait for",
            lock::FIRST | lock::SECOND,
        ),
    ] {
        entries.push(mutual(
            name,
            Ends::Changed,
            false,
            move |space, made| {
                acquire(space, made);
                let word = space.segment.word(made.base.0);
                word.fetch_or(lock::WAITERS | members, Ordering::Relaxed);
            },
            release,
        ));
    }
    let keep = |space: &'static Space, made: Made| {
        acquire(space, made);
        let word = space.segment.word(made.base.0);
        let kept =
            lock::kept(word.load(Ordering::Relaxed) | lock::WAITERS | lock::FIRST | lock::SECOND);
        word.store(kept, Ordering::Relaxed);
    };
    entries.push(mutual(
        "acquire a lock kept for those who starve",
        Ends::AsBefore,
        false,
        keep,
        |space, made| {
            let starving = lock::WAITERS | lock::FIRST;
            let got = mutex::try_acquire(&space.segment, me(space), made.base, starving);
            assert!(got.expect("an answer"));
        },
    ));
    entries.push(mutual(
        "leave a lock that is kept for us",
        Ends::AsBefore,
        false,
        keep,
        |space, made| {
            drop(Waiter::counted(&space.segment, made.base.lock()));
        },
    ));
    entries.push(mutual(
        "release a lock with a sleeper",
        Ends::Changed,
        false,
        |space, made| {
            acquire(space, made);
            let word = space.segment.word(made.base.0);
            word.fetch_add(lock::WAITERS, Ordering::Relaxed);
        },
        release,
    ));
    entries.push(mutual(
        "acquire a lock, taking it over",
        Ends::AsBefore,
        true,
        |space, made| orphan(space, made.base.lock()),
        |space, made| {
            acquire(space, made);
            assert!(mutex::is_recovered(&space.segment, made.base));
        },
    ));
    entries.push(mutual(
        "acquire a lock, reaping who holds it",
        Ends::AsBefore,
        true,
        |space, made| {
            warm(space);
            victim(space, "never", |space| acquire(space, made));
        },
        |space, made| {
            while !mutex::try_acquire(&space.segment, me(space), made.base, 0).expect("an answer") {
                caller(space).wait_for(made.base.lock()).expect("to wait");
            }
            assert!(mutex::is_recovered(&space.segment, made.base));
        },
    ));
}
