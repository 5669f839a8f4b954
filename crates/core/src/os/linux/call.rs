//! Linux, 4.18 and later. Every function here is one system call, or one with its fallback.

use crate::os::fault;
use std::ffi::CString;
pub use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const PAGE: usize = 4096;

pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

pub(super) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Repeats a call that a signal cut short. Only for calls that do not wait.
pub(super) fn unbroken<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            result => return result,
        }
    }
}

pub(super) fn open_flags(call: &'static str, path: &Path, flags: libc::c_int) -> io::Result<File> {
    let path = c_path(path)?;
    unbroken(|| {
        fault::check(call)?;
        // SAFETY: `path` is a NUL-terminated string that outlives the call.
        let fd = checked(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) })?;
        // SAFETY: `fd` was just opened and belongs to nobody else.
        Ok(unsafe { File::from_raw_fd(fd) })
    })
}

/// Opens an existing file for reading and writing; a symbolic link is refused. It waits for nobody:
/// neither for what a device needs, nor for a lease that its owner holds.
pub fn open(path: &Path) -> io::Result<File> {
    let quick = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    open_flags("open", path, libc::O_RDWR | quick)
}

/// A new open file description of the file behind `file`, even if its path is gone.
pub fn reopen(file: &File) -> io::Result<File> {
    open_flags(
        "open",
        Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())),
        libc::O_RDWR,
    )
}

/// An unnamed file in `folder`, to be linked in when it is whole.
pub fn open_unnamed(folder: &Path) -> io::Result<File> {
    open_flags("open_unnamed", folder, libc::O_RDWR | libc::O_TMPFILE)
}

/// Another descriptor of the same open file description.
pub fn duplicate(file: &File) -> io::Result<File> {
    fault::check("dup")?;
    file.try_clone()
}

/// Writes all of it, as into a file that nobody maps.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    fault::check("pwrite")?;
    file.write_all_at(bytes, offset)
}

/// Reads as many bytes, as from a file that nobody maps.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    fault::check("pread")?;
    file.read_exact_at(bytes, offset)
}

/// Closes a descriptor whose owner is never used or dropped here again: the parent's, or one that is
/// kept for good.
pub fn close_for_good(file: &File) {
    // SAFETY: the parent's object; in this process nobody uses it.
    unsafe { libc::close(file.as_raw_fd()) };
}

/// A new file under a name that must not exist yet.
pub fn open_new(path: &Path) -> io::Result<File> {
    open_flags(
        "open_new",
        path,
        libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW,
    )
}

/// Gives an unnamed file its name; fails with EEXIST if the name is taken.
pub fn link_unnamed(file: &File, path: &Path) -> io::Result<()> {
    fault::check("link_unnamed")?;
    let from = c_path(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))?;
    let to = c_path(path)?;
    let at = libc::AT_FDCWD;
    // SAFETY: both paths are NUL-terminated strings that outlive the call.
    let result =
        unsafe { libc::linkat(at, from.as_ptr(), at, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    checked(result).map(drop)
}

/// Gives a file a second name; fails with EEXIST if the name is taken.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    fault::check("link")?;
    std::fs::hard_link(from, to)
}

pub fn unlink(path: &Path) -> io::Result<()> {
    fault::check("unlink")?;
    std::fs::remove_file(path)
}

/// Which file this is: device and inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

pub struct Status {
    pub identity: Identity,
    pub links: u64,
    pub size: u64,
    /// Bytes on the file system, holes not counted.
    pub allocated: u64,
    pub owner: u32,
    pub mode: u32,
    pub folder: bool,
    pub regular: bool,
}

pub(super) fn status(metadata: &std::fs::Metadata) -> Status {
    use std::os::unix::fs::MetadataExt;
    Status {
        identity: Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        },
        links: metadata.nlink(),
        size: metadata.size(),
        allocated: metadata.blocks().saturating_mul(512),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
        folder: metadata.is_dir(),
        regular: metadata.is_file(),
    }
}

pub fn status_of(file: &File) -> io::Result<Status> {
    fault::check("fstat")?;
    Ok(status(&file.metadata()?))
}

