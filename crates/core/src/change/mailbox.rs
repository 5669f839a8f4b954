//! What one thread leaves for an event loop, which listens at a descriptor.
//!
//! However much is left before the loop looks, the descriptor is written once: whoever leaves something
//! writes only if nobody has since the loop last looked.

use crate::seed::{Bug, seeded};
use crate::sync::{AtomicBool, Mutex, Ordering};
use std::sync::PoisonError;

pub struct Mailbox<T> {
    mail: Mutex<Vec<T>>,
    is_told: AtomicBool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox {
            mail: Mutex::new(Vec::new()),
            is_told: AtomicBool::new(false),
        }
    }
}

impl<T> Mailbox<T> {
    /// Leaves something; `write` makes the descriptor readable, if that is to be done.
    pub fn leave(&self, mail: impl IntoIterator<Item = T>, write: impl FnOnce()) {
        self.mail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(mail);
        // After the mail: a loop that finds itself told finds that, too.
        if !self.is_told.swap(true, Ordering::SeqCst) {
            write();
        }
    }

    /// Takes what there is; `read` makes the descriptor unreadable.
    pub fn take(&self, read: impl FnOnce()) -> Vec<T> {
        read();
        let take =
            || std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner));
        if seeded(Bug::MailBeforeTold) {
            let taken = take();
            self.is_told.store(false, Ordering::SeqCst);
            return taken;
        }
        // Before the mail: what comes after it writes again.
        self.is_told.store(false, Ordering::SeqCst);
        take()
    }
}
