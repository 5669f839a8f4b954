//! Sleeping on several words at once, and a descriptor that tells an event loop.

use super::call::{Woken, checked, clock, unbroken, why};
use crate::os::fault;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

/// A 32-bit word, and what it reads while one sleeps on it: as futex_waitv(2) takes it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Awaited {
    expected: u64,
    word: u64,
    flags: u32,
    reserved: u32,
}

/// The most words of one call.
pub const MOST_AWAITED: usize = 128;

/// `FUTEX2_SIZE_U32`, of a word in shared memory.
const SHARED_WORD: u32 = 2;

impl Awaited {
    pub fn new(word: *const u32, expected: u32) -> Awaited {
        Awaited {
            expected: expected.into(),
            word: word as u64,
            flags: SHARED_WORD,
            reserved: 0,
        }
    }
}

/// Sleeps while all of these words read as expected (futex_waitv(2), Linux 5.16); they are woken with
/// `futex_wake` as others are.
///
/// # Errors
/// Where the kernel has no such call (`ENOSYS`), or a sandbox does not let us make it.
///
/// # Safety
/// The words are mapped and stay mapped during the call.
pub unsafe fn futex_wait_any(awaited: &[Awaited], limit: Duration) -> io::Result<Woken> {
    fault::check("futex_waitv")?;
    let end = clock(libc::CLOCK_MONOTONIC).saturating_add(limit);
    let end = libc::timespec {
        tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(end.subsec_nanos()),
    };
    // SAFETY: the caller keeps the words mapped; the kernel only reads them and the slice.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            awaited.as_ptr(),
            awaited.len(),
            0usize,
            &raw const end,
            libc::CLOCK_MONOTONIC,
        )
    };
    if result >= 0 {
        return Ok(Woken::Changed);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ETIMEDOUT | libc::EINTR) => Ok(why(&error)),
        _ => Err(error),
    }
}

/// A descriptor that is readable from `signal` until `drain` (eventfd(2)).
///
/// # Errors
/// `EMFILE` and the like.
pub fn event() -> io::Result<File> {
    fault::check("eventfd")?;
    // SAFETY: no pointers.
    let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: `fd` was just opened and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Makes it readable.
pub fn signal(event: &File) {
    let one = 1_u64;
    // It fails only where it is readable already, from 2^64 - 2 signals.
    let _ = unbroken(|| {
        // SAFETY: eight bytes, which outlive the call.
        let written = unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
        if written < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    });
}

/// Makes it unreadable; whether it was readable.
pub fn drain(event: &File) -> bool {
    let mut count = 0_u64;
    let read = unbroken(|| {
        // SAFETY: eight bytes, which outlive the call.
        let read = unsafe { libc::read(event.as_raw_fd(), (&raw mut count).cast(), 8) };
        if read < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    });
    read.is_ok()
}
