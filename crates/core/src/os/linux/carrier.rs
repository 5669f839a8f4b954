//! Descriptors whose descriptions carry locks. A forked child closes its copies of them before it does
//! anything else: else it would keep the locks for as long as it lives, whatever becomes of its parent.
//!
//! The kernel runs nothing of ours in a child, but the C library does (`pthread_atfork`), for forks
//! through Python and from C alike. Forks wait for the table's latch, which is held for a few
//! instructions, or for two quick calls of the system.

use super::call::{File, Identity, Status, status_of};
use std::cell::RefCell;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};

#[derive(Default)]
pub(super) struct Table {
    /// The carriers' descriptors.
    open: Vec<i32>,
    /// The bytes of files that this process has record locks on (`record.rs`).
    pub records: Vec<(Identity, u64)>,
    /// How often a fork was begun here.
    begun: u64,
    /// How many forks lie between the first process and this one.
    pub generation: u64,
}

impl Table {
    fn forget(&mut self, descriptor: i32) {
        self.open.retain(|&open| open != descriptor);
    }

    /// Closes a descriptor; but if this process has a record lock on the file it stays open for good,
    /// as closing it would end that lock.
    fn close(&self, file: File) {
        let is_locked = |status: Status| {
            let mut records = self.records.iter();
            records.any(|&(identity, _)| identity == status.identity)
        };
        if !self.records.is_empty() && status_of(&file).is_ok_and(is_locked) {
            std::mem::forget(file);
        }
    }
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    open: Vec::new(),
    records: Vec::new(),
    begun: 0,
    generation: 0,
});

thread_local! {
    /// The latch, while this thread forks.
    static FORKING: RefCell<Option<MutexGuard<'static, Table>>> = const { RefCell::new(None) };
}

pub(super) fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a thread that forks looks whether the latch is free: longer than anybody has it, but for a
/// signal handler that forks in the midst of it.
const TURNS: u32 = 100_000;

extern "C" fn before() {
    for _ in 0..TURNS {
        let table = match TABLE.try_lock() {
            Err(TryLockError::Poisoned(table)) => Some(table.into_inner()),
            table => table.ok(),
        };
        if let Some(mut table) = table {
            table.begun += 1;
            let _ = FORKING.try_with(|forking| forking.replace(Some(table)));
            return;
        }
        super::call::yield_now();
    }
}

extern "C" fn after_in_parent() {
    let _ = FORKING.try_with(RefCell::take);
}

extern "C" fn after_in_child() {
    let Ok(Some(mut table)) = FORKING.try_with(RefCell::take) else {
        return;
    };
    table.generation += 1;
    for &descriptor in &table.open {
        // SAFETY: a copy of the parent's; no thread of this process uses it.
        unsafe { libc::close(descriptor) };
    }
    table.open.clear();
    table.records.clear(); // they are the parent's alone
}

/// Runs `work` so that no fork comes between its parts. It calls nothing that waits.
pub(super) fn unforked<T>(work: impl FnOnce() -> T) -> T {
    let _latch = table();
    work()
}

/// The table, with room for one more in one of its lists: nothing is allocated under the latch.
pub(super) fn with_room<T: Copy>(
    list: impl Fn(&mut Table) -> &mut Vec<T>,
) -> MutexGuard<'static, Table> {
    loop {
        let mut table = table();
        let wanted = list(&mut table);
        if wanted.len() < wanted.capacity() {
            return table;
        }
        let needed = 2 * wanted.len() + 8;
        drop(table);
        let mut room = Vec::with_capacity(needed);
        let mut table = self::table();
        let wanted = list(&mut table);
        if wanted.len() < needed {
            room.extend_from_slice(wanted);
            std::mem::swap(wanted, &mut room);
        }
        drop(table);
    }
}

/// Closes a file that is no carrier's, as carriers are closed.
pub fn close(file: File) {
    table().close(file);
}

/// A descriptor that may carry locks.
pub struct Carrier {
    file: ManuallyDrop<File>,
    generation: u64,
}

impl Carrier {
    /// Opens one. No child has a copy that could come to share a lock.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn new(open: impl Fn() -> io::Result<File>) -> io::Result<Carrier> {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            // SAFETY: the functions live as long as this library, which is never unloaded. Where there
            // is no memory for it, forks are as they were without it.
            unsafe {
                libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child))
            };
        });
        loop {
            let begun = table().begun;
            let file = open()?;
            let mut table = with_room(|table| &mut table.open);
            if table.begun == begun {
                table.open.push(file.as_raw_fd());
                let generation = table.generation;
                drop(table);
                return Ok(Carrier {
                    file: ManuallyDrop::new(file),
                    generation,
                });
            }
            table.close(file);
        }
    }

    /// From now on forked children have it too.
    pub fn into_inherited(self) -> File {
        table().forget(self.as_raw_fd());
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.file) }
    }

    /// Closes one whose owner is never used or dropped here again.
    pub fn close_for_good(&self) {
        let mut table = table();
        table.forget(self.as_raw_fd());
        super::call::close_for_good(&self.file);
    }

    /// Whether it is this process's: not in a child that was forked since, where it is closed.
    pub fn is_ours(&self) -> bool {
        table().generation == self.generation
    }
}

impl Deref for Carrier {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let mut table = table();
        if table.generation != self.generation {
            return; // closed in this process before it began
        }
        table.forget(self.as_raw_fd());
        // SAFETY: taken here alone. Under the latch: no fork sees it open and not in the table, nor
        // the other way round.
        table.close(unsafe { ManuallyDrop::take(&mut self.file) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Claim, claim, is_claimed};

    fn is_open(descriptor: i32) -> bool {
        // SAFETY: asks only.
        unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
    }

    /// Runs `work` in a forked child; whether it said yes.
    fn in_child(work: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child calls the system only, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let code = i32::from(!work());
            // SAFETY: ends the child.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        status == 0
    }

    #[test]
    fn a_child_has_no_copy() {
        let path = std::env::temp_dir().join(format!("courtyard-carrier-{}", std::process::id()));
        std::fs::write(&path, b"x").unwrap();
        let open = || super::super::open(&path);
        let (mut carrier, other) = (Some(Carrier::new(open).unwrap()), open().unwrap());
        let held = carrier.as_ref().unwrap();
        assert!(claim(held, Claim::Write, 5, 1).unwrap());
        let descriptor = held.as_raw_fd();
        assert!(in_child(|| {
            let closed = !is_open(descriptor) && is_open(other.as_raw_fd());
            let is_ours = carrier.as_ref().unwrap().is_ours();
            let again = open().unwrap(); // takes the number
            let number = again.as_raw_fd();
            carrier = None;
            closed && !is_ours && number == descriptor && is_open(number)
        }));
        assert!(is_claimed(&other, 5, 1).unwrap());
        assert!(carrier.take().unwrap().is_ours());
        assert!(!is_claimed(&other, 5, 1).unwrap());
        assert!(in_child(
            || Carrier::new(open).is_ok_and(|carrier| carrier.is_ours())
        ));
        std::fs::remove_file(&path).unwrap();
    }
}
