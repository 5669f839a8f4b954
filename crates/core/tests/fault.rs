//! Each system call that making, opening and using a space needs fails once, in every way that
//! matters: a clean error or a way around it, and nothing is left behind.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::object::{self, BYTES, Entered, SCALAR, Writer};
use courtyard_core::os::fault;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::{AtomicBool, AtomicU64, Ordering};
use courtyard_core::{HOOKS, directory, folder, lock};
use stage::{Folder, add, alone, caller, census, held, leave, make, try_make};

/// Every call of the door, as it is named there.
const CALLS: [&str; 29] = [
    "fchmod",
    "chmod",
    "open",
    "open_unnamed",
    "open_new",
    "dup",
    "pwrite",
    "pread",
    "readdir",
    "mkdir",
    "fstat",
    "stat",
    "fstatfs",
    "ftruncate",
    "fallocate",
    "punch",
    "membarrier",
    "mmap",
    "anchor",
    "madvise",
    "ofd_lock",
    "ofd_lock_wait",
    "ofd_query",
    "getrandom",
    "link_unnamed",
    "link",
    "unlink",
    "futex_wait",
    "futex_wake",
];
const ERRORS: [i32; 6] = [
    libc::ENOSPC,
    libc::EMFILE,
    libc::ENOMEM,
    libc::EINTR,
    libc::ENOSYS,
    libc::EACCES,
];
/// What a signal may cut short is begun again.
const REPEATED: [&str; 7] = [
    "open",
    "open_unnamed",
    "open_new",
    "ftruncate",
    "fallocate",
    "punch",
    "getrandom",
];

/// Descriptors of this process, and its mappings of files in the folder.
fn belongings(folder: &Folder) -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let name = folder.0.to_str().unwrap();
    let mapped = maps.lines().filter(|line| line.contains(name)).count();
    (descriptors, mapped)
}

/// Fails every call of `body` once, in every way, after `before`; `after` sees how it went. Which
/// calls there were to fail must be those `expected`: a call that is never met is never tested.
fn fail_everywhere<B, T>(
    expected: &[&str],
    before: impl Fn() -> B,
    body: impl Fn(&B) -> Result<T, Error>,
    after: impl Fn(&str, B, Result<T, Error>),
) {
    let mut met = Vec::new();
    for call in CALLS {
        for errno in ERRORS {
            for skip in 0.. {
                let stage = before();
                fault::arm(call, skip, errno, false);
                let result = body(&stage);
                let fired = !fault::disarm();
                let at = format!("{call} {skip}, errno {errno}");
                if let Err(error) = &result {
                    let clean = !matches!(error, Error::Corrupt(_) | Error::Layout(_));
                    assert!(fired && clean, "{at}: {error}");
                    let repeated = errno == libc::EINTR && REPEATED.contains(&call);
                    assert!(!repeated, "{at}: {error}");
                }
                after(&at, stage, result);
                if !fired {
                    break;
                }
                if !met.contains(&call) {
                    met.push(call);
                }
            }
        }
    }
    met.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(met, expected);
}

const MAKING: &[&str] = &[
    "anchor",
    "dup",
    "fallocate",
    "fchmod",
    "fstat",
    "fstatfs",
    "ftruncate",
    "getrandom",
    "link_unnamed",
    "madvise",
    "mmap",
    "ofd_lock",
    "ofd_query",
    "open",
    "open_unnamed",
    "pread",
    "pwrite",
];
const MAKING_A_DRAFT: &[&str] = &["link", "open_new", "stat", "unlink"];
const OPENING: &[&str] = &[
    "anchor",
    "fallocate",
    "fstat",
    "fstatfs",
    "madvise",
    "mmap",
    "ofd_lock",
    "ofd_lock_wait",
    "ofd_query",
    "open",
    "pread",
    "stat",
];
const USING: &[&str] = &["fallocate", "fstat", "membarrier", "ofd_query", "punch"];
const FORKING: &[&str] = &[
    "anchor",
    "fallocate",
    "fstat",
    "mmap",
    "ofd_lock",
    "ofd_query",
    "open",
];
const MAKING_THE_FOLDER: &[&str] = &["chmod", "fstat", "mkdir", "stat"];
const CLEANING: &[&str] = &[
    "fstat",
    "ofd_lock",
    "ofd_query",
    "open",
    "pread",
    "pwrite",
    "readdir",
    "stat",
    "unlink",
];
const ENDING: &[&str] = &[
    "fstat",
    "mmap",
    "ofd_lock",
    "ofd_query",
    "open",
    "pread",
    "stat",
    "unlink",
];
const GIVING_BACK: &[&str] = USING;
const CONTENDING: &[&str] = &["fstat", "futex_wait", "futex_wake", "ofd_query"];

