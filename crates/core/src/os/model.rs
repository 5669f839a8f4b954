//! The system that loom's models run on: locks on bytes of one file, and deaths.
//!
//! A lock belongs to an open file description, lives as long as a descriptor or a mapped page
//! of it does, and falls when the process dies that opened it: as OFD locks do. Taking, asking
//! and dying synchronise, as they do in a kernel.

use crate::mortal;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

pub const PAGE: usize = 4096;

/// What an OFD lock on a byte range is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    Write,
    Release,
}

/// Why a futex wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    Changed,
    TimedOut,
    Interrupted,
}

#[derive(Default)]
struct Table {
    /// Each description: the process that opened it, its descriptors and mapped pages.
    descriptions: BTreeMap<u64, (u64, u64)>,
    opened: u64,
    /// The description that locks a byte.
    locks: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Kernel {
    table: Mutex<Table>,
    deaths: AtomicU64,
}

/// A descriptor.
pub struct File {
    kernel: Arc<Kernel>,
    description: u64,
}

impl File {
    /// The one file of a new model.
    pub fn create() -> File {
        let file = File {
            kernel: Arc::default(),
            description: 0,
        };
        reopen(&file)
    }

    /// Whether a process died since this thread last asked whether one lives.
    pub fn deaths_unseen(&self) -> bool {
        self.kernel.deaths.load(Ordering::SeqCst) != mortal::deaths_seen()
    }

    /// Ends a process: its descriptions and their locks are gone.
    pub fn bury(&self, process: u64) {
        let mut table = self.kernel.table.lock().unwrap();
        let Table {
            descriptions,
            locks,
            ..
        } = &mut *table;
        descriptions.retain(|_, (opener, _)| *opener != process);
        locks.retain(|_, description| descriptions.contains_key(description));
        self.kernel.deaths.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if mortal::is_dying() {
            return; // `bury` closes it
        }
        let mut table = self.kernel.table.lock().unwrap();
        if let Some((_, holders)) = table.descriptions.get_mut(&self.description) {
            *holders -= 1;
            if *holders == 0 {
                table.descriptions.remove(&self.description);
                table.locks.retain(|_, by| *by != self.description);
            }
        }
    }
}

/// A description of its own.
pub fn reopen(file: &File) -> File {
    let mut table = file.kernel.table.lock().unwrap();
    table.opened += 1;
    let description = table.opened;
    table
        .descriptions
        .insert(description, (mortal::process(), 1));
    File {
        kernel: file.kernel.clone(),
        description,
    }
}

/// As the platform's.
///
/// # Errors
/// None.
pub fn claim(file: &File, claim: Claim, start: u64, length: u64) -> io::Result<bool> {
    let mut table = file.kernel.table.lock().unwrap();
    let bytes = start..start + length;
    if claim == Claim::Release {
        table
            .locks
            .retain(|byte, by| !bytes.contains(byte) || *by != file.description);
        return Ok(true);
    }
    let taken = (table.locks.range(bytes.clone())).any(|(_, by)| *by != file.description);
    if !taken {
        table
            .locks
            .extend(bytes.map(|byte| (byte, file.description)));
    }
    Ok(!taken)
}

/// As the platform's.
///
/// # Errors
/// None.
pub fn is_claimed(file: &File, start: u64, length: u64) -> io::Result<bool> {
    let table = file.kernel.table.lock().unwrap();
    mortal::see_deaths(file.kernel.deaths.load(Ordering::SeqCst));
    let mut locks = table.locks.range(start..start + length);
    Ok(locks.any(|(_, by)| *by != file.description))
}

/// The page is a descriptor that `unmap` closes.
///
/// # Errors
/// None.
pub fn map_anchor(file: &File) -> io::Result<NonNull<u8>> {
    let mut table = file.kernel.table.lock().unwrap();
    if let Some((_, holders)) = table.descriptions.get_mut(&file.description) {
        *holders += 1;
    }
    let page = File {
        kernel: file.kernel.clone(),
        description: file.description,
    };
    Ok(NonNull::from(Box::leak(Box::new(page))).cast())
}

/// # Safety
/// `page` comes from `map_anchor`, and is used by nobody.
pub unsafe fn unmap(page: NonNull<u8>, _: usize) {
    // SAFETY: `map_anchor` leaked this box.
    drop(unsafe { Box::from_raw(page.cast::<File>().as_ptr()) });
}

/// # Errors
/// None.
pub fn keep_from_children(_: NonNull<u8>) -> io::Result<()> {
    Ok(())
}

/// Models name the participant that acts, so this page is never looked at.
///
/// # Errors
/// None.
pub fn map_wiped_on_fork() -> io::Result<NonNull<u8>> {
    Ok(NonNull::dangling())
}

/// # Errors
/// None.
pub fn set_length(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

pub fn process_id() -> u32 {
    mortal::process() as u32
}

/// All on one CPU: nobody spins.
pub fn current_cpu() -> u32 {
    0
}

pub fn yield_now() {
    loom::thread::yield_now();
}

pub fn boot_clock() -> Duration {
    Duration::ZERO
}

pub fn boot_id() -> u128 {
    0
}
