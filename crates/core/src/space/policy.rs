//! How a call waits: as long as it takes, for a while, not at all.

use crate::change::lock::{self, WaitOutcome};
use crate::error::{Error, Result};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a call that does not wait may spend on locks in all. Their holders need microseconds, unless
/// they were preempted or stopped.
pub const AT_ONCE: Duration = Duration::from_millis(10);

/// A piece of waiting: it takes at most so long.
pub type Slice<'s> = &'s mut (dyn FnMut(Duration) -> Result<WaitOutcome> + Send);

/// How to wait: it runs the slice it is given, for at most a tenth of a second (`PROBE`), in
/// whatever way suits the caller (without the GIL), and fails if the caller was told to stop meanwhile, or
/// may wait no longer.
pub type WaitPolicy<'w> = &'w dyn Fn(Slice) -> Result<()>;

/// Waits as long as it takes.
///
/// # Errors
/// Those of waiting for a lock.
pub fn unlimited(slice: Slice) -> Result<()> {
    slice(lock::PROBE).map(drop)
}

/// Waits for at most so long in all, from the first wait on; then fails with `TimedOut`.
pub fn within(limit: Duration) -> impl Fn(Slice) -> Result<()> + Sync {
    let end = OnceLock::new();
    move |slice| {
        let now = Instant::now();
        let left = end
            .get_or_init(|| now + limit)
            .saturating_duration_since(now);
        if left.is_zero() {
            return Err(Error::TimedOut);
        }
        slice(left.min(lock::PROBE)).map(drop)
    }
}

/// Does not wait.
pub fn at_once() -> impl Fn(Slice) -> Result<()> + Sync {
    within(Duration::ZERO)
}

/// Waits as long as it takes, or until a signal comes.
///
/// # Errors
/// As `unlimited`; `Interrupted`.
pub fn until_signal(slice: Slice) -> Result<()> {
    match slice(lock::PROBE)? {
        WaitOutcome::Interrupted => Err(Error::Interrupted),
        _ => Ok(()),
    }
}
