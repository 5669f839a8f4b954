//! What the tests are built on: a folder of their own, children that always end, short names.
#![allow(dead_code, clippy::disallowed_methods)]

use courtyard_core::census::{self, Census};
use courtyard_core::check;
use courtyard_core::inside::crash;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, NewValue, Stored, Writer};
use courtyard_core::offset::Object;
use courtyard_core::participant::Participant;
use courtyard_core::space::{Caller, Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, folder, os};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Forks, crash points and faults concern the whole process: one test of them at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|broken| broken.into_inner())
}

/// A folder as `COURTYARD_DIR` would name one, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        use std::os::unix::fs::DirBuilderExt;
        let stamp = os::boot_clock().as_nanos();
        let name = format!("courtyard-test-{}-{stamp}", std::process::id());
        let path = Path::new("/dev/shm").join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .unwrap();
        Folder(path)
    }

    pub fn space(&self) -> Space {
        folder::create(&self.0, HOOKS).unwrap()
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens the space once more, as another process would.
pub fn attach(space: &Space) -> Space {
    folder::attach(&space.segment.path(), space.uuid, HOOKS).unwrap()
}

pub fn me(space: &Space) -> &Participant {
    space.participant().unwrap()
}

/// Who we are there, for a call that waits as long as it takes.
pub fn caller(space: &Space) -> Caller<'_, '_> {
    Caller::new(space, me(space), &unlimited)
}

/// Sweeps, and proves that the space does not contradict itself, nor what is counted without a look at
/// every block.
pub fn census(space: &Space) -> Census {
    let mut tries = 0;
    loop {
        let checked = prove(space);
        let counted = census::count(space, &unlimited).unwrap();
        let taken = checked.taken; // pages that a check itself touched may be more
        if (Census { taken, ..counted }) == checked {
            return checked;
        }
        // What another process did between the two is in one of them only.
        tries += 1;
        assert!(tries < 50, "counted {counted:?}, proved {checked:?}");
        os::pause(Duration::from_millis(10));
    }
}

/// The same beside others at work.
pub fn prove(space: &Space) -> Census {
    check::check(space, &unlimited).unwrap()
}

/// What must come back to the same figures when all that was made is gone.
pub fn held(space: &Space) -> (u64, u64, u64) {
    let census = census(space);
    (census.objects, census.tickets, census.participants)
}

/// An object and our membership row.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub id: ObjectId,
    pub row: u64,
    pub base: Object,
}

pub fn try_make(space: &Space, kind: u64, length: u64) -> courtyard_core::error::Result<Made> {
    let (id, row) = object::create(caller(space), kind, length, |_| {})?;
    let (base, opened, there) = object::open(&space.segment, id).unwrap();
    assert_eq!((opened, there), (kind, length));
    Ok(Made { id, row, base })
}

pub fn make(space: &Space, kind: u64, length: u64) -> Made {
    try_make(space, kind, length).unwrap()
}

pub fn leave(space: &Space, made: Made) {
    courtyard_core::directory::leave(caller(space), made.row).unwrap();
}

pub fn writer(made: Made) -> Writer {
    Writer {
        object: made.base,
        guarded: true,
        thread: 1,
    }
}

pub fn get(space: &Space, made: Made) -> u64 {
    space
        .segment
        .word(made.base + object::DATA)
        .load(Ordering::Acquire)
}

/// Adds to a scalar under its lock.
pub fn add(space: &Space, made: Made, step: u64) -> u64 {
    let word = space.segment.word(made.base + object::DATA);
    object::change(caller(space), writer(made), || {
        let now = word.load(Ordering::Relaxed) + step;
        word.store(now, Ordering::Release);
        now
    })
    .unwrap()
}

/// As `add`, by the fast path; false if the lock is held.
pub fn add_fast(space: &Space, made: Made, step: u64) -> bool {
    let word = space.segment.word(made.base + object::DATA);
    let add = || word.store(word.load(Ordering::Relaxed) + step, Ordering::Release);
    // SAFETY: the tests' processes have one thread that changes objects.
    unsafe { object::change_fast(&space.segment, me(space), made.base, true, add) }.is_some()
}

pub fn try_write(space: &Space, made: Made, bytes: &[u8]) -> courtyard_core::error::Result<bool> {
    let writer = writer(made);
    object::write_bytes(caller(space), writer, 0, bytes, None)
}

pub fn write(space: &Space, made: Made, bytes: &[u8]) {
    assert!(try_write(space, made, bytes).unwrap());
}

pub fn read(space: &Space, made: Made, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    object::read_bytes(caller(space), writer(made), &mut bytes).unwrap();
    bytes
}

/// Stores bytes in a stored object; a short word (`tag 1`) if there are none.
pub fn put(space: &Space, made: Made, bytes: &[u8]) {
    let new = if bytes.is_empty() {
        NewValue::Word(1)
    } else {
        object::prepare(caller(space), 16, &[bytes]).unwrap()
    };
    let stored = object::store(caller(space), writer(made), &new, None).unwrap();
    assert!(stored);
}

/// What `put` stored.
pub fn take(space: &Space, made: Made) -> Vec<u8> {
    match object::load(caller(space), writer(made)).unwrap().0 {
        Stored::Word(_) => Vec::new(),
        Stored::Bytes(kind, bytes) => {
            assert_eq!(kind, 16);
            bytes
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Done,
    Failed,
    Killed,
    Hung,
}

pub struct Child(pub libc::pid_t);

/// Runs `body` in a forked child that ends with it: by itself, by its alarm, or with us.
pub fn spawn(body: impl FnOnce()) -> Child {
    // SAFETY: the child runs `body` and ends; the tests that fork run one at a time.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid != 0 {
        return Child(pid);
    }
    live();
    let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
    leave_now(i32::from(failed));
}

/// In a child: ends with its parent, and when its time is up; says why it panics.
pub fn live() {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: as above.
    unsafe { libc::alarm(30) };
    std::panic::set_hook(Box::new(|info| {
        let text = format!("child {}: {info}\n", std::process::id());
        // SAFETY: the text is readable for its length. The harness would swallow `eprintln`.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }));
}

pub fn leave_now(code: i32) -> ! {
    // SAFETY: nothing of the parent's is run on the way out.
    unsafe { libc::_exit(code) }
}

impl Child {
    pub fn kill(&self) {
        // SAFETY: a child of ours that was not waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    pub fn wait(self) -> End {
        let mut status = 0;
        // SAFETY: a child of ours that was not waited for; it ends by its alarm at the latest.
        let pid = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(pid, self.0);
        if libc::WIFSIGNALED(status) {
            match libc::WTERMSIG(status) {
                libc::SIGKILL => End::Killed,
                libc::SIGALRM => End::Hung,
                signal => panic!("the child died of signal {signal}"),
            }
        } else if libc::WEXITSTATUS(status) == 0 {
            End::Done
        } else {
            End::Failed
        }
    }
}

/// Runs `body` in a child that dies when it reaches `point` for the `skip`-th time. True: it did.
pub fn crashes(point: &'static str, skip: u32, body: impl FnOnce()) -> bool {
    let child = spawn(|| {
        crash::arm(point, skip);
        body();
    });
    match child.wait() {
        End::Killed => true,
        End::Done => false,
        end => panic!("{point} {skip}: the child {end:?}"),
    }
}

/// Waits until `condition` holds, some seconds at most.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
