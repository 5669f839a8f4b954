//! `wait_for` and timeouts: sleeping on an event word until a condition holds.

use super::handle::Handle;
use super::waiting::Count;
pub use crate::deadline::Deadline;
use crate::deadline::{self, Limit};
use crate::ending;
use crate::error::{raise, waiting, waiting_until};
use crate::thread;
use courtyard_core::error::{Error, Result};
use courtyard_core::layout::superblock;
use courtyard_core::lock::{PROBE, WaitOutcome};
use courtyard_core::lookout::{self, Lookout};
use courtyard_core::offset::EventWord;
use courtyard_core::os;
use courtyard_core::recover;
use courtyard_core::segment::Segment;
use courtyard_core::space::{Space, at_once};
use courtyard_core::sync::relax;
use courtyard_core::wait;
use courtyard_core::waiting::{self, Note};
use pyo3::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// PAUSEs before a waiter sleeps: few, or, as long as that is worth it, more than it takes to wake
/// a partner that sleeps on another CPU. On one CPU no partner answers while we spin. Nobody yields:
/// who did is made to wait by the kernel when it is woken later.
const FEW_SPINS: u32 = 40;
const MANY_SPINS: u32 = 1500;
/// So many waits in a row may spin in vain before waiters spin but few times.
const FULL_BUDGET: i32 = 8;
/// And after so many of those, one tries again.
const RETRY: i32 = 64;

thread_local! {
    /// How many more waits of this thread are to spin many times (from 1 to `FULL_BUDGET`), or, below 0,
    /// how many are not.
    static SPIN_BUDGET: Cell<i32> = const { Cell::new(FULL_BUDGET) };
}

/// Sleeps until the event word differs from `flagged`: spins, unless nothing happened for a whole
/// slice (`is_idle`), then the futex. Its result is a slice's: time passing is `TimedOut`.
fn slice(
    space: &Space,
    event: EventWord,
    flagged: u64,
    limit: Duration,
    is_idle: bool,
) -> Result<WaitOutcome> {
    if !is_idle && spin(space, event, flagged) {
        return Ok(WaitOutcome::Changed);
    }
    Ok(wait::sleep(&space.segment, event, flagged, limit).into())
}

/// Whether the event word comes to differ while we spin.
fn spin(space: &Space, event: EventWord, flagged: u64) -> bool {
    let budget = SPIN_BUDGET.get();
    let spins = if budget > 0 { MANY_SPINS } else { FEW_SPINS };
    for _ in 0..spins {
        if wait::observe(&space.segment, event) != flagged {
            SPIN_BUDGET.set(FULL_BUDGET);
            return true;
        }
        relax();
    }
    let less = match budget {
        1 => -RETRY,
        -1 => 1,
        hope => hope + if budget > 0 { -1 } else { 1 },
    };
    SPIN_BUDGET.set(less);
    false
}

/// The most words that are waited at.
const MOST_EVENTS: usize = 4;

/// What a waiter sleeps on: the event word, or, where there are several, the bell of the space.
#[derive(Clone, Copy)]
struct Events {
    words: [EventWord; MOST_EVENTS],
    count: usize,
}

impl Events {
    fn new(events: &[EventWord]) -> Events {
        let mut words = [EventWord::default(); MOST_EVENTS];
        words[..events.len()].copy_from_slice(events);
        let count = events.len();
        Events { words, count }
    }

    /// The word slept on, last, and those by whose change it changes.
    fn all(&self) -> impl Iterator<Item = EventWord> {
        let bell = (self.count > 1).then_some(superblock::BELL);
        self.words.into_iter().take(self.count).chain(bell)
    }

    /// The words as they are before the condition is tested; the last one first.
    fn observe(&self, segment: &Segment) -> Observed {
        let mut observed = [0; MOST_EVENTS + 1];
        if self.count > 1 {
            observed[self.count] = wait::observe(segment, superblock::BELL);
        }
        for (seen, event) in observed.iter_mut().zip(self.words).take(self.count) {
            *seen = wait::observe(segment, event);
        }
        observed
    }

    /// Announces the sleeper; None if a word has changed since.
    fn prepare(&self, segment: &Segment, observed: Observed) -> Option<Observed> {
        let mut flagged = observed;
        let last = self.all().count() - 1;
        for (index, event) in self.all().enumerate() {
            flagged[index] = match index == last {
                true => wait::prepare(segment, event, observed[index])?,
                false => wait::prepare_bell(segment, event, observed[index])?,
            };
        }
        Some(flagged)
    }

