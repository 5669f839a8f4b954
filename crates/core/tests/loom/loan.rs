//! What is held back for children goes when they have theirs, and no sooner, whichever thread finds out.

use courtyard_core::inside::loan::Loan;
use courtyard_core::mortal;
use courtyard_core::seed;
use courtyard_core::sync::{AtomicU64, Ordering};
use loom::thread;
use std::sync::Arc;

const ME: u64 = 1;

/// A process with two threads, and the words of its children.
#[derive(Default)]
struct Parent {
    loan: Loan<u64>,
    borrowed: [AtomicU64; 2],
    given: AtomicU64,
}

impl Parent {
    fn is_needed(&self) -> bool {
        self.borrowed
            .iter()
            .any(|borrowed| borrowed.load(Ordering::Acquire) != 0)
    }

    fn give(&self, value: u64) {
        self.given.fetch_add(value, Ordering::Relaxed);
    }

    fn lend(&self, child: usize) {
        self.borrowed[child].store(1, Ordering::Release);
        self.loan.lend();
    }

    /// In the child.
    fn settled(&self, child: usize) {
        self.borrowed[child].store(0, Ordering::Release);
    }

    fn is_lending(&self) -> bool {
        let give = |value| self.give(value);
        self.loan.is_open(ME, || self.is_needed(), give)
    }

    /// Gives it back, now or when no child needs it.
    fn drop_it(&self, value: u64) -> bool {
        let give = |value| self.give(value);
        let held = self.loan.hold(ME, value, || self.is_needed(), give);
        if !held {
            self.give(value);
        }
        held
    }
}

/// One thread gives something back while another finds that the child has its own by now.
fn nothing_stays() {
    let parent = Arc::new(Parent::default());
    parent.lend(0);
    let other = parent.clone();
    let other = thread::spawn(move || {
        other.settled(0);
        other.is_lending();
    });
    parent.drop_it(1);
    other.join().unwrap();
    parent.is_lending();
    let given = parent.given.load(Ordering::Relaxed);
    assert_eq!(given, 1, "it is held back for nobody");
}

/// One thread finds that the first child has its own while the other forks the second.
fn nothing_goes_early() {
    let parent = Arc::new(Parent::default());
    parent.lend(0);
    parent.drop_it(1);
    parent.settled(0);
    let other = parent.clone();
    let other = thread::spawn(move || {
        other.is_lending();
    });
    parent.lend(1);
    assert!(parent.drop_it(2), "the second child has yet to copy it");
    other.join().unwrap();
    assert!(parent.is_lending(), "the second child has yet to copy it");
    let given = parent.given.load(Ordering::Relaxed);
    assert_eq!(given & 2, 0, "the second child has yet to copy it");
    parent.settled(1);
    assert!(!parent.is_lending());
    assert_eq!(parent.given.load(Ordering::Relaxed), 3);
}

#[test]
fn what_is_held_back_goes() {
    mortal::explore("loan", 3, nothing_stays);
}

#[test]
fn what_a_child_needs_stays() {
    mortal::explore("loan of the second", 3, nothing_goes_early);
}

#[test]
#[should_panic(expected = "held back for nobody")]
fn catches_what_is_held_for_nobody() {
    let _seeded = seed::seed(seed::Bug::HeldForNobody);
    mortal::explore("seed", 3, nothing_stays);
}

#[test]
#[should_panic(expected = "has yet to copy it")]
fn catches_a_loan_repaid_unasked() {
    let _seeded = seed::seed(seed::Bug::RepaidUnasked);
    mortal::explore("seed", 3, nothing_goes_early);
}
