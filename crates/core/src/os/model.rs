//! The system that loom's models run on: locks on bytes of one file, futexes, and deaths.
//!
//! A lock belongs to an open file description, lives as long as a descriptor or a mapped page
//! of it does, and falls when the process dies that opened it: as OFD locks do. Taking, asking
//! and dying synchronise, as they do in a kernel.
//!
//! A sleep has no time limit, so that models prove wake-ups without the help of time slices, but
//! for one thing that nobody can be woken by: the fall of a process's lock. Whoever sleeps no
//! longer than `lock::PROBE`, because he waits for the holder of a lock, is timed out if a lock
//! fell since he last asked who lives. An event's sleeper never is. A limit of zero is over at once.

use crate::mortal;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex, MutexGuard};
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

/// Where the sleepers on one word are; those of locks and those of events never meet there.
#[derive(Default)]
struct Futex {
    /// How many sleep with each of the bits.
    sleepers: Mutex<[u32; BITS]>,
    probing: [Condvar; BITS],
    resting: Condvar,
}

/// How many bits sleepers may have: one each.
const BITS: usize = 3;

struct Kernel {
    table: Mutex<Table>,
    /// How many locks on bytes fell.
    falls: AtomicU64,
    futexes: BTreeMap<u64, Futex>,
}

impl Kernel {
    /// Locks may have fallen: whoever waits for their holders looks again.
    fn fall(&self, table: MutexGuard<Table>, before: usize) {
        if table.locks.len() < before {
            self.falls.fetch_add(1, Ordering::SeqCst);
            drop(table);
            for futex in self.futexes.values() {
                let mut sleepers = futex.sleepers.lock().unwrap();
                *sleepers = [0; BITS];
                futex.probing.iter().for_each(Condvar::notify_all);
            }
        }
    }
}

/// As `lock::PROBE`, which lies above.
const PROBE: Duration = Duration::from_millis(100);

/// A descriptor.
pub struct File {
    kernel: Arc<Kernel>,
    description: u64,
}

/// No model forks.
pub fn close_for_good(_: &File) {}

/// A descriptor that may carry locks.
pub struct Carrier(File);

impl Carrier {
    /// # Errors
    /// None.
    pub fn new(open: impl Fn() -> io::Result<File>) -> io::Result<Carrier> {
        open().map(Carrier)
    }

    pub fn is_ours(&self) -> bool {
        true
    }

    pub fn into_inherited(self) -> File {
        self.0
    }

    pub fn close_for_good(&self) {}
}

impl std::ops::Deref for Carrier {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl File {
    /// The one file of a new model, with words at these offsets to sleep on.
    pub fn create(futexes: impl Iterator<Item = u64>) -> File {
        let kernel = Kernel {
            table: Mutex::default(),
            falls: AtomicU64::new(0),
            futexes: futexes.map(|word| (word, Futex::default())).collect(),
        };
        let file = File {
            kernel: Arc::new(kernel),
            description: 0,
        };
        reopen(&file)
    }

    fn futex(&self, word: u64) -> &Futex {
        let futex = self.kernel.futexes.get(&word);
        futex.unwrap_or_else(|| panic!("nobody sleeps on {word:#x} in this model"))
    }

    /// Whether a lock fell since this thread last asked who holds one.
    fn fell(&self) -> bool {
        self.kernel.falls.load(Ordering::SeqCst) != mortal::falls_seen()
    }

    /// Whether any lock fell.
    pub fn has_fallen(&self) -> bool {
        self.kernel.falls.load(Ordering::SeqCst) > 0
    }

    /// Sleeps on a word, if it is still as expected when everybody can see that we do.
    pub fn sleep(
        &self,
        word: u64,
        is_expected: impl Fn() -> bool,
        limit: Duration,
        bit: u32,
    ) -> Woken {
        let futex = self.futex(word);
        let mut sleepers = futex.sleepers.lock().unwrap();
        if !is_expected() {
            return Woken::Changed;
        }
        if limit.is_zero() {
            return Woken::TimedOut;
        }
        if limit > PROBE {
            drop(futex.resting.wait(sleepers).unwrap());
            return Woken::Changed;
        }
        if !self.fell() {
            let bit = bit.trailing_zeros() as usize;
            sleepers[bit] += 1;
            drop(futex.probing[bit].wait(sleepers).unwrap());
        }
        if self.fell() {
            Woken::TimedOut
        } else {
            Woken::Changed
        }
    }

    /// Wakes one sleeper on a word with one of these bits, or all; returns how many with a limit.
    /// Once somebody has died the bits may be those of the dead only: then others look again after some
    /// time, which is nothing to a model, so anybody is woken.
    pub fn wake(&self, word: u64, count: u32, bits: u32) -> u32 {
        let futex = self.futex(word);
        let mut sleepers = futex.sleepers.lock().unwrap();
        let bits = if self.has_fallen() { u32::MAX } else { bits };
        let mut woken = 0;
        for bit in (0..BITS).filter(|&bit| bits & 1 << bit != 0) {
            while woken < count && sleepers[bit] > 0 {
                (sleepers[bit], woken) = (sleepers[bit] - 1, woken + 1);
                futex.probing[bit].notify_one();
            }
        }
        if count == 1 {
            futex.resting.notify_one();
        } else {
            futex.resting.notify_all();
        }
        woken
    }

    /// Ends a process: its descriptions and their locks are gone.
    pub fn free_head(&self, process: u64) {
        let mut table = self.kernel.table.lock().unwrap();
        let before = table.locks.len();
        let Table {
            descriptions,
            locks,
            ..
        } = &mut *table;
        descriptions.retain(|_, (opener, _)| *opener != process);
        locks.retain(|_, description| descriptions.contains_key(description));
        self.kernel.fall(table, before);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if mortal::is_dying() {
            return; // its death closes it
        }
        let mut table = self.kernel.table.lock().unwrap();
        let before = table.locks.len();
        if let Some((_, holders)) = table.descriptions.get_mut(&self.description) {
            *holders -= 1;
            if *holders == 0 {
                table.descriptions.remove(&self.description);
                table.locks.retain(|_, by| *by != self.description);
            }
        }
        self.kernel.fall(table, before);
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
        let before = table.locks.len();
        table
            .locks
            .retain(|byte, by| !bytes.contains(byte) || *by != file.description);
        file.kernel.fall(table, before);
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
    mortal::see_falls(file.kernel.falls.load(Ordering::SeqCst));
    let mut locks = table.locks.range(start..start + length);
    Ok(locks.any(|(_, by)| *by != file.description))
}

/// The page is a descriptor that `unmap` closes.
///
/// # Errors
/// None.
pub fn map_anchor(file: &File, _: bool) -> io::Result<NonNull<u8>> {
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
pub fn barrier() -> io::Result<()> {
    Ok(())
}

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
