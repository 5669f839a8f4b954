//! What the mutator asks of the system: children, memory shared with them, time.

use std::io;
use std::ptr::{self, NonNull};

/// How a child ended, or that it has not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Running,
    Exited(i32),
    Killed(i32),
}

/// Forks; None in the child. A child never outlives us.
pub fn fork() -> Option<libc::pid_t> {
    // SAFETY: the mutator has one thread, so the child may go on as if it were the parent.
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

fn ended(pid: libc::pid_t, flags: libc::c_int) -> End {
    let mut status = 0;
    // SAFETY: `status` is writable; the child is ours and was not waited for.
    match unsafe { libc::waitpid(pid, &raw mut status, flags) } {
        0 => End::Running,
        got if got != pid => panic!("waitpid: {}", io::Error::last_os_error()),
        _ if libc::WIFSIGNALED(status) => End::Killed(libc::WTERMSIG(status)),
        _ => End::Exited(libc::WEXITSTATUS(status)),
    }
}

/// Looks whether a child has ended.
pub fn look(pid: libc::pid_t) -> End {
    ended(pid, libc::WNOHANG)
}

/// Waits until a child ends.
pub fn wait(pid: libc::pid_t) -> End {
    ended(pid, 0)
}

pub fn stop_here() {
    // SAFETY: a signal to ourselves.
    unsafe { libc::raise(libc::SIGSTOP) };
}

pub fn wait_until_stopped(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is writable; the child is ours and was not waited for.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
    assert!(libc::WIFSTOPPED(status), "it ended: status {status:#x}");
}

pub fn go_on(pid: libc::pid_t) {
    // SAFETY: a child of ours that was not waited for.
    unsafe { libc::kill(pid, libc::SIGCONT) };
}

pub fn kill(pid: libc::pid_t) -> End {
    // SAFETY: a child of ours that was not waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait(pid)
}

pub fn pause(milliseconds: i32) {
    // SAFETY: no descriptors, only the time.
    unsafe { libc::poll(ptr::null_mut(), 0, milliseconds) };
}

/// Zeroed memory that children forked later share with us.
pub fn map(length: usize) -> NonNull<u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    NonNull::new(at.cast()).expect("mmap never returns null")
}

/// Makes `[from, to)` of a file a hole.
pub fn punch(file: i32, from: u64, to: u64) {
    let flags = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (at, length) = (from as libc::off_t, (to - from) as libc::off_t);
    // SAFETY: an open descriptor and plain integers.
    let result = unsafe { libc::fallocate(file, flags, at, length) };
    assert_eq!(result, 0, "fallocate: {}", io::Error::last_os_error());
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

/// The panics of a child, on its standard error: where, what, and beside which image.
pub fn tell_panics(about: impl Fn() -> String + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        let trace = std::backtrace::Backtrace::capture(); // if RUST_BACKTRACE asks for it
        eprintln!("{}: {info}\n{trace}", about());
    }));
}
