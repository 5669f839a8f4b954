//! What can go wrong, in the caller's words: expected, found, what to do.

use crate::offset::LockWord;
use std::io;
use std::path::PathBuf;

/// A failure that reaches the caller. Nothing is half-changed when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No memory: a size limit, or a full file system.
    #[error("{0}")]
    Full(String),
    /// This process has no memory for so many bytes of its own.
    #[error(
        "this process has no memory for {0} bytes; read or change less at a time, or raise what \
         limits it (ulimit -v, a container's memory)"
    )]
    NoMemory(usize),
    /// Every participant slot is held by a living process.
    #[error(
        "all {0} participant slots of this space are held by living processes; \
         end some of them, or use a space of its own for each group of processes"
    )]
    Crowded(u64),
    /// The memory says something that no courtyard process wrote.
    #[error("{0}")]
    Corrupt(String),
    /// Another layout, or no courtyard file at all.
    #[error("{0}")]
    Layout(String),
    /// The object or the space is gone.
    #[error("{0}")]
    NotFound(String),
    /// The folder or the file system cannot be trusted with shared memory.
    #[error("{0}")]
    Refused(String),
    /// The system refused a call.
    #[error("{call} on {path}: {source}")]
    System {
        call: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The process was forked inside this call, by code of the user's that it runs: the parent goes on.
    #[error(
        "this process was forked inside this call, which goes on in its parent alone; nothing was \
         changed here, so call again"
    )]
    Forked,
    /// The caller's own interruption (a signal handler raised): carried through unchanged.
    #[error("interrupted")]
    Interrupted,
    /// The caller's own deadline passed while another process was inside a lock of the engine's.
    #[error(
        "the time was up while another process was inside a change of the same object, or of the \
         space; if that goes on, one was stopped there (SIGSTOP, a debugger): let it continue or end it"
    )]
    TimedOut,
}

pub type Result<T> = std::result::Result<T, Error>;

/// Why an attempt at an operation ended before its commit. Nothing is held when the cause is
/// dealt with, and the operation starts again from its first line.
#[derive(Debug)]
pub enum Stop {
    /// This lock is held: wait for it with nothing held.
    Busy(LockWord),
    /// The thread's magazine of this class is empty.
    Refill(usize),
    /// The thread's magazine of this class is full.
    Flush(usize),
    /// The heap has no room for so many bytes: grow the file to so many units, all in all.
    Grow(u64, u64),
    /// The run that starts at a unit has so many units, and some are given back: reserve them.
    Reserve(u64, u64),
    /// A failure for the caller.
    Fail(Error),
}

impl Stop {
    /// As it is, but where there is no room: for so many bytes, as the caller asked for.
    pub fn of_bytes(self, bytes: u64) -> Stop {
        match self {
            Stop::Grow(_, all) => Stop::Grow(bytes, all),
            stop => stop,
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Fail(error)
    }
}

pub type Attempt<T> = std::result::Result<T, Stop>;

pub(crate) fn corrupt(what: impl Into<String>) -> Error {
    Error::Corrupt(what.into())
}
