//! Until when a call may wait: for what it was called for, and for the engine's locks on its way.

use courtyard_core::lock::PROBE;
use pyo3::exceptions::{PyOverflowError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long a call that does not wait waits for the engine's locks all the same, and at the turn of a priority
/// queue: their holders need microseconds, but may be preempted, and what is there must be found.
const GRACE: Duration = Duration::from_secs(1);
/// The least for a call that may wait, however short its timeout.
const LEAST: Duration = Duration::from_millis(100);
/// And for each such lock.
const A_LOOK: Duration = Duration::from_millis(2);

/// When to give up. None: never.
#[derive(Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub const NEVER: Deadline = Deadline(None);

    pub fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(limit))
    }

    /// From a timeout in seconds as Python's locks take it: None waits for ever, 0 or less not
    /// at all.
    ///
    /// # Errors
    /// `ValueError` for NaN, `OverflowError` for what no clock holds.
    pub fn from_timeout(timeout: Option<f64>) -> PyResult<Deadline> {
        let Some(seconds) = timeout else {
            return Ok(Deadline::NEVER);
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err(
                "timeout is NaN; expected seconds, or None to wait for ever",
            ));
        }
        if seconds.is_infinite() && seconds > 0.0 {
            return Ok(Deadline::NEVER);
        }
        let limit = Duration::try_from_secs_f64(seconds.max(0.0))
            .map_err(|_| PyOverflowError::new_err("timeout value is too large"))?;
        Ok(Deadline::after(limit))
    }

    /// What is left, at most `most`; None when it has passed.
    pub fn left(self, most: Duration) -> Option<Duration> {
        match self.0 {
            None => Some(most),
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                (!left.is_zero()).then_some(left.min(most))
            }
        }
    }
}

/// Until when a call waits for the engine's locks: as long as it may wait, and somewhat longer where
/// that is nothing or next to nothing.
#[derive(Clone, Copy)]
pub struct Limit {
    end: Deadline,
    /// How long at least, from when it begins; None: it has begun. The clock is asked then, not before:
    /// most calls wait for no lock.
    least: Option<Duration>,
}

impl Limit {
    pub const NEVER: Limit = Limit {
        end: Deadline::NEVER,
        least: None,
    };

    /// That of a call that begins now and waits until `wait`; None: it does not wait.
    pub fn of(wait: Option<Deadline>) -> Limit {
        let least = match wait {
            Some(Deadline(None)) => return Limit::NEVER,
            Some(_) => LEAST,
            None => GRACE,
        };
        Limit {
            end: wait.unwrap_or(Deadline::NEVER),
            least: Some(least),
        }
    }

    /// That of what is put off where it takes any longer.
    pub fn soon() -> Limit {
        Limit::of(Some(Deadline::after(Duration::ZERO)))
    }

    /// It begins with the first wait, if it has not begun.
    pub fn begin(&mut self) {
        if let Some(least) = self.least.take() {
            let least = Instant::now().checked_add(least);
            self.end = Deadline(self.end.0.max(least));
        }
    }

    /// The same, begun.
    pub fn begun(mut self) -> Limit {
        self.begin();
        self
    }

    pub fn earlier(self, other: Limit) -> Limit {
        let is_never = |limit: Limit| limit.least.is_none() && limit.end.0.is_none();
        if is_never(other) {
            return self;
        }
        if is_never(self) {
            return other;
        }
        let (one, two) = (self.begun().end, other.begun().end);
        let end = match (one.0, two.0) {
            (Some(one), Some(two)) => Deadline(Some(one.min(two))),
            (one, two) => Deadline(one.or(two)),
        };
        Limit { end, least: None }
    }

    /// How long the next slice of waiting for a lock may be; None: no longer. The first is some
    /// time in any case. It has begun.
    pub fn slice(self, is_first: bool) -> Option<Duration> {
        let left = self.begun().end.left(PROBE);
        if is_first {
            return Some(left.map_or(A_LOOK, |left| left.max(A_LOOK)));
        }
        left
    }
}

thread_local! {
    /// That of the `wait_for` whose condition this thread is testing, if any.
    static AROUND: Cell<Limit> = const { Cell::new(Limit::NEVER) };
    /// Whether it has ended a call inside the condition.
    static PASSED: Cell<bool> = const { Cell::new(false) };
}

/// A limit, and that of the `wait_for` around the call.
pub fn inside(limit: Limit) -> Limit {
    limit.earlier(AROUND.get())
}

/// Notes that a call failed because its limit had passed.
pub fn note_passed() {
    PASSED.set(true);
}

/// Tests the condition of a `wait_for`: whatever it reads waits no longer than that may. None: that
/// was too long.
///
/// # Errors
/// What `test` raises.
pub fn testing<T>(
    py: Python<'_>,
    deadline: Deadline,
    test: impl FnOnce() -> PyResult<T>,
) -> PyResult<Option<T>> {
    until(py, Limit::of(Some(deadline)), test)
}

/// Runs what waits no longer than until `limit`, whatever calls it makes. None: that was too long.
///
/// # Errors
/// What `work` raises.
pub fn until<T>(
    py: Python<'_>,
    limit: Limit,
    work: impl FnOnce() -> PyResult<T>,
) -> PyResult<Option<T>> {
    struct Back(Limit, bool);
    impl Drop for Back {
        fn drop(&mut self) {
            AROUND.set(self.0);
            PASSED.set(self.1);
        }
    }
    let mut limit = inside(limit);
    limit.begin();
    let _back = Back(AROUND.replace(limit), PASSED.replace(false));
    match work() {
        // What else it raises meanwhile is its own.
        Err(error) if PASSED.get() && error.is_instance_of::<PyTimeoutError>(py) => Ok(None),
        result => result.map(Some),
    }
}
