//! The thread that sleeps for registered waits: tokens come, once, whatever the kernel has.

mod stage;

use courtyard_core::layout::superblock;
use courtyard_core::listener::{Listener, Token};
use courtyard_core::offset::EventWord;
use courtyard_core::os;
use courtyard_core::sleeper::{self, Registration};
use courtyard_core::space::Space;
use courtyard_core::wait;
use stage::{Folder, alone};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);
/// A word that is as good as an object's.
const WORD: EventWord = superblock::NAMED;

fn space() -> (Folder, &'static Space) {
    let folder = Folder::new();
    let space = Box::leak(Box::new(folder.space()));
    (folder, space)
}

fn register(space: &'static Space, listener: &Arc<Listener>, number: u64) -> Registration {
    let listener = listener.clone();
    sleeper::register(space, &[WORD], Token { listener, number }).unwrap()
}

/// The tokens that have come by the time that one has.
fn tokens(listener: &Listener, limit: Duration) -> Vec<u64> {
    let begun = Instant::now();
    loop {
        let tokens = listener.take();
        if !tokens.is_empty() || begun.elapsed() > limit {
            return tokens;
        }
        os::pause(Duration::from_millis(1));
    }
}

#[test]
fn a_token_comes_once() {
    let _alone = alone();
    let (_folder, space) = space();
    let listener = Listener::new().unwrap();
    let waits = [1, 2].map(|number| register(space, &listener, number));
    assert_eq!(sleeper::counts(), (1, 2));
    wait::notify(&space.segment, WORD);
    let mut came = tokens(&listener, LONG);
    while came.len() < 2 {
        came.extend(tokens(&listener, LONG));
    }
    assert_eq!(came, [1, 2]);
    wait::notify(&space.segment, WORD);
    assert_eq!(tokens(&listener, SHORT), [0; 0]);
    drop(waits);
    assert_eq!(sleeper::counts(), (1, 0));
    drop(register(space, &listener, 3));
    wait::notify(&space.segment, WORD);
    assert_eq!(tokens(&listener, SHORT), [0; 0]);
    assert!(sleeper::end());
    assert_eq!(sleeper::counts(), (0, 0));
}

/// Each of many spaces has a wait, is changed, and goes.
fn many(count: usize, threads: usize) {
    let listener = Listener::new().unwrap();
    let spaces: Vec<_> = (0..count).map(|_| space()).collect();
    let mut waits: Vec<Option<Registration>> = Vec::new();
    for (number, (_, space)) in (0..).zip(&spaces) {
        waits.push(Some(register(space, &listener, number)));
    }
    assert_eq!(sleeper::counts(), (threads, count));
    for (number, (_, space)) in spaces.iter().enumerate().rev() {
        assert!(!sleeper::dismiss(space), "there is a wait");
        wait::notify(&space.segment, WORD);
        assert_eq!(tokens(&listener, LONG), [number as u64]);
        // A new one, of a space that the thread knows.
        waits[number] = Some(register(space, &listener, number as u64));
        wait::notify(&space.segment, WORD);
        assert_eq!(tokens(&listener, LONG), [number as u64]);
        waits[number] = None;
        assert!(sleeper::dismiss(space));
    }
    assert!(sleeper::end());
}

#[test]
fn one_thread_sleeps_for_many_spaces() {
    let _alone = alone();
    many(130, 2);
}

#[test]
fn without_the_call_each_space_has_a_thread() {
    let _alone = alone();
    os::fault::arm("futex_waitv", 0, libc::ENOSYS, false);
    many(5, 5);
    assert!(!os::fault::disarm());
}

#[test]
fn where_no_thread_can_be_had_nothing_is_registered() {
    let _alone = alone();
    let (_folder, space) = space();
    let listener = Listener::new().unwrap();
    os::fault::arm("pthread_create", 0, libc::EAGAIN, false);
    let token = Token {
        listener: listener.clone(),
        number: 1,
    };
    let refused = sleeper::register(space, &[WORD], token);
    assert!(refused.is_err_and(|error| error.to_string().contains("pthread_create")));
    os::fault::disarm();
    let _wait = register(space, &listener, 2);
    wait::notify(&space.segment, WORD);
    assert_eq!(tokens(&listener, LONG), [2]);
    assert!(sleeper::end());
}
