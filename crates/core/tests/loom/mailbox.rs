//! Mailboxes: whatever is left for an event loop, it is woken for.

use courtyard_core::mailbox::Mailbox;
use courtyard_core::mortal;
use courtyard_core::seed;
use courtyard_core::sync::Mutex;
use loom::thread;
use std::sync::Arc;

/// A mailbox, and the descriptor beside it, which the kernel keeps.
struct Listened {
    mailbox: Mailbox<u64>,
    descriptor: Mutex<Descriptor>,
}

#[derive(Default)]
struct Descriptor {
    is_readable: bool,
    writes: u64,
}

impl Listened {
    fn new() -> Listened {
        Listened {
            mailbox: Mailbox::default(),
            descriptor: Mutex::new(Descriptor::default()),
        }
    }

    fn leave(&self, mail: u64) {
        self.mailbox.leave([mail], || {
            let mut descriptor = self.descriptor.lock().unwrap();
            descriptor.writes += 1;
            descriptor.is_readable = true;
        });
    }

    fn take(&self) -> Vec<u64> {
        self.mailbox
            .take(|| self.descriptor.lock().unwrap().is_readable = false)
    }

    fn is_readable(&self) -> bool {
        self.descriptor.lock().unwrap().is_readable
    }

    fn writes(&self) -> u64 {
        self.descriptor.lock().unwrap().writes
    }
}

/// Two letters come while the loop looks once; then it looks only as long as it is told to.
fn two_letters() {
    let listened = Arc::new(Listened::new());
    let there = listened.clone();
    let leaving = thread::spawn(move || {
        there.leave(1);
        there.leave(2);
    });
    let mut all = listened.take();
    leaving.join().unwrap();
    while listened.is_readable() {
        all.extend(listened.take());
    }
    assert_eq!(all, [1, 2], "mail that nobody is told of");
    assert!((1..=2).contains(&listened.writes()));
}

/// Nobody looks meanwhile.
fn one_write() {
    let listened = Listened::new();
    (0..3).for_each(|mail| listened.leave(mail));
    assert_eq!(listened.writes(), 1);
    assert_eq!(listened.take(), [0, 1, 2]);
    listened.leave(3);
    assert_eq!(listened.writes(), 2);
}

#[test]
fn all_mail_is_told_of() {
    mortal::explore("two letters", 3, two_letters);
}

#[test]
fn mail_is_told_of_once() {
    mortal::explore("one write", 3, one_write);
}

#[test]
#[should_panic(expected = "mail that nobody is told of")]
fn catches_mail_taken_before_the_next_is_told() {
    let _seeded = seed::seed(seed::Bug::MailBeforeTold);
    mortal::explore("seed", 3, two_letters);
}