/// The lists above together are the door: nothing in it goes untested.
#[test]
fn every_call_is_among_them() {
    let source = concat!(
        include_str!("../src/os/linux/call.rs"),
        include_str!("../src/os/linux/memory.rs"),
        include_str!("../src/os/linux/barrier.rs")
    );
    let names = |before: &str| -> Vec<&str> {
        let parts = source.split(before).skip(1);
        parts.filter_map(|part| part.split('"').next()).collect()
    };
    let mut there = names("fault::check(\"");
    there.extend(names("open_flags(\""));
    there.extend(names("open_flags(\n        \""));
    there.retain(|&call| call != "boot_id"); // zeros where the kernel doesn't say
    there.sort_unstable();
    there.dedup();
    let lists = [
        MAKING,
        MAKING_A_DRAFT,
        MAKING_THE_FOLDER,
        OPENING,
        USING,
        FORKING,
        CLEANING,
        ENDING,
        GIVING_BACK,
        CONTENDING,
    ];
    let mut tested: Vec<&str> = lists.concat();
    tested.sort_unstable();
    tested.dedup();
    let mut calls = CALLS;
    calls.sort_unstable();
    assert_eq!(tested, calls);
    assert_eq!(there, calls);
}

/// What works when nothing fails.
fn works(space: &Space, at: &str) {
    let made = make(space, SCALAR, 0);
    assert_eq!(add(space, made, 2), 2, "{at}");
    leave(space, made);
    census(space);
}

