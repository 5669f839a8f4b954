//! Threads of our own, and how one is ended from outside its own code.

use crate::os::fault;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr;
use std::sync::OnceLock;

/// What a thread of ours has for its calls.
const STACK: usize = 256 << 10;

/// Starts a thread in which no signal handler runs: the program's signals go to its own threads.
///
/// # Errors
/// As pthread_create(3).
pub fn spawn_without_signals(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    fault::check("pthread_create")?;
    // SAFETY: zeros are a set of signals, which is filled before it is used.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: a set of our own.
    unsafe { libc::sigfillset(&raw mut all) };
    // The thread inherits the mask.
    // SAFETY: sets of our own.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let thread = std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK);
    let spawned = thread.spawn(run);
    // SAFETY: the set that the call above filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    spawned.map(drop)
}

/// What the C library calls with the argument that it was given.
pub type Routine = extern "C" fn(*mut c_void);

/// An entry of the C library's list of what a thread runs when it ends itself (`pthread_exit`).
#[repr(C)]
struct Entry {
    routine: Option<Routine>,
    argument: *mut c_void,
    kind: c_int,
    previous: *mut Entry,
}

type Push = unsafe extern "C" fn(*mut Entry, Routine, *mut c_void);

/// The old form of `pthread_cleanup_push`, in glibc and in musl: a list, and not the frame of a caller.
fn push() -> Option<Push> {
    let name = c"_pthread_cleanup_push";
    // SAFETY: the name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function of that type, or null, which is None.
    unsafe { std::mem::transmute::<*mut c_void, Option<Push>>(found) }
}

/// Not on the stack: frames are left from the innermost on, and what is older than one that is left is
/// run before that. An entry elsewhere in memory is older than the first.
fn entry() -> *mut Entry {
    Box::into_raw(Box::new(Entry {
        routine: None,
        argument: ptr::null_mut(),
        kind: 0,
        previous: ptr::null_mut(),
    }))
}

/// Two entries for a thread, and what to do with them.
struct Pair {
    push: Push,
    routine: Routine,
    newest: *mut Entry,
    oldest: *mut Entry,
}

impl Pair {
    fn new(push: Push, routine: Routine) -> Pair {
        let (newest, oldest) = (entry(), entry());
        // SAFETY: nobody else knows it.
        unsafe { (*oldest).routine = Some(routine) };
        Pair {
            push,
            routine,
            newest,
            oldest,
        }
    }

    /// Puts them on the list of the calling thread. A wait that a signal interrupts has an entry there, with
    /// which all that is newer goes: so one is put before all others, too.
    ///
    /// # Safety
    /// Only in that thread.
    unsafe fn put(&self) {
        // SAFETY: this thread's.
        if unsafe { (*self.newest).routine }.is_some() {
            return; // somebody sends the signal once more
        }
        // SAFETY: the entry stays for good. The function stores it in what the C library keeps of this
        // thread, and does nothing else.
        unsafe { (self.push)(self.newest, self.routine, ptr::null_mut()) };
        let mut last = self.newest;
        loop {
            // SAFETY: what is on the list lies in frames that this thread is in, or stays for good.
            let previous = unsafe { (*last).previous };
            if previous.is_null() {
                break;
            }
            last = previous;
        }
        if last != self.newest {
            // SAFETY: as above.
            unsafe { (*last).previous = self.oldest };
        }
    }
}

/// Has `routine` run when this thread ends itself by `pthread_exit`, before its stack is taken apart,
/// whatever lies there; not when the thread's function returns. Nothing is run where the C library
/// has no such list. For processes that end: what it takes is not given back.
pub fn before_thread_exit(routine: Routine) {
    if let Some(push) = push() {
        // SAFETY: a new pair.
        unsafe { Pair::new(push, routine).put() };
    }
}

/// What a signal tells threads to put on their lists.
struct Errand(Vec<(u64, Pair)>);

// SAFETY: each pair is reached by the thread that it is for only.
unsafe impl Send for Errand {}
// SAFETY: as above.
unsafe impl Sync for Errand {}

static ERRAND: OnceLock<Errand> = OnceLock::new();

/// Signals that do nothing unless somebody wants them to.
const HARMLESS: [c_int; 2] = [libc::SIGURG, libc::SIGWINCH];

extern "C" fn run_errand(_: c_int) {
    // SAFETY: no arguments, cannot fail.
    let me = unsafe { libc::pthread_self() } as u64;
    let pairs = ERRAND.get().map_or(&[][..], |errand| &errand.0);
    if let Some((_, pair)) = pairs.iter().find(|(thread, _)| *thread == me) {
        // SAFETY: this thread's.
        unsafe { pair.put() };
    }
}

/// As `before_thread_exit`, in other threads, wherever they are: a signal tells them, if there is one that
/// the program has no use for. Those that block it are left out. For one call in a process.
///
/// # Safety
/// Each is a thread (`pthread_t`) that is there until this returns.
pub unsafe fn before_threads_exit(threads: &[u64], routine: Routine) {
    let Some(push) = push() else { return };
    let pairs = threads
        .iter()
        .map(|&thread| (thread, Pair::new(push, routine)));
    if ERRAND.set(Errand(pairs.collect())).is_err() {
        return;
    }
    // SAFETY: zeroes are a disposition: the default one, with no flags.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = run_errand as *const () as usize;
    ours.sa_flags = libc::SA_RESTART;
    for signal in HARMLESS {
        // SAFETY: as above.
        let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: only asks.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), &raw mut before) };
        if asked != 0 || before.sa_sigaction != libc::SIG_DFL {
            continue; // it is the program's
        }
        // SAFETY: a handler that does what handlers may.
        unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) };
        // Each runs the handler before anything else of its own. It stays: this process ends.
        for &thread in threads {
            // SAFETY: the caller's promise.
            unsafe { libc::pthread_kill(thread as libc::pthread_t, signal) };
        }
        return;
    }
}
