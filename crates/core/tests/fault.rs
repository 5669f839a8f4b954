//! Each system call that making, opening and using a space needs fails once, in every way that
//! matters: a clean error or a way around it, and nothing is left behind.

mod stage;

use courtyard_core::cell::{BYTES, SCALAR};
use courtyard_core::error::Error;
use courtyard_core::os::fault;
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, folder};
use stage::{Folder, add, alone, census, held, leave, make, try_make};

const CALLS: [&str; 16] = [
    "open",
    "open_unnamed",
    "fstat",
    "stat",
    "fstatfs",
    "ftruncate",
    "fallocate",
    "mmap",
    "madvise",
    "ofd_lock",
    "ofd_lock_wait",
    "ofd_query",
    "getrandom",
    "link_unnamed",
    "link",
    "unlink",
];
const ERRORS: [i32; 6] = [
    libc::ENOSPC,
    libc::EMFILE,
    libc::ENOMEM,
    libc::EINTR,
    libc::ENOSYS,
    libc::EACCES,
];

/// Descriptors of this process, and its mappings of files in the folder.
fn belongings(folder: &Folder) -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let name = folder.0.to_str().unwrap();
    let mapped = maps.lines().filter(|line| line.contains(name)).count();
    (descriptors, mapped)
}

/// Fails every call of `body` once, in every way, after `before`; `after` sees how it went.
fn fail_everywhere<B, T>(
    before: impl Fn() -> B,
    body: impl Fn(&B) -> Result<T, Error>,
    after: impl Fn(&str, B, Result<T, Error>),
) {
    for call in CALLS {
        for errno in ERRORS {
            for skip in 0.. {
                let stage = before();
                fault::arm(call, skip, errno, false);
                let result = body(&stage);
                let fired = !fault::disarm();
                let at = format!("{call} {skip}, errno {errno}");
                if let Err(error) = &result {
                    let expected = fired && !matches!(error, Error::Corrupt(_) | Error::Layout(_));
                    assert!(expected, "{at}: {error}");
                }
                after(&at, stage, result);
                if !fired {
                    break;
                }
            }
        }
    }
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
    fault::arm("open_unnamed", 0, libc::EOPNOTSUPP, true);
    let space = folder.space();
    fault::disarm();
    works(&space, "a draft");
    assert_eq!(folder.files(), [space.segment.path()]);
    works(&stage::attach(&space), "attached");
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
        || {},
        |()| {
            let heir = courtyard_core::fork::before(&space)?;
            heir.into_iter()
                .for_each(courtyard_core::fork::after_in_parent);
            space.sweep(&mut courtyard_core::space::patient)
        },
        |at, (), _| {
            assert_eq!(held(&space), figures, "{at}");
            assert_eq!(belongings(&folder), before, "{at}");
        },
    );
    leave(&space, made);
}
