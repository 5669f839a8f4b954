//! An event loop's end of its registered waits: a descriptor that is readable when tokens have come.

use crate::change::mailbox::Mailbox;
use crate::os;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

pub struct Listener {
    event: File,
    mailbox: Mailbox<u64>,
}

impl Listener {
    /// # Errors
    /// `EMFILE` and the like: there is no descriptor to be had.
    pub fn new() -> io::Result<Arc<Listener>> {
        let (event, mailbox) = (os::event()?, Mailbox::default());
        Ok(Arc::new(Listener { event, mailbox }))
    }

    /// What the event loop waits for, to be readable; it closes with the last owner of this.
    pub fn descriptor(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Takes the tokens that have come since the last time; the descriptor is not readable any more.
    pub fn take(&self) -> Vec<u64> {
        self.mailbox.take(|| {
            os::drain(&self.event);
        })
    }

    pub(super) fn leave(&self, token: u64) {
        self.mailbox.leave([token], || os::signal(&self.event));
    }
}

/// What a registered wait is known by to the event loop that made it.
pub struct Token {
    pub listener: Arc<Listener>,
    pub number: u64,
}

impl Token {
    pub(super) fn hand_out(self) {
        self.listener.leave(self.number);
    }
}
