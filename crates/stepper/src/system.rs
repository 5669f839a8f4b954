//! What the harness asks of the system: children, single steps, shared scratch memory.

use std::io;
use std::ptr::{self, NonNull};

/// Why a child stopped or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    Stopped(i32),
    Exited(i32),
    Killed(i32),
}

/// Forks; None in the child. A child never outlives us.
pub fn fork() -> Option<libc::pid_t> {
    // SAFETY: the harness has one thread, so the child may go on as if it were the parent.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if pid != 0 {
        return Some(pid);
    }
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    None
}

/// Ends this child without running anything of its parent's on the way out.
pub fn leave(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

pub fn alarm(seconds: u32) {
    // SAFETY: a plain integer.
    unsafe { libc::alarm(seconds) };
}

/// Keeps this process on one core, so that a step switches to and fro there and nowhere else.
pub fn pin(core: usize) {
    // SAFETY: an all-zero set is a valid value of that plain struct.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours, and the core's number comes from the set that we may run on.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is readable for its size. Failing costs time only.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// The core this process runs on now.
pub fn core() -> usize {
    // SAFETY: no arguments.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
}

/// In a child: its parent may step it from its next stop on.
pub fn allow_tracing() {
    let null = ptr::null_mut::<libc::c_void>();
    // SAFETY: this request takes no arguments.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, null, null) };
}

pub fn stop_here() {
    // SAFETY: a signal to ourselves.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Lets a stopped child that is not traced run.
pub fn go_on(pid: libc::pid_t) {
    // SAFETY: a child of ours that was not waited for.
    unsafe { libc::kill(pid, libc::SIGCONT) };
}

/// Lets a stopped child run, and delivers the signal that it stopped for.
pub fn pass(pid: libc::pid_t, signal: i32) -> io::Result<()> {
    let null = ptr::null_mut::<libc::c_void>();
    let signal = signal as usize as *mut libc::c_void;
    // SAFETY: the request takes no address; the last argument is a signal's number.
    match unsafe { libc::ptrace(libc::PTRACE_CONT, pid, null, signal) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Lets a stopped child execute one instruction.
pub fn step(pid: libc::pid_t) -> io::Result<()> {
    let null = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes no addresses; the last argument says that no signal is delivered.
    match unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, null, null) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub fn wait(pid: libc::pid_t) -> Event {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable.
        let got = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
        if got == pid {
            break;
        }
        let error = io::Error::last_os_error();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
    }
    if libc::WIFSTOPPED(status) {
        Event::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFSIGNALED(status) {
        Event::Killed(libc::WTERMSIG(status))
    } else {
        Event::Exited(libc::WEXITSTATUS(status))
    }
}

pub fn kill(pid: libc::pid_t) {
    // SAFETY: a child of ours that was not waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while let Event::Stopped(_) = wait(pid) {}
}

/// Memory of our own; shared with children forked later if there is no file.
pub fn map(length: usize, file: Option<i32>, writable: bool) -> NonNull<u8> {
    let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
    let (flags, file) = match file {
        None => (libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
        Some(file) => (libc::MAP_SHARED | libc::MAP_NORESERVE, file),
    };
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, file, 0) };
    assert_ne!(at, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    NonNull::new(at.cast()).expect("mmap never returns null")
}

/// Removes a mapping.
///
/// # Safety
/// Nobody uses it any more.
pub unsafe fn unmap(at: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(at.as_ptr().cast(), length) };
}

/// Makes pages readable only, or writable again.
///
/// # Safety
/// The pages are a mapping of ours that may have this protection.
pub unsafe fn protect(at: NonNull<u8>, length: usize, writable: bool) {
    let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
    // SAFETY: the caller's promise.
    let result = unsafe { libc::mprotect(at.as_ptr().cast(), length, protection) };
    if result != 0 {
        leave(70); // also called in a signal handler: nothing else may be done there
    }
}

/// What a handler with SA_SIGINFO looks like.
pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

pub fn on_signal(signal: i32, handler: Handler) {
    // SAFETY: an all-zero `sigaction` is a valid value of that plain struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the type that SA_SIGINFO asks for.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

/// The extents of a file that hold data, as (start, end).
pub fn extents(file: i32, length: u64) -> Vec<(u64, u64)> {
    let seek = |from: u64, what| {
        // SAFETY: an open descriptor and plain integers.
        u64::try_from(unsafe { libc::lseek(file, from as libc::off_t, what) }).ok()
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = seek(at, libc::SEEK_DATA) {
        let end = seek(start, libc::SEEK_HOLE).unwrap_or(length);
        found.push((start, end));
        at = end;
    }
    found
}
