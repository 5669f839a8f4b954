//! The kernel's lock on a slot's byte: that its process lives, or the right to recover it.
//!
//! | whose                                 | for whom                      | it falls with                  |
//! | ------------------------------------- | ----------------------------- | ------------------------------ |
//! | a description's (`F_OFD_SETLK`)       | who may open the file         | its descriptors and mappings   |
//! | the process's (`F_SETLK`, `Record`)   | who may not, since a `setuid` | the process, `exec`, or any of its descriptors of the file |

use crate::error::{Error, Result};
use crate::memory::layout::{LIVENESS_BYTE, SLOTS};
use crate::memory::segment::Segment;
#[cfg(not(loom))]
use crate::os::Record;
use crate::os::{self, Carrier, Claim, File};
use std::io;
use std::ptr::NonNull;

pub(crate) fn system(call: &'static str, segment: &Segment, source: io::Error) -> Error {
    Error::System {
        call,
        path: segment.path(),
        source,
    }
}

/// Whether somebody holds the lock on the slot's byte: its process, or who recovers it.
pub fn is_alive(segment: &Segment, slot: u64) -> io::Result<bool> {
    os::is_claimed(&*segment.file()?, LIVENESS_BYTE + slot, 1)
}

/// Whether any slot is held, but for `except`.
pub fn any_alive(file: &File, except: Option<u64>) -> io::Result<bool> {
    let except = except.unwrap_or(SLOTS);
    let below = except > 0 && os::is_claimed(file, LIVENESS_BYTE, except)?;
    let above =
        except + 1 < SLOTS && os::is_claimed(file, LIVENESS_BYTE + except + 1, SLOTS - except - 1)?;
    Ok(below || above)
}

/// The lock on a slot's byte, just taken.
pub(crate) enum Hold {
    /// By a description of its own.
    Description(Carrier),
    /// By this process, which may not open the file any more.
    #[cfg(not(loom))]
    Record(Record),
}

impl Hold {
    /// None: somebody else has it.
    pub fn take(segment: &Segment, slot: u64) -> Result<Option<Hold>> {
        let byte = LIVENESS_BYTE + slot;
        let file = segment.reopen().map_err(|e| system("open", segment, e))?;
        #[cfg(not(loom))]
        let Some(file) = file else {
            let claim = |file: &File| Record::claim(file, Claim::Write, byte);
            let record = segment.file().and_then(|file| claim(&file));
            let record = record.map_err(|e| system("fcntl", segment, e))?;
            return Ok(record.map(Hold::Record));
        };
        let locked = os::claim(&file, Claim::Write, byte, 1);
        let locked = locked.map_err(|e| system("fcntl", segment, e))?;
        Ok(locked.then_some(Hold::Description(file)))
    }
}

/// What keeps the lock on our slot's byte: a mapped page of an open file description, or, where that
/// does not hold the lock (some overlay file systems), its descriptor: one that a child to be inherits,
/// or that none does. Or a lock of this process's, as a hold: for a child to be, one that it can share.
pub(crate) enum Anchor {
    Page(NonNull<u8>),
    Inherited(File),
    Descriptor(Carrier),
    #[cfg(not(loom))]
    Record(Record),
}

impl Anchor {
    pub fn cast(hold: Hold, segment: &Segment, slot: u64, inherited: bool) -> io::Result<Anchor> {
        let file = match hold {
            Hold::Description(file) => file,
            #[cfg(not(loom))]
            Hold::Record(record) => {
                if inherited {
                    record.share()?;
                }
                return Ok(Anchor::Record(record));
            }
        };
        let page = os::map_anchor(&file, inherited)?;
        drop(file);
        // The descriptor is gone; the page must hold the description, and so the lock, alone.
        let held = is_alive(segment, slot);
        if matches!(held, Ok(true)) {
            return Ok(Anchor::Page(page));
        }
        // SAFETY: mapped just above, used by nobody. It must not go on holding the lock.
        unsafe { os::unmap(page, os::PAGE) };
        held?;
        let file = segment.reopen()?;
        #[cfg(not(loom))]
        let file = file.ok_or_else(|| io::Error::from_raw_os_error(libc::EACCES))?;
        if !os::claim(&file, Claim::Write, LIVENESS_BYTE + slot, 1)? {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        Ok(match inherited {
            true => Anchor::Inherited(file.into_inherited()),
            false => Anchor::Descriptor(file),
        })
    }

    /// In the forked child: this process's own from now on. False: it is not to be had.
    pub fn settle(&mut self, segment: &Segment) -> bool {
        match self {
            // Failing leaves a page that grandchildren inherit: a slot reaped later, no more.
            Anchor::Page(page) => {
                let _ = os::keep_from_children(*page);
            }
            #[cfg(not(loom))]
            Anchor::Record(record) => {
                let own = segment.file().and_then(|file| record.again(&file));
                let Ok(Some(own)) = own else {
                    return false;
                };
                *record = own;
            }
            _ => {}
        }
        let _ = segment;
        true
    }

    /// Whether the child to be has to take it for itself, while this process has it.
    pub fn is_shared(&self) -> bool {
        match self {
            #[cfg(not(loom))]
            Anchor::Record(record) => record.is_ours(),
            _ => false,
        }
    }

    /// Lets go of the byte in this process.
    pub fn release(self) {
        match self {
            // SAFETY: the anchor is used by nobody but us.
            Anchor::Page(page) => unsafe { os::unmap(page, os::PAGE) },
            Anchor::Inherited(file) => drop(file),
            Anchor::Descriptor(file) => drop(file),
            #[cfg(not(loom))]
            Anchor::Record(record) => drop(record),
        }
    }

    /// As `release`, of one that other threads may still look at: at the end of its space.
    pub fn let_go(&self) {
        match self {
            // SAFETY: nobody reads or writes the page, and its space ends once.
            Anchor::Page(page) => unsafe { os::unmap(*page, os::PAGE) },
            Anchor::Inherited(file) => os::close_for_good(file),
            Anchor::Descriptor(file) => file.close_for_good(),
            #[cfg(not(loom))]
            Anchor::Record(record) => record.let_go(),
        }
    }

    /// In a forked child: lets go of a descriptor that keeps the parent alive, inherited with it.
    pub fn disown(&self) {
        if let Anchor::Inherited(file) = self {
            os::close_for_good(file);
        }
    }
}

/// The right to recover a slot: the lock on its byte. It frees itself if we die.
pub struct Right {
    hold: Hold,
    slot: u64,
}

impl Right {
    /// None: its process lives, or another recovers it.
    ///
    /// # Errors
    /// `System`, for example when no descriptor is to be had.
    pub fn try_acquire(segment: &Segment, slot: u64) -> Result<Option<Right>> {
        let hold = Hold::take(segment, slot)?;
        Ok(hold.map(|hold| Right { hold, slot }))
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        match &self.hold {
            Hold::Description(file) if file.is_ours() => {
                // By hand: a child forked meanwhile behind the C library's back may have a copy.
                let _ = os::claim(file, Claim::Release, LIVENESS_BYTE + self.slot, 1);
            }
            _ => {}
        }
    }
}
