//! What a process holds back until its children have memberships of their own (see `fork`): private to a
//! process.
//!
//! Children are numbered as they are lent to. What is held back waits for those of that time, and whoever
//! finds that none of them borrows any more hands it over. A child says that it borrows in a word of its own.

use crate::process::backlog::Backlog;
use crate::seed::{Bug, seeded};
use crate::sync::{AtomicU64, Ordering};

pub struct Loan<T> {
    /// How many children were to copy our memberships by themselves.
    lent: AtomicU64,
    /// Of so many of them it is known that none does any more.
    repaid: AtomicU64,
    /// The value of `lent` when it was put here, and what it is.
    held: Backlog<(u64, T)>,
}

impl<T> Default for Loan<T> {
    fn default() -> Loan<T> {
        Loan {
            lent: AtomicU64::new(0),
            repaid: AtomicU64::new(0),
            held: Backlog::default(),
        }
    }
}

impl<T: Copy> Loan<T> {
    /// Another child is about to be forked that copies ours; its word says so already.
    pub fn lend(&self) {
        self.lent.fetch_add(1, Ordering::Release); // pairs with `open`: its word first
    }

    /// Whether a child may need what we give back, as `is_needed` finds in their words. If none does, what
    /// was held back goes to `give`. `me` is as for the backlog.
    pub fn is_open(&self, me: u64, is_needed: impl FnOnce() -> bool, give: impl FnMut(T)) -> bool {
        self.open(me, is_needed, give).is_some()
    }

    /// Holds this back if a child may need it: true; else it is the caller's to give back.
    pub fn hold(
        &self,
        me: u64,
        value: T,
        is_needed: impl FnOnce() -> bool,
        mut give: impl FnMut(T),
    ) -> bool {
        let Some(lent) = self.open(me, is_needed, &mut give) else {
            return false;
        };
        self.held.push(me, (lent, value));
        // Another thread may have found all of them settled before this was here.
        if !seeded(Bug::HeldForNobody) && self.is_repaid(lent) {
            self.hand_over(me, give);
        }
        true
    }

    fn is_repaid(&self, lent: u64) -> bool {
        // Who hands over stores it before it takes the backlog's latch, as we have just done.
        lent <= self.repaid.load(Ordering::Relaxed)
    }

    /// Up to which child may need what we give back.
    fn open(&self, me: u64, is_needed: impl FnOnce() -> bool, give: impl FnMut(T)) -> Option<u64> {
        // Who is lent to after this is forked after what the caller dropped, and knows nothing of it.
        let mut lent = self.lent.load(Ordering::Acquire); // pairs with `lend`
        if self.is_repaid(lent) {
            return None;
        }
        if is_needed() {
            return Some(lent);
        }
        if seeded(Bug::RepaidUnasked) {
            lent = self.lent.load(Ordering::Acquire);
        }
        self.repaid.fetch_max(lent, Ordering::Relaxed);
        self.hand_over(me, give);
        None
    }

    fn hand_over(&self, me: u64, mut give: impl FnMut(T)) {
        // False: nothing is there, or another thread is at it, and looks again after that.
        while self.held.begin(me) {
            let lent = loop {
                match self.held.first(me) {
                    None => return,
                    Some((lent, value)) if self.is_repaid(lent) => {
                        give(value);
                        self.held.pop(me);
                    }
                    Some((lent, _)) => break lent,
                }
            };
            self.held.end(me);
            if !self.is_repaid(lent) {
                return;
            }
        }
    }
}
