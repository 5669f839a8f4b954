//! Named crash points: where a test may tell its own process to die.

/// A named line at which a process may be told to die; nothing at all in a normal build.
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(any(test, feature = "crash-points"))]
        $crate::memory::crash::reached($name);
    };
}

pub(crate) use crash_point;

#[cfg(any(test, feature = "crash-points"))]
mod armed {
    use std::sync::Mutex;
    use std::sync::OnceLock;

    /// Before anything is armed no thread takes the latch: a child forked beside it would find it held.
    static ANY: OnceLock<()> = OnceLock::new();
    static POINT: Mutex<Option<(&'static str, u32)>> = Mutex::new(None);

    /// This process dies when it reaches `point` for the `skip`-th time (from 0).
    pub fn arm(point: &'static str, skip: u32) {
        let _ = ANY.set(());
        *POINT.lock().unwrap() = Some((point, skip));
    }

    #[doc(hidden)]
    pub fn reached(point: &'static str) {
        if ANY.get().is_none() {
            return;
        }
        let mut armed = POINT.lock().unwrap();
        if let Some((name, skip)) = armed.as_mut().filter(|(name, _)| *name == point) {
            let _ = name;
            if *skip == 0 {
                crate::os::die();
            }
            *skip -= 1;
        }
    }
}
#[cfg(any(test, feature = "crash-points"))]
pub use armed::{arm, reached};

/// Every crash point there is, for tests that die at each.
pub const POINTS: &[&str] = &[
    "participant.locked",
    "participant.zeroed",
    "participant.published",
    "lookout.taken",
    "lock.released",
    "wait.bumped",
    "wait.cleared",
    "journal.written",
    "journal.committed",
    "journal.odd",
    "journal.applying",
    "journal.applied",
    "journal.cleared",
    "operation.unlocked",
    "operation.notified",
    "recover.replayed",
    "recover.repeated",
    "recover.advanced",
    "heap.allocated",
    "heap.published",
    "hole.marked",
    "hole.punched",
    "hole.noted",
    "hole.reserved",
    "drain.locked",
    "drain.freed",
    "leave.emptied",
    "leave.freed",
    "object.stored",
];