    /// The word slept on, and what it was.
    fn last(&self, observed: Observed) -> (EventWord, u64) {
        let last = self.all().zip(observed).last();
        last.unwrap_or_default()
    }
}

type Observed = [u64; MOST_EVENTS + 1];

/// A wait for an object at one of its words: counted, and noted for people when a first slice of
/// it has passed in vain. A wait at a word of the space's own is nobody's.
pub struct Wait<'a> {
    count: Option<Count<'a>>,
    space: &'a Space,
    word: u64,
    note: Option<Note<'a>>,
}

impl<'a> Wait<'a> {
    pub fn new(handle: &'a Handle, word: u64) -> Wait<'a> {
        Wait {
            count: Some(Count::of(handle)),
            space: handle.space,
            word,
            note: None,
        }
    }

    fn of_space(space: &'a Space, word: u64) -> Wait<'a> {
        Wait {
            count: None,
            space,
            word,
            note: None,
        }
    }

    fn counted(&mut self, outcome: WaitOutcome) -> WaitOutcome {
        let count = self.count.as_mut();
        count.map_or(outcome, |count| count.after(outcome))
    }

    /// Runs a slice of at most `limit` without the GIL, signal handlers after.
    ///
    /// # Errors
    /// Those of the slice; what a signal handler raises.
    pub fn wait(
        &mut self,
        py: Python<'_>,
        limit: Duration,
        mut slice: impl FnMut() -> Result<WaitOutcome> + Send,
    ) -> PyResult<WaitOutcome> {
        let mut outcome = WaitOutcome::Changed;
        waiting(py, |policy| {
            policy(&mut |_| {
                outcome = self.counted(slice()?);
                Ok(outcome)
            })
        })?;
        self.look(py, outcome, limit);
        Ok(outcome)
    }

    /// As `wait`, but what signal handlers raise is kept in `raised`, the first of it.
    ///
    /// # Errors
    /// Those of the slice.
    pub fn wait_uninterruptible(
        &mut self,
        py: Python<'_>,
        limit: Duration,
        slice: impl FnOnce() -> Result<WaitOutcome> + Send,
        raised: &mut Option<PyErr>,
    ) -> PyResult<WaitOutcome> {
        let outcome = ending::waiting(py, slice).map_err(|error| raise(py, error))?;
        if let Err(error) = py.check_signals() {
            raised.get_or_insert(error);
        }
        let outcome = self.counted(outcome);
        self.look(py, outcome, limit);
        Ok(outcome)
    }

    /// Takes note of a first slice that passed in vain.
    fn look(&mut self, py: Python<'_>, outcome: WaitOutcome, limit: Duration) {
        if outcome == WaitOutcome::TimedOut && self.note.is_none() {
            thread::introduce(py);
            let who = waiting::introduced();
            // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
            let participant = unsafe { self.space.registered().as_ref() };
            self.note = participant.and_then(|participant| {
                Note::new(&self.space.segment, participant, self.word, limit, who)
            });
        }
    }
}

/// Attempts something until it succeeds; None when the deadline has passed, at once if that is
/// None.
///
/// The event word is read before each attempt and slept on after it, so a change between the two
/// ends the sleep at once. Whoever queued the wake may die: its reaper gives it. Sleepers look after
/// the dead, after a tenth of a second at first and then every `look`, one of them for all
/// (`Lookout`), and give back what they held.
///
/// # Errors
/// What the attempt or a signal handler raises.
pub fn attempt<T>(
    py: Python<'_>,
    handle: &Handle,
    event: EventWord,
    deadline: Option<Deadline>,
    look: Duration,
    attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    attempt_until(py, handle, event, deadline, look, &Cell::new(None), attempt)
}

/// As `attempt`, where an attempt may succeed without an event: `soonest` says when, as the last one
/// found.
///
/// # Errors
/// As `attempt`.
pub fn attempt_until<T>(
    py: Python<'_>,
    handle: &Handle,
    event: EventWord,
    deadline: Option<Deadline>,
    look: Duration,
    soonest: &Cell<Option<Instant>>,
    attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    attempt_in(
        py,
        Wait::new(handle, event.0),
        Events::new(&[event]),
        deadline,
        look,
        soonest,
        attempt,
    )
}

/// As `attempt`, at an event word of the space's own.
///
/// # Errors
/// What the attempt or a signal handler raises.
pub fn attempt_at<T>(
    py: Python<'_>,
    space: &Space,
    event: EventWord,
    deadline: Deadline,
    attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    let (wait, never) = (Wait::of_space(space, event.0), Cell::new(None));
    let (events, look) = (Events::new(&[event]), wait::LOOK_AGAIN);
    attempt_in(py, wait, events, Some(deadline), look, &never, attempt)
}

fn attempt_in<T>(
    py: Python<'_>,
    mut wait: Wait<'_>,
    events: Events,
    deadline: Option<Deadline>,
    look: Duration,
    soonest: &Cell<Option<Instant>>,
    mut attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    let space = wait.space;
    let mut lookout = Lookout::new(look);
    let (mut is_idle, mut has_looked, mut is_swept) = (false, false, true);
    loop {
        let mut observed = events.observe(&space.segment);
        if let Some(result) = attempt()? {
            return Ok(Some(result));
        }
        let Some(mut left) = deadline.and_then(|deadline| deadline.left(lookout.limit())) else {
            if !has_looked && look_if_due(py, space)? {
                has_looked = true;
                continue;
            }
            return Ok(None);
        };
        if !is_swept {
            is_swept = recovered(py, space, Ok(true), Limit::of(deadline))?;
            ending::waiting(py, || ()); // other threads run
            py.check_signals()?;
            continue; // all of it may take seconds: what we wait for may come meanwhile
        }
        if let Some(soonest) = soonest.get() {
            left = left.min(soonest.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                py.check_signals()?;
                continue;
            }
        }
        let Some(flagged) = events.prepare(&space.segment, observed) else {
            py.check_signals()?; // it may be the attempt itself that changes the object, each time
            continue;
        };
        if flagged != observed {
            // Some change without bumping unless a flag is set: look once more.
            observed = flagged;
            if let Some(result) = attempt()? {
                return Ok(Some(result));
            }
        }
        let (event, observed) = events.last(observed);
        let outcome = wait.wait(py, left, || slice(space, event, observed, left, is_idle))?;
        is_idle = outcome == WaitOutcome::TimedOut;
        if is_idle {
            let _ = space.catch_up(&at_once()); // perhaps what we wait for was put off here
            let found = lookout.look(&space.segment, os::boot_clock());
            let found = found.map(|found| found || space.is_freeing());
            is_swept = recovered(py, space, found, Limit::of(deadline))?;
        } else {
            lookout.woken();
        }
    }
}

/// Recovers those who died, so that what they held, and the wakes they had queued, come to those who wait.
pub fn look_after(py: Python<'_>, space: &Space, limit: Limit) -> PyResult<()> {
    recovered(py, space, recover::reap_all(&space.segment), limit).map(drop)
}

/// Looks after the dead for a call that does not wait, if nobody has for a while: what it asks for may be
/// theirs.
/// True: it has looked.
pub fn look_if_due(py: Python<'_>, space: &Space) -> PyResult<bool> {
    let now = os::boot_clock();
    if !lookout::is_due(&space.segment, now) {
        return Ok(false);
    }
    let found = Lookout::new(PROBE).look(&space.segment, now);
    recovered(py, space, found, Limit::soon())?;
    Ok(true)
}

/// Gives back what the dead held, if a look found that there is something to give back, and frees some of
/// what they left; false: there is more of that.
fn recovered(py: Python<'_>, space: &Space, found: Result<bool>, limit: Limit) -> PyResult<bool> {
    match found {
        Ok(false) | Err(Error::System { .. }) => Ok(true),
        Ok(true) => waiting_until(py, limit, |wait| match space.sweep_some(wait) {
            Err(Error::System { .. }) => Ok(true),
            swept => swept,
        })
        .map(|swept| swept.unwrap_or(true)),
        Err(error) => Err(raise(py, error)),
    }
}

/// Waits until `test` returns an object that is true, and returns that; False on timeout. Each change
/// of the object changes one of the event words.
///
/// # Errors
/// What `test` or a signal handler raises.
pub fn wait_until<'py>(
    py: Python<'py>,
    handle: &Handle,
    events: &[EventWord],
    deadline: Deadline,
    mut test: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (wait, never) = (Wait::new(handle, events[0].0), Cell::new(None));
    let (events, look) = (Events::new(events), wait::LOOK_AGAIN);
    let found = attempt_in(py, wait, events, Some(deadline), look, &never, || {
        let tested = deadline::testing(py, deadline, || {
            let result = test()?;
            Ok(result.is_truthy()?.then_some(result))
        })?;
        Ok(tested.flatten())
    })?;
    Ok(found.unwrap_or_else(|| not_in_time(py)))
}

/// What `wait_for` returns when its time is up.
pub fn not_in_time(py: Python<'_>) -> Bound<'_, PyAny> {
    pyo3::types::PyBool::new(py, false).to_owned().into_any()
}