/// Of the path itself: a symbolic link is not followed.
pub fn status_at(path: &Path) -> io::Result<Status> {
    fault::check("stat")?;
    Ok(status(&std::fs::symlink_metadata(path)?))
}

/// What is in a folder; entries that cannot be read are left out.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fault::check("readdir")?;
    let entries = std::fs::read_dir(folder)?;
    Ok(entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect())
}

pub fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fault::check("mkdir")?;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Sets the permissions of a file, whatever the umask left of those asked for.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fault::check("fchmod")?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// A folder, to look at: a symbolic link to one is none.
pub fn open_folder(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    open_flags("stat", path, flags)
}

/// As `set_mode`, of a folder that was opened to look at.
pub fn set_mode_of_folder(folder: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fault::check("chmod")?;
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Sleeps, where there is nothing to be woken by.
pub fn pause(time: Duration) {
    let word = 0;
    // SAFETY: a word of our own, which outlives the call.
    unsafe { futex_wait(&raw const word, 0, time, ANY) };
}

pub fn effective_user() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

pub fn process_id() -> u32 {
    std::process::id()
}

/// The file system under `file`: its magic number, its size and what is free, in bytes.
pub struct FileSystem {
    pub magic: u64,
    pub size: u64,
    pub free: u64,
}

pub fn file_system(file: &File) -> io::Result<FileSystem> {
    fault::check("fstatfs")?;
    // SAFETY: an all-zero `statfs` is a valid value of that plain struct.
    let mut buffer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the buffer is writable.
    checked(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut buffer) })?;
    let block = buffer.f_bsize as u64;
    Ok(FileSystem {
        magic: buffer.f_type as u64,
        size: buffer.f_blocks.saturating_mul(block),
        free: buffer.f_bavail.saturating_mul(block),
    })
}

/// Sets the length of a file; pages not yet allocated are holes.
pub fn set_length(file: &File, length: u64) -> io::Result<()> {
    unbroken(|| {
        fault::check("ftruncate")?;
        file.set_len(length)
    })
}

/// `fallocate(2)` itself, never glibc's emulation, which writes into every page. A signal can
/// cut it short: it is then begun again, in steps small enough to end between two signals.
pub fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    const STEP: u64 = 16 << 20;
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let step = STEP.min(end - at);
        unbroken(|| {
            fault::check("fallocate")?;
            let (from, length) = (at as libc::off64_t, step as libc::off64_t);
            // SAFETY: plain integers and an open descriptor.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_fallocate,
                    file.as_raw_fd(),
                    0 as libc::c_int,
                    from,
                    length,
                )
            };
            checked(result as libc::c_int).map(drop)
        })?;
        at += step;
    }
    Ok(())
}

/// Makes a hole: gives the memory or the disk space there back, in whole pages. The file stays as
/// long as it is; what is read there is zeros.
pub fn punch(file: &File, offset: u64, length: u64) -> io::Result<()> {
    unbroken(|| {
        fault::check("punch")?;
        let (from, length) = (offset as libc::off64_t, length as libc::off64_t);
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: plain integers and an open descriptor.
        let result =
            unsafe { libc::syscall(libc::SYS_fallocate, file.as_raw_fd(), mode, from, length) };
        checked(result as libc::c_int).map(drop)
    })
}

/// What an OFD lock on a byte range is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    Read,
    Write,
    Release,
}

pub(super) fn flock(claim: Claim, start: u64, length: u64) -> libc::flock {
    let kind = match claim {
        Claim::Read => libc::F_RDLCK,
        Claim::Write => libc::F_WRLCK,
        Claim::Release => libc::F_UNLCK,
    };
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start as libc::off_t,
        l_len: length as libc::off_t,
        l_pid: 0,
    }
}

