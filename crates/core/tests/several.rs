//! Sleeping on several words at once, and descriptors for event loops.

mod stage;

use courtyard_core::layout::superblock;
use courtyard_core::offset::EventWord;
use courtyard_core::os::{self, Awaited, Woken};
use courtyard_core::space::Space;
use courtyard_core::wait;
use stage::{Folder, alone};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);
const BELL: EventWord = superblock::BELL;

fn awaited(space: &Space) -> Awaited {
    let observed = wait::observe(&space.segment, BELL);
    let flagged = wait::prepare(&space.segment, BELL, observed).expect("nobody changes it");
    space.segment.awaited(BELL.0, flagged)
}

fn sleep(awaited: &[Awaited], limit: Duration) -> std::io::Result<Woken> {
    // SAFETY: the spaces of a test stay mapped during it.
    unsafe { os::futex_wait_any(awaited, limit) }
}

#[test]
fn any_of_several_bells_wakes() {
    let _alone = alone();
    let folders = [Folder::new(), Folder::new(), Folder::new()];
    let spaces = folders.each_ref().map(Folder::space);
    let all = || spaces.each_ref().map(awaited);
    assert_eq!(sleep(&all(), SHORT).unwrap(), Woken::TimedOut);
    for space in &spaces {
        let words = all();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                os::pause(SHORT);
                wait::notify(&space.segment, BELL);
            });
            assert_eq!(sleep(&words, LONG).unwrap(), Woken::Changed);
        });
        assert!(begun.elapsed() < LONG);
        // The words are not as they were read any more.
        assert_eq!(sleep(&words, LONG).unwrap(), Woken::Changed);
    }
}

#[test]
fn a_kernel_without_the_call_says_so() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    os::fault::arm("futex_waitv", 0, libc::ENOSYS, false);
    let error = sleep(&[awaited(&space)], SHORT).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));
    assert!(!os::fault::disarm());
    // More words than there may be are no reason to wait for nothing.
    let many = vec![awaited(&space); os::MOST_AWAITED + 1];
    assert!(sleep(&many, SHORT).is_err());
}

#[test]
fn a_descriptor_is_readable_until_it_is_drained() {
    let event = os::event().unwrap();
    assert!(!os::drain(&event));
    os::signal(&event);
    os::signal(&event);
    assert!(os::drain(&event));
    assert!(!os::drain(&event));
}
