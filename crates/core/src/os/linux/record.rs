//! Locks on bytes that belong to the process, not to a description (`F_SETLK`), through a descriptor that
//! it has anyway: for one that may not open the file any more.
//!
//! They conflict with the locks of descriptions, no forked child has them, and they fall when the process
//! ends or becomes another program. But they fall, too, when it closes *any* descriptor of the file, so
//! we close none meanwhile (`Table::close`). And threads of one process are one owner, so which of
//! them has a byte is in the table.

use super::call::{Claim, File, Identity, checked, flock, status_of};
use super::carrier::{table, with_room};
use crate::os::fault;
use std::io;
use std::os::fd::AsRawFd;

/// A record lock on a byte.
pub struct Record {
    descriptor: i32,
    identity: Identity,
    byte: u64,
    generation: u64,
}

/// False: another process has a lock there.
fn set(descriptor: i32, claim: Claim, byte: u64) -> io::Result<bool> {
    fault::check("ofd_lock")?;
    let mut lock = flock(claim, byte, 1);
    // SAFETY: `lock` is a whole `flock`; a descriptor that is not open is an error.
    let result = unsafe { libc::fcntl(descriptor, libc::F_SETLK, &raw mut lock) };
    match checked(result) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Record {
    /// Takes one, without waiting. None: another process has a lock there, or a thread of this one.
    ///
    /// # Errors
    /// Those of `fcntl`.
    pub fn claim(file: &File, claim: Claim, byte: u64) -> io::Result<Option<Record>> {
        let identity = status_of(file)?.identity;
        let mut table = with_room(|table| &mut table.records);
        if table.records.contains(&(identity, byte)) || !set(file.as_raw_fd(), claim, byte)? {
            return Ok(None);
        }
        table.records.push((identity, byte));
        Ok(Some(Record {
            descriptor: file.as_raw_fd(),
            identity,
            byte,
            generation: table.generation,
        }))
    }

    /// From now on other processes may have a read lock there, too.
    ///
    /// # Errors
    /// Those of `fcntl`.
    pub fn share(&self) -> io::Result<()> {
        set(self.descriptor, Claim::Read, self.byte).map(drop)
    }

    /// Whether it is this process's: not in a child that was forked since.
    pub fn is_ours(&self) -> bool {
        table().generation == self.generation
    }

    /// Another process's lock in the place of our parent's.
    ///
    /// # Errors
    /// Those of `fcntl`; None: it is not to be had.
    pub fn again(&self, file: &File) -> io::Result<Option<Record>> {
        Record::claim(file, Claim::Read, self.byte)
    }

    /// Lets it go, once.
    pub fn let_go(&self) {
        let mut table = table();
        if table.generation != self.generation {
            return;
        }
        let entry = (self.identity, self.byte);
        let Some(at) = table.records.iter().position(|&other| other == entry) else {
            return;
        };
        table.records.swap_remove(at);
        // SAFETY: only asked which file it is; a program may have closed it.
        let file = unsafe { std::mem::ManuallyDrop::new(borrowed(self.descriptor)) };
        if status_of(&file).is_ok_and(|status| status.identity == self.identity) {
            let _ = set(self.descriptor, Claim::Release, self.byte);
        }
    }
}

/// # Safety
/// The file is not dropped.
unsafe fn borrowed(descriptor: i32) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller's promise.
    unsafe { File::from_raw_fd(descriptor) }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.let_go();
    }
}