/// Takes or releases an open-file-description lock (fcntl(2), `F_OFD_SETLK`) without waiting.
/// False: somebody else's description holds a conflicting lock.
pub fn claim(file: &File, claim: Claim, start: u64, length: u64) -> io::Result<bool> {
    fault::check("ofd_lock")?;
    let mut lock = flock(claim, start, length);
    // SAFETY: the descriptor is open and `lock` is a whole `flock`.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    match checked(result) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// As `claim`, but waits in the kernel; a signal ends the wait with EINTR.
pub fn claim_wait(file: &File, claim: Claim, start: u64, length: u64) -> io::Result<()> {
    fault::check("ofd_lock_wait")?;
    let mut lock = flock(claim, start, length);
    // SAFETY: the descriptor is open and `lock` is a whole `flock`.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLKW, &raw mut lock) }).map(drop)
}

/// Whether any other description holds a lock in the range.
pub fn is_claimed(file: &File, start: u64, length: u64) -> io::Result<bool> {
    fault::check("ofd_query")?;
    let mut lock = flock(Claim::Write, start, length);
    // SAFETY: the descriptor is open and `lock` is a whole `flock`.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) })?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Why a futex wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Woken, or the word had another value.
    Changed,
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// The bits of a sleeper that anybody wakes, and of a wake for all sleepers.
pub const ANY: u32 = libc::FUTEX_BITSET_MATCH_ANY as u32;

/// Sleeps while the 32-bit word reads `expected` (futex(2), shared); a wake with one of `bits` ends it.
///
/// # Safety
/// `word` is mapped and stays mapped during the call.
pub unsafe fn futex_wait(word: *const u32, expected: u32, limit: Duration, bits: u32) -> Woken {
    if let Err(error) = fault::check("futex_wait") {
        return why(&error);
    }
    // A wait with bits ends at a moment of this clock.
    let end = clock(libc::CLOCK_MONOTONIC).saturating_add(limit);
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(end.subsec_nanos()),
    };
    // SAFETY: the caller keeps `word` mapped; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAIT_BITSET,
            expected,
            &raw const limit,
            0usize,
            bits,
        )
    };
    if result == 0 {
        return Woken::Changed;
    }
    why(&io::Error::last_os_error())
}

/// Where there is nothing to sleep with, whoever waits looks again and again.
pub(super) fn why(error: &io::Error) -> Woken {
    match error.raw_os_error() {
        Some(libc::ETIMEDOUT) => Woken::TimedOut,
        Some(libc::EINTR) => Woken::Interrupted,
        _ => Woken::Changed,
    }
}

/// Wakes up to `count` sleepers on the word that have one of `bits`; returns how many.
///
/// # Safety
/// `word` is mapped.
pub unsafe fn futex_wake(word: *const u32, count: u32, bits: u32) -> u32 {
    if fault::check("futex_wake").is_err() {
        return 0;
    }
    let count = count.min(i32::MAX as u32);
    // SAFETY: the kernel uses the address only as a key.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAKE_BITSET,
            count,
            0usize,
            0usize,
            bits,
        )
    };
    u32::try_from(woken).unwrap_or(0)
}

/// The CPU this thread runs on (about 3 ns through the vDSO).
#[inline]
pub fn current_cpu() -> u32 {
    // SAFETY: no arguments.
    u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(u32::MAX)
}

pub fn yield_now() {
    std::thread::yield_now();
}

/// Time since boot, sleep included: the same clock in every process.
pub fn boot_clock() -> Duration {
    clock(libc::CLOCK_BOOTTIME)
}

pub(super) fn clock(which: libc::clockid_t) -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is writable; both clocks exist since Linux 2.6.39.
    unsafe { libc::clock_gettime(which, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

pub fn random(buffer: &mut [u8]) -> io::Result<()> {
    unbroken(|| {
        fault::check("getrandom")?;
        // SAFETY: the buffer is writable for its length; up to 256 bytes never come back short.
        let got = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if got == buffer.len() as isize {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    })
}

/// Identifies this boot of the machine; zeros where the kernel does not say.
pub fn boot_id() -> u128 {
    fault::check("boot_id")
        .and_then(|()| std::fs::read_to_string("/proc/sys/kernel/random/boot_id"))
        .ok()
        .and_then(|text| u128::from_str_radix(&text.trim().replace('-', ""), 16).ok())
        .unwrap_or(0)
}

/// Ends this process as SIGKILL does.
#[cfg(any(test, feature = "crash-points"))]
pub fn die() -> ! {
    let me = process_id() as libc::pid_t;
    // SAFETY: a signal to ourselves; nothing runs after it.
    unsafe { libc::kill(me, libc::SIGKILL) };
    loop {
        std::hint::spin_loop();
    }
}
