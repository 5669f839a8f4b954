//! The engine of courtyard: shared memory that survives SIGKILL. No Python in it.
//!
//! Its modules lie on floors, from the ground up; each imports only from those below its own, and none
//! from here (`tests/layers.toml`, `tests/package/test_layering.py`). What the binding uses is named
//! below.
//!
//! ```
//! # #[cfg(not(loom))]
//! # fn main() -> courtyard_core::error::Result<()> {
//! use courtyard_core::space::unlimited;
//! use courtyard_core::sync::Ordering;
//! use courtyard_core::{HOOKS, folder, object};
//!
//! // A space of our own, in shared memory, and who we are in it.
//! let space = folder::create(&folder::open(None)?, HOOKS)?;
//! let caller = space.caller(&unlimited)?;
//!
//! // An object: a number, which other processes find by where it is.
//! let (id, _) = object::create(caller, object::SCALAR, 8, |_| {})?;
//! let (number, ..) = object::open(&space.segment, id)?;
//! let writer = object::Writer { object: number, guarded: false, thread: 0 };
//! object::change(caller, writer, || {
//!     space.segment.word(number + object::DATA).store(42, Ordering::Relaxed);
//! })?;
//! assert_eq!(space.segment.word(number + object::DATA).load(Ordering::Relaxed), 42);
//!
//! // The last process removes the file.
//! folder::remove_if_dead(&space.segment.path(), Some(caller.participant.me.slot))?;
//! # Ok(())
//! # }
//! # #[cfg(loom)]
//! # fn main() {}
//! ```

#[cfg(loom)]
#[doc(hidden)]
pub mod mortal;

pub mod offset;

pub mod error;
pub mod os;
pub mod room;
#[doc(hidden)]
pub mod seed;
pub mod sync;

mod memory;

mod process;

mod change;

#[doc(hidden)]
pub mod heap;

pub mod space;

pub mod object;

pub mod value;

mod kind;

mod recovery;

mod report;

#[cfg(not(loom))]
pub mod folder;

pub use change::{lock, mailbox, recover, registration, wait, waiting};
pub use kind::{barrier, condition, flag, list, mutex, queue, semaphore, table};
pub use memory::{layout, segment};
pub use object::{directory, holding, link};
pub use process::{keep, membership_cache, name, participant};
pub use recovery::{HOOKS, fork, leave};
#[cfg(not(loom))]
pub use report::{census, check, inspect};
#[cfg(not(loom))]
pub use space::{listener, sleeper};
pub use space::{lookout, pending_block};

/// What the tests of the engine reach beyond that. Nothing here is promised.
#[doc(hidden)]
pub mod inside {
    pub use crate::change::{fast, journal, operation, progress};
    #[cfg(not(loom))]
    pub use crate::memory::copy;
    pub use crate::memory::{crash, superblock};
    pub use crate::object::rows;
    pub use crate::process::{backlog, holding_cache, loan, pending};
    pub use crate::recovery::drain;
    pub use crate::space::{deferred_free, hole, pin, reading};
}
