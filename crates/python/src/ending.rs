//! The end of the interpreter beside daemon threads.
//!
//! Before Python 3.14 a thread that wants the GIL back once the interpreter has ended is ended there
//! (`pthread_exit`), by unwinding its stack, and that aborts the process where frames of ours lie on it:
//! in a call that runs code of the user's. So when the interpreter begins to end, its threads are told to
//! sleep for good instead, before their stacks are touched; Python 3.14 has them do so itself. Who waits
//! without the GIL PyO3 lets sleep.
//!
//! What such a call holds is never given back in this process, where later functions of `atexit` or
//! finalizers may want it. So the interpreter does not end before such calls have come back, as far
//! as they do within a second, and no new ones begin meanwhile.

use courtyard_core::os;
use courtyard_core::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use pyo3::prelude::*;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the end of the interpreter waits at most, and for how long after that calls give way.
const GRACE: Duration = Duration::from_secs(1);
/// How long a thread sleeps at once that sleeps for good.
const A_WHILE: Duration = Duration::from_secs(3600);
const TURN: Duration = Duration::from_micros(500);
/// How long a call gives way once the interpreter is about to end: it may still run other
/// functions of atexit, which may wait for that call.
const ASIDE: Duration = Duration::from_millis(200);

static ENDING: AtomicBool = AtomicBool::new(false);
/// When that was, in milliseconds since `BASE`.
static ENDED: AtomicU64 = AtomicU64::new(0);
static BASE: OnceLock<Instant> = OnceLock::new();
/// Calls under way in all threads, but for those that wait. Changed by who has the GIL alone, so by a
/// load and a store.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// Calls that are in code without the GIL.
static AWAY: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Whether this thread ends the interpreter.
    static ENDS: Cell<bool> = const { Cell::new(false) };
    /// Whether it has made a call since then.
    static KEPT: Cell<bool> = const { Cell::new(false) };
}

#[inline(always)]
fn add() {
    let inside = INSIDE.load(Ordering::Relaxed);
    INSIDE.store(inside.wrapping_add(1), Ordering::Relaxed);
}

/// A forked child begins with 0, in whatever call its parent was.
#[inline(always)]
fn subtract() {
    let inside = INSIDE.load(Ordering::Relaxed);
    INSIDE.store(inside.saturating_sub(1), Ordering::Relaxed);
}

/// Milliseconds since `BASE`.
fn now() -> u64 {
    let since = BASE.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A call begins that may run code of the user's.
#[inline(always)]
pub fn enter(py: Python<'_>) {
    if ENDING.load(Ordering::Relaxed) {
        give_way(py);
    }
    add();
}

/// Sleeps for good, where the interpreter would end the thread.
extern "C" fn sleep(_: *mut c_void) {
    while ENDING.load(Ordering::Relaxed) {
        os::pause(A_WHILE);
    }
}

/// Has all other threads that run Python code sleep where the interpreter would end them.
fn keep_others(py: Python<'_>) -> PyResult<()> {
    if py.version_info() >= (3, 14) {
        return Ok(());
    }
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let keys = frames.try_iter()?.map(|key| key?.extract());
    let mut threads = keys.collect::<PyResult<Vec<u64>>>()?;
    let me: u64 = py.import("_thread")?.call_method0("get_ident")?.extract()?;
    threads.retain(|&thread| thread != me);
    if !threads.is_empty() {
        // SAFETY: the GIL is held, and a thread that runs Python code needs it to end.
        unsafe { os::before_threads_exit(&threads, sleep) };
    }
    Ok(())
}

#[cold]
fn give_way(py: Python<'_>) {
    if !ENDS.get() && !KEPT.replace(true) {
        os::before_thread_exit(sleep); // it may be new
    }
    let since = now().saturating_sub(ENDED.load(Ordering::Relaxed));
    if !ENDS.get() && u128::from(since) < GRACE.as_millis() {
        py.detach(|| os::pause(ASIDE));
    }
}

/// It ends; the GIL is held, as when it began.
#[inline(always)]
pub fn leave() {
    subtract();
}

/// As `detach`, for what waits: meanwhile the call does not keep the interpreter from ending. One
/// around it, whose code made this call, does.
pub fn waiting<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    subtract();
    AWAY.fetch_add(1, Ordering::Relaxed);
    let result = py.detach(work);
    AWAY.fetch_add(u32::MAX, Ordering::Relaxed);
    add();
    result
}

/// Whether a thread is in a call without the GIL, or was when the interpreter ended.
pub fn is_any_away() -> bool {
    AWAY.load(Ordering::Relaxed) > 0
}

/// In a forked child: the other threads' calls are not here.
pub fn after_fork() {
    ENDING.store(false, Ordering::Relaxed);
    INSIDE.store(0, Ordering::Relaxed);
    AWAY.store(0, Ordering::Relaxed);
}

/// Waits until no other thread is in a call that may run code of the user's: before the interpreter
/// ends.
#[pyfunction]
pub fn end(py: Python<'_>) -> PyResult<()> {
    ENDS.set(true);
    ENDED.store(now(), Ordering::Relaxed);
    ENDING.store(true, Ordering::Relaxed);
    keep_others(py)?;
    let begun = Instant::now();
    while INSIDE.load(Ordering::Relaxed) > 0 && begun.elapsed() < GRACE {
        py.detach(|| os::pause(TURN));
    }
    ENDED.store(now(), Ordering::Relaxed);
    Ok(())
}