#[test]
fn making_a_space() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fail_everywhere(
        MAKING,
        || {},
        |()| folder::create(&folder.0, HOOKS),
        |at, (), made| {
            if let Ok(space) = made {
                works(&space, at);
                space.discard();
                assert_eq!(folder::clean(&folder.0), 1, "{at}");
            }
            // A draft whose unlinking failed is cleaned like any dead space.
            folder::clean(&folder.0);
            assert_eq!(folder.files().len(), 0, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

#[test]
fn without_unnamed_files() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    let mut calls = [MAKING, MAKING_A_DRAFT].concat();
    calls.retain(|&call| call != "link_unnamed");
    fail_everywhere(
        &calls,
        || {},
        |()| {
            fault::arm("open_unnamed", 0, libc::EOPNOTSUPP, true);
            folder::create(&folder.0, HOOKS)
        },
        |at, (), made| {
            if let Ok(space) = made {
                assert_eq!(folder.files(), [space.segment.path()]);
                works(&space, at);
                let second = stage::attach(&space);
                works(&second, at);
                second.discard();
                space.discard();
            }
            while folder::clean(&folder.0) > 0 {}
            assert_eq!(folder.files().len(), 0, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

/// Where a mapping doesn't hold the lock that says who lives, a descriptor does.
#[test]
fn without_anchors() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fault::arm("anchor", 0, libc::ENOSYS, true);
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let reservation = courtyard_core::fork::before(&space).unwrap().unwrap();
    // SAFETY: the child works in the space and ends; no other test runs meanwhile.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        stage::live();
        courtyard_core::fork::after_in_child(&space, reservation).unwrap();
        add(&space, made, 1);
        // The parent is as dead as its own descriptor says; ours of its lock is closed.
        stage::leave_now(i32::from(add(&space, made, 1) != 2));
    }
    courtyard_core::fork::after_in_parent(reservation);
    assert_eq!(stage::Child(pid).wait(), stage::End::Done);
    assert_eq!(held(&space), (1, 0, 1), "the child's place was given back");
    let second = stage::attach(&space);
    assert_eq!(held(&second), (1, 0, 2));
    second.discard();
    assert_eq!(held(&space), (1, 0, 1));
    leave(&space, made);
    space.discard();
    fault::disarm();
    assert_eq!(folder::clean(&folder.0), 1);
    assert_eq!(belongings(&folder), before);
}

#[test]
fn making_the_folder() {
    let _alone = alone();
    let home = Folder::new();
    let path = home.0.join("spaces");
    // A umask that leaves nothing of what is asked for.
    // SAFETY: a plain integer; no other test makes files meanwhile.
    let mask = unsafe { libc::umask(0o777) };
    fail_everywhere(
        MAKING_THE_FOLDER,
        || {},
        |()| folder::open(Some(&path)),
        |at, (), _| {
            assert_eq!(folder::open(Some(&path)).unwrap(), path, "{at}");
            std::fs::remove_dir(&path).unwrap();
        },
    );
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
}

#[test]
fn cleaning() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fail_everywhere(
        CLEANING,
        || {
            let (dead, waiting) = (folder.space(), folder.space());
            let made = make(&waiting, SCALAR, 0);
            add(&waiting, made, 5);
            let ticket = directory::send(caller(&waiting), made.id).unwrap();
            let (path, uuid) = (waiting.segment.path(), waiting.uuid);
            dead.discard();
            waiting.discard();
            (path, uuid, made, ticket)
        },
        |_| {
            folder::clean(&folder.0);
            Ok(())
        },
        |at, (path, uuid, made, ticket), _| {
            // A pickle may be under way: what cannot be looked at stays.
            let space = folder::attach(&path, uuid, HOOKS).expect(at);
            let row = directory::receive(caller(&space), made.id, ticket).expect(at);
            assert_eq!(stage::get(&space, made), 5, "{at}");
            leave(&space, stage::Made { row, ..made });
            space.discard();
            while folder::clean(&folder.0) > 0 {}
            assert_eq!(folder.files().len(), 0, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

/// A private space that holds nothing ends, or is there as before.
#[test]
fn ending() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fail_everywhere(
        ENDING,
        || folder.space(),
        folder::end,
        |at, space, ended| {
            if matches!(ended, Ok(true)) {
                assert_eq!(folder.files().len(), 0, "{at}");
                if at.starts_with("mmap 0") {
                    space.discard(); // its memory stayed
                }
            } else {
                works(&space, at);
                space.discard();
                assert_eq!(folder::clean(&folder.0), 1, "{at}");
            }
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

/// Memory goes back, and is taken again: what is refused changes nothing.
#[test]
fn giving_back() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    space.trim(&unlimited).unwrap();
    let (before, at_first) = (belongings(&folder), held(&space));
    fail_everywhere(
        GIVING_BACK,
        || {
            leave(&space, make(&space, object::BYTES, 3 << 20));
            space.trim(&unlimited).unwrap();
            let space = stage::attach(&space);
            stage::me(&space);
            space
        },
        |space| {
            let made = stage::try_make(space, object::BYTES, 3 << 20)?;
            leave(space, made);
            let first = space.trim(&unlimited)?;
            // Where the first one was refused, the file may still make holes.
            Ok(first + space.trim(&unlimited)?)
        },
        |at, second, _| {
            works(&second, at);
            second.discard();
            assert_eq!(held(&space), at_first, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
    space.discard();
}

/// A block takes the free run at the end, whose pages have gone back, and units by which the file grows.
#[test]
fn taking_the_last_run_and_more() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fail_everywhere(
        &["fallocate", "fstat", "ofd_query"],
        || {
            let space = folder.space();
            leave(&space, make(&space, BYTES, 3 << 20));
            space.trim(&unlimited).unwrap();
            space
        },
        |space| try_make(space, BYTES, 4 << 20).map(|made| leave(space, made)),
        |at, space, _| {
            assert_eq!(held(&space), (0, 0, 1), "{at}");
            leave(&space, make(&space, BYTES, 4 << 20));
            works(&space, at);
            space.discard();
            assert_eq!(folder::clean(&folder.0), 1);
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

/// One waits for a lock, the other wakes it.
#[test]
fn contending() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let other = stage::attach(&space);
    let before = belongings(&folder);
    let holder = Writer {
        thread: 2,
        ..stage::writer(made)
    };
    let word = space.segment.word(made.base + object::DATA);
    let lock = space.segment.word(made.base.0);
    let (total, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let contend = || {
        let me = stage::me(&other);
        let entered = object::enter(&other.segment, me, holder, 0).unwrap();
        assert_eq!(entered, Entered::Yes);
        ended.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let added = object::change(caller(&space), stage::writer(made), || {
                    word.fetch_add(1, Ordering::AcqRel)
                });
                ended.store(true, Ordering::Relaxed);
                added
            });
            while lock.load(Ordering::Relaxed) & lock::WAITERS == 0
                && !ended.load(Ordering::Relaxed)
            {
                courtyard_core::os::yield_now();
            }
            assert!(object::exit(&other.segment, me, holder));
            waiter.join().unwrap()
        })
    };
    fail_everywhere(
        CONTENDING,
        || {},
        |()| contend(),
        |at, (), added| {
            total.fetch_add(u64::from(added.is_ok()), Ordering::Relaxed);
            let total = total.load(Ordering::Relaxed);
            assert_eq!(word.load(Ordering::Relaxed), total, "{at}");
            assert_eq!(lock.load(Ordering::Relaxed), 0, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
    // Where there is nothing to sleep with at all, who waits looks again and again.
    fault::arm("futex_wait", 0, libc::ENOSYS, true);
    fault::arm("futex_wake", 0, libc::ENOSYS, true);
    assert!(contend().is_ok());
    fault::disarm();
    other.discard();
    leave(&space, made);
}

#[test]
fn opening_a_space() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 50_000);
    let before = belongings(&folder);
    let figures = held(&space);
    fail_everywhere(
        OPENING,
        || {},
        |()| folder::attach(&space.segment.path(), space.uuid, HOOKS),
        |at, (), opened| {
            if let Ok(other) = opened {
                works(&other, at);
                other.discard();
            }
            assert_eq!(held(&space), figures, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
    leave(&space, made);
}

#[test]
fn using_a_space() {
    let _alone = alone();
    let folder = Folder::new();
    let before = belongings(&folder);
    fail_everywhere(
        USING,
        || folder.space(),
        |space| {
            // What came to be is left again, even if the next one failed.
            let made = try_make(space, BYTES, 20_000)?;
            let more = try_make(space, BYTES, 1 << 20); // grows the file
            leave(space, made);
            more.map(|more| leave(space, more))
        },
        |at, space, _| {
            assert_eq!(held(&space), (0, 0, 1), "{at}");
            works(&space, at);
            space.discard();
            assert_eq!(folder::clean(&folder.0), 1);
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
}

#[test]
fn forking_and_sweeping() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 100);
    let before = belongings(&folder);
    let figures = held(&space);
    fail_everywhere(
        FORKING,
        || {},
        |()| {
            let reservation = courtyard_core::fork::before(&space)?;
            reservation
                .into_iter()
                .for_each(courtyard_core::fork::after_in_parent);
            space.sweep(&unlimited)
        },
        |at, (), _| {
            assert_eq!(held(&space), figures, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
    leave(&space, made);
}

/// Another process removes the file between any two steps: then it is gone, as was asked.
#[test]
fn removed_by_another() {
    let _alone = alone();
    let folder = Folder::new();
    let wish = folder::Wish {
        create: true,
        limit: None,
        looks: false,
    };
    for (call, force) in [
        ("open", false),
        ("open", true),
        ("unlink", false),
        ("unlink", true),
    ] {
        let space = folder::open_named(&folder.0, "x", wish, HOOKS).unwrap();
        let path = space.segment.path();
        space.discard();
        fault::arm(call, 0, libc::ENOENT, false);
        let removed = folder::remove(&path, None, force);
        assert!(!fault::disarm(), "{call} was not reached");
        assert!(removed.unwrap(), "{call}");
        let _ = std::fs::remove_file(&path);
    }
}
