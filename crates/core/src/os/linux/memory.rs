//! Mappings.

use super::call::{File, PAGE, checked};
use super::carrier::unforked;
use crate::os::fault;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// Maps `length` bytes of `file` from 0, also beyond its end: pages appear there as it grows.
pub fn map_shared(file: &File, length: usize) -> io::Result<NonNull<u8>> {
    fault::check("mmap")?;
    map(
        length,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_NORESERVE,
        file.as_raw_fd(),
    )
}

fn map(length: usize, protection: i32, flags: i32, fd: i32) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, fd, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Removes a mapping made here.
///
/// # Safety
/// Nobody uses these addresses any more.
pub unsafe fn unmap(at: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise; the range is a mapping of ours.
    unsafe { libc::munmap(at.as_ptr().cast(), length) };
}

/// Puts private memory that reads as zero in the place of a mapping, in one step.
///
/// # Errors
/// `ENOMEM`: the mapping is as it was.
///
/// # Safety
/// The range is a mapping made here, and whatever still reads it is content with zeros.
pub unsafe fn replace_by_zeros(at: NonNull<u8>, length: usize) -> io::Result<()> {
    fault::check("mmap")?;
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller's promise; the range is a mapping of ours.
    let mapped = unsafe { libc::mmap(at.as_ptr().cast(), length, access, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives the memory of a private page back: it reads as zero from now on.
///
/// # Safety
/// A page mapped here, and whoever reads it is content with zeros.
pub unsafe fn empty(at: NonNull<u8>) {
    // SAFETY: the caller's promise. Where it fails the page stays as it is, which does no harm.
    unsafe { libc::madvise(at.as_ptr().cast(), PAGE, libc::MADV_DONTNEED) };
}

/// Maps the first page of an open file description without access: it keeps the description,
/// and with it the description's locks, alive without a descriptor. No forked child has it, unless it
/// is to be `inherited`.
pub fn map_anchor(file: &File, inherited: bool) -> io::Result<NonNull<u8>> {
    if inherited {
        return map_description(file);
    }
    unforked(|| {
        let page = map_description(file)?;
        keep_from_children(page).inspect_err(|_| {
            // SAFETY: mapped just above, used by nobody.
            unsafe { unmap(page, PAGE) }
        })?;
        Ok(page)
    })
}

fn map_description(file: &File) -> io::Result<NonNull<u8>> {
    fault::check("mmap")?;
    if fault::check("anchor").is_err() {
        // As on the file systems whose mappings keep another description than ours.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        return map(PAGE, libc::PROT_NONE, flags, -1);
    }
    map(PAGE, libc::PROT_NONE, libc::MAP_SHARED, file.as_raw_fd())
}

fn advise(at: NonNull<u8>, advice: libc::c_int) -> io::Result<()> {
    fault::check("madvise")?;
    // SAFETY: the callers pass one whole page mapped here; the advice only concerns forks.
    checked(unsafe { libc::madvise(at.as_ptr().cast(), PAGE, advice) }).map(drop)
}

/// A forked child does not inherit this page.
pub fn keep_from_children(at: NonNull<u8>) -> io::Result<()> {
    advise(at, libc::MADV_DONTFORK)
}

/// A private page that reads as zero in a forked child (`MADV_WIPEONFORK`, Linux 4.14).
pub fn map_wiped_on_fork() -> io::Result<NonNull<u8>> {
    fault::check("mmap")?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let page = map(PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1)?;
    if let Err(error) = advise(page, libc::MADV_WIPEONFORK) {
        // SAFETY: mapped just above, used by nobody.
        unsafe { unmap(page, PAGE) };
        return Err(error);
    }
    Ok(page)
}
