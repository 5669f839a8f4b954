//! One growing file, mapped once: words by offset, sleeping on words, growth.
//!
//! The whole address window is mapped when the space is opened, far beyond the end of the file;
//! pages appear in it as the file grows. So nothing moves, nothing is unmapped while attached,
//! and a reference is good as soon as the published size covers it.

use crate::error::{Error, Result, corrupt};
use crate::memory::layout::{self, PAGE, UNIT, WORD, bits, superblock};
use crate::memory::superblock::{Superblock, too_short};
use crate::os::{self, Awaited, Carrier, Identity, Woken};
use crate::sync::{AtomicBool, AtomicI32, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Addresses beyond the file: those it may grow into, at least, and those asked for at first.
const SMALLEST_ROOM: u64 = 16 << 20;
const ROOM: u64 = 1 << 30;

/// Of so many spaces that ended last, zeros are left.
const KEPT_ZEROS: usize = 16;
static ENDED: Mutex<VecDeque<(usize, usize)>> = Mutex::new(VecDeque::new());

pub struct Segment {
    base: NonNull<u8>,
    window: u64,
    /// The published size as last seen: only ever larger. What is below it is safe to touch.
    size: AtomicU64,
    superblock: Superblock,
    identity: Identity,
    /// Where the file was when it was mapped; empty if it had no name yet.
    path: PathBuf,
    /// Whether others can find it: not while it is being made.
    is_found: AtomicBool,
    /// Where its maker linked it after that. No latch: a child may be forked at any moment.
    linked: OnceLock<PathBuf>,
    /// A descriptor for queries and growth. It holds no lock, so forked children may share it;
    /// a program that closes it under us is noticed by the file's identity.
    descriptor: AtomicI32,
    /// Where this process says that it reads without a lock; 0 before it has a slot.
    reading: AtomicU64,
}

// SAFETY: all shared memory is reached through atomics; the mapping lives as long as the process.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

/// Types an object may be read and written as, in one machine access.
pub trait Cell: Sized {
    #[doc(hidden)]
    const SIZE: u64 = size_of::<Self>() as u64;
}
impl Cell for AtomicU8 {}
impl Cell for AtomicU16 {}
impl Cell for AtomicU32 {}
impl Cell for AtomicU64 {}

impl Segment {
    /// Maps `file`, whose superblock has been laid out, and takes it over.
    ///
    /// # Errors
    /// `Layout` or `Corrupt` for a file that is not a segment of this layout.
    pub fn map(file: File, path: &Path) -> Result<Segment> {
        let superblock = Superblock::read(&file, path)?;
        Segment::map_known(file, path, superblock)
    }

    /// As `map`, of a file whose superblock was read before.
    ///
    /// # Errors
    /// As `map`.
    pub fn map_known(file: File, path: &Path, superblock: Superblock) -> Result<Segment> {
        let system = |call, source| Error::System {
            call,
            path: path.to_owned(),
            source,
        };
        let status = os::status_of(&file).map_err(|e| system("fstat", e))?;
        if status.size < layout::SLOT_RECORDS {
            return Err(too_short(path, status.size));
        }
        let space = os::file_system(&file).map_err(|e| system("fstatfs", e))?;
        let mut window = layout::align_up(status.size.max(space.size) + ROOM, PAGE);
        let base = loop {
            match os::map_shared(&file, window as usize) {
                Ok(base) => break base,
                // A limit on addresses (ulimit -v): be content with less.
                Err(_) if window / 2 > status.size + SMALLEST_ROOM => {
                    window = layout::align_up(window / 2, PAGE);
                }
                Err(error) => return Err(system("mmap", error)),
            }
        };
        let mut segment = Segment {
            base,
            window,
            size: AtomicU64::new(layout::BITMAPS),
            superblock,
            identity: status.identity,
            path: path.to_owned(),
            is_found: AtomicBool::new(status.links > 0),
            linked: OnceLock::new(),
            descriptor: AtomicI32::new(file.into_raw_fd()),
            reading: AtomicU64::new(0),
        };
        if let Err(error) = segment.examine(status.size) {
            segment.discard();
            return Err(error);
        }
        Ok(segment)
    }

    /// Reads the published size as a stranger's.
    fn examine(&mut self, length: u64) -> Result<()> {
        let data = self.superblock.data;
        // The file may have grown since it was looked at; it was longer before it said so.
        let size = self.word(superblock::SIZE).load(Ordering::Acquire); // pairs with `publish_size`
        let file = self.adopt_descriptor();
        let length = os::status_of(&file).map_or(length, |status| status.size);
        if size > length || size < data || !size.is_multiple_of(PAGE) || size > self.window {
            return Err(corrupt(format!(
                "{}: size {size}, but the file has {length} bytes",
                self.path().display()
            )));
        }
        self.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// What the file said of itself for good when it was opened.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The checksum of what the mapped words say now.
    pub fn superblock_crc(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for offset in (0..superblock::IMMUTABLE).step_by(WORD as usize) {
            hasher.update(&self.word(offset).load(Ordering::Relaxed).to_ne_bytes());
        }
        hasher.finalize()
    }

    /// Unmaps a segment that nobody has used: after a failed attach.
    pub fn discard(self) {
        // SAFETY: `self` is consumed and no reference into the mapping outlives it.
        unsafe { os::unmap(self.base, self.window as usize) };
        os::close(ManuallyDrop::into_inner(self.adopt_descriptor()));
    }

    /// Gives back the file's memory, and the addresses beyond its size, which nobody follows: after
    /// the end of a space. Who should still have its address finds zeros, not a hole, until some
    /// more spaces have ended. False: all stays until this process ends.
    pub fn vanish(&self) -> bool {
        let size = layout::align_up(self.size.load(Ordering::Relaxed), PAGE);
        // SAFETY: our own mapping; a word of it that is zero says that nothing is there.
        if unsafe { os::replace_by_zeros(self.base, size as usize) }.is_err() {
            return false;
        }
        // SAFETY: within the window.
        let rest = unsafe { self.base.add(size as usize) };
        // SAFETY: every offset is checked against the size before it is followed.
        unsafe { os::unmap(rest, (self.window - size) as usize) };
        self.keep_zeros(size as usize);
        let file = self.adopt_descriptor();
        // Another file's by now, if a program closed ours: not ours to close.
        let is_ours = match os::status_of(&file) {
            Ok(status) => status.identity == self.identity,
            Err(error) => error.raw_os_error() != Some(libc::EBADF),
        };
        if is_ours {
            drop(ManuallyDrop::into_inner(file));
        }
        self.descriptor.store(-1, Ordering::Relaxed);
        true
    }

    /// Puts the zeros that stand for us into the line of those, and takes the oldest away.
    fn keep_zeros(&self, size: usize) {
        // Busy only in a child forked from C at the wrong moment: the zeros then stay.
        let Ok(mut ended) = ENDED.try_lock() else {
            return;
        };
        ended.push_back((self.base.as_ptr().expose_provenance(), size));
        if ended.len() > KEPT_ZEROS
            && let Some((at, size)) = ended.pop_front()
            && let Some(at) = NonNull::new(std::ptr::with_exposed_provenance_mut(at))
        {
            // SAFETY: mapped by `vanish`; nothing in this process leads there.
            unsafe { os::unmap(at, size) };
        }
    }

    fn adopt_descriptor(&self) -> ManuallyDrop<File> {
        let descriptor = self.descriptor.load(Ordering::Relaxed);
        // SAFETY: never dropped but by `discard`, which owns the segment.
        ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) })
    }

    /// The file, for queries: our descriptor, or a new one if a program closed ours.
    pub fn file(&self) -> io::Result<ManuallyDrop<File>> {
        let file = self.adopt_descriptor();
        match os::status_of(&file) {
            Ok(status) if status.identity == self.identity => return Ok(file),
            Err(error) if error.raw_os_error() != Some(libc::EBADF) => return Err(error),
            _ => {} // closed, and perhaps another file's by now: not ours to close
        }
        let file = os::open(&self.path())?;
        if os::status_of(&file)?.identity != self.identity {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.descriptor.store(file.into_raw_fd(), Ordering::Relaxed);
        Ok(self.adopt_descriptor())
    }

    /// A description of its own, for locks that must not be shared with forked children. None: this
    /// process has not the rights, or not the paths, to open what it has open (after `setuid`, in a
    /// `chroot`).
    pub fn reopen(&self) -> io::Result<Option<Carrier>> {
        let is_barred = |error: &io::Error| {
            let barred = [libc::EACCES, libc::EPERM, libc::ENOENT, libc::ENOTDIR];
            error
                .raw_os_error()
                .is_some_and(|errno| barred.contains(&errno))
        };
        let own = self.file()?;
        let opened = Carrier::new(|| {
            os::reopen(&own).or_else(|error| match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(error),
                _ => os::open(&self.path()), // no /proc here
            })
        });
        let file = match opened {
            Err(error) if self.is_found.load(Ordering::Relaxed) && is_barred(&error) => {
                return Ok(None);
            }
            opened => opened?,
        };
        if os::status_of(&file)?.identity == self.identity {
            return Ok(Some(file));
        }
        match self.is_found.load(Ordering::Relaxed) {
            true => Ok(None),
            false => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.linked.get().unwrap_or(&self.path).clone()
    }

    /// Notes where the file is linked, once.
    pub fn set_path(&self, path: &Path) {
        let _ = self.linked.set(path.to_owned());
        self.is_found.store(true, Ordering::Relaxed);
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The first byte that the heap may use.
    pub fn data(&self) -> u64 {
        self.superblock.data
    }

    pub fn window(&self) -> u64 {
        self.window
    }

    /// The published size, read anew.
    pub fn size(&self) -> u64 {
        // pairs with `publish_size`, Release: pages below it are allocated
        let size = self.word(superblock::SIZE).load(Ordering::Acquire);
        let known = self.size.load(Ordering::Relaxed);
        if size <= known {
            return known;
        }
        self.believe(size, known)
    }

    /// A size not met before is believed as far as the file goes: beyond its end is SIGBUS.
    #[cold]
    fn believe(&self, size: u64, known: u64) -> u64 {
        let status = self.file().and_then(|file| os::status_of(&file));
        let length = status.map_or(size, |status| status.size);
        let size = size.min(length).min(self.window).max(known);
        self.size.fetch_max(size, Ordering::Relaxed).max(size)
    }

    /// Makes `[from, to)` of the file ready: allocated, but not yet published.
    pub fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        os::allocate(&*self.file()?, from, to - from)
    }

    /// Gives the memory of `[from, to)` of the file back: it reads as zeros.
    pub fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        os::punch(&*self.file()?, from, to - from)
    }

    /// How many units the file has.
    pub fn units(&self) -> u64 {
        (self.size() - self.data()) / UNIT
    }

    /// Whether any unit is given back.
    #[inline(always)]
    pub fn has_holes(&self) -> bool {
        self.word(superblock::GIVEN).load(Ordering::Relaxed) != 0
    }

    /// Whether a unit with one of these bytes, all of them in the file, is given back.
    #[inline]
    fn is_hole(&self, offset: u64, length: u64) -> bool {
        let unit = (offset - self.data()) / UNIT;
        let last = (offset + length.max(1) - 1 - self.data()) / UNIT;
        (unit / 64..=last / 64).any(|pair| {
            let given = self.word(layout::bitmaps(pair * 64) + bits::GIVEN);
            let mut given = given.load(Ordering::Relaxed);
            if pair == unit / 64 {
                given &= u64::MAX << (unit % 64);
            }
            if pair == last / 64 {
                given &= u64::MAX >> (63 - last % 64);
            }
            given != 0
        })
    }

    /// Says where this process tells that it reads without a lock.
    pub fn set_reading(&self, slot: u64) {
        self.reading
            .store(layout::slot_record(slot), Ordering::Relaxed);
    }

    /// This process has no slot any more.
    pub fn stop_reading(&self) {
        self.reading.store(0, Ordering::Relaxed);
    }

    /// The record of the slot in which this process tells that it reads; None: it has none.
    #[inline(always)]
    pub fn reading(&self) -> Option<u64> {
        match self.reading.load(Ordering::Relaxed) {
            0 => None,
            record => Some(record),
        }
    }

    /// Publishes a size up to which the file is allocated. The grow lock is held.
    pub fn publish_size(&self, size: u64) {
        self.word(superblock::SIZE).store(size, Ordering::Release); // pairs with `size`, Acquire
        self.size.fetch_max(size, Ordering::Relaxed);
    }

    #[inline(always)]
    fn covers(&self, offset: u64, length: u64) -> bool {
        match offset.checked_add(length) {
            Some(end) => end <= self.size.load(Ordering::Relaxed) || self.reaches(end),
            None => false,
        }
    }

    /// Whether the file has grown so far by now.
    #[cold]
    fn reaches(&self, end: u64) -> bool {
        end <= self.size()
    }

    /// The word at an offset that this process computed or checked before.
    ///
    /// # Panics
    /// On an offset outside the segment: a bug here, not bad data; data is read through `at`.
    #[inline(always)]
    pub fn word(&self, offset: u64) -> &AtomicU64 {
        self.object(offset)
    }

    /// As `word`, for any width.
    ///
    /// # Panics
    /// As `word`.
    #[inline(always)]
    pub fn object<T: Cell>(&self, offset: u64) -> &T {
        let header = offset < layout::BITMAPS; // always mapped and in the file
        assert!(
            offset.is_multiple_of(T::SIZE) && (header || self.covers(offset, T::SIZE)),
            "offset {offset:#x} is outside the segment"
        );
        let object = self.address(offset).cast::<T>();
        // SAFETY: aligned and inside the mapping, which lives as long as the segment; peers
        // write it too, which an atomic allows.
        unsafe { object.as_ref() }
    }

    /// The word at an offset that may be anything: a record's own words, while a peer scribbles.
    #[inline]
    pub fn find(&self, offset: u64) -> Option<&AtomicU64> {
        let covered = offset.is_multiple_of(WORD) && self.covers(offset, WORD);
        covered.then(|| self.word(offset))
    }

    /// The word at an offset read from shared memory.
    ///
    /// # Errors
    /// `Corrupt` if the offset is not that of a word in the data area.
    pub fn at(&self, offset: u64) -> Result<&AtomicU64> {
        self.check_range(offset, WORD)?;
        Ok(self.word(offset))
    }

    /// Whether `[offset, offset + length)` is whole words in the data area, none of them in a unit
    /// that is given back: to touch a hole may take memory that there is not.
    ///
    /// # Errors
    /// `Corrupt` if it is not.
    #[inline(always)]
    pub fn check_range(&self, offset: u64, length: u64) -> Result<()> {
        if offset.is_multiple_of(WORD)
            && offset >= self.superblock.data
            && self.covers(offset, length)
            && !(self.has_holes() && self.is_hole(offset, length))
        {
            return Ok(());
        }
        Err(self.outside(offset, length))
    }

    #[cold]
    fn outside(&self, offset: u64, length: u64) -> Error {
        corrupt(format!(
            "{}: offset {offset:#x} + {length} lies outside the data area, or in what is given back",
            self.path().display()
        ))
    }

    /// The address of an offset, for views whose lifetime the caller keeps.
    pub fn address(&self, offset: u64) -> NonNull<u8> {
        // SAFETY: callers pass offsets inside the window, which is one mapping.
        unsafe { self.base.byte_add(offset as usize) }
    }

    /// Sleeps while the low half of the word at `offset` equals that of `expected`.
    pub fn sleep(&self, offset: u64, expected: u64, limit: Duration) -> Woken {
        // SAFETY: the low half of a mapped word.
        unsafe { os::futex_wait(self.low_half(offset), expected as u32, limit, os::ANY) }
    }

    /// As `sleep`, to be woken by those only who wake a sleeper with one of these bits.
    pub fn sleep_as(&self, offset: u64, expected: u64, limit: Duration, bits: u32) -> Woken {
        // SAFETY: the low half of a mapped word.
        unsafe { os::futex_wait(self.low_half(offset), expected as u32, limit, bits) }
    }

    /// The word at `offset`, to be slept on beside others.
    pub fn awaited(&self, offset: u64, expected: u64) -> Awaited {
        Awaited::new(self.low_half(offset), expected as u32)
    }

    /// Wakes up to `count` sleepers on the word at `offset`.
    pub fn wake(&self, offset: u64, count: u32) -> u32 {
        // SAFETY: the low half of a mapped word.
        unsafe { os::futex_wake(self.low_half(offset), count, os::ANY) }
    }

    /// As `wake`, of those who sleep with one of these bits.
    pub fn wake_of(&self, offset: u64, count: u32, bits: u32) -> u32 {
        // SAFETY: the low half of a mapped word.
        unsafe { os::futex_wake(self.low_half(offset), count, bits) }
    }

    fn low_half(&self, offset: u64) -> *const u32 {
        let word: *const AtomicU64 = self.word(offset);
        let half = usize::from(cfg!(target_endian = "big"));
        word.cast::<u32>().wrapping_add(half)
    }
}
