//! The processes of a model, and how one of them dies: just before one of its stores.
//!
//! A killed process leaves a prefix of its stores, in program order. So a model tries every
//! death there is by letting the mortal process make `stores` stores and wakes, for each number
//! from 0, and then no more: `sync` calls `step` before it changes a word, the modelled futex
//! before it wakes. Death unwinds the thread out of its body; destructors that would touch
//! shared memory do nothing meanwhile (`is_dying`), because a dead process runs nothing.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// Who never dies.
pub const IMMORTAL: u64 = u64::MAX;

loom::thread_local! {
    static PROCESS: Cell<u64> = Cell::new(0);
    static LEFT: Cell<u64> = Cell::new(IMMORTAL);
    static FALLS_SEEN: Cell<u64> = Cell::new(0);
}

std::thread_local! {
    /// How often anybody died, and how often somebody who was not the first of an execution:
    /// the threads of a model are coroutines of the test's one thread.
    static DEATHS: Cell<u64> = const { Cell::new(0) };
    static SECOND_DEATHS: Cell<u64> = const { Cell::new(0) };
    static IN_THIS_EXECUTION: Cell<u64> = const { Cell::new(0) };
}

/// What unwinds a dying thread.
struct Death;

/// Counts a store that is about to be made; the thread dies instead if it has none left.
#[inline]
pub fn step() {
    LEFT.with(|left| match left.get() {
        IMMORTAL => {}
        0 => {
            DEATHS.set(DEATHS.get() + 1);
            SECOND_DEATHS.set(SECOND_DEATHS.get() + IN_THIS_EXECUTION.replace(1));
            panic::resume_unwind(Box::new(Death));
        }
        stores => left.set(stores - 1),
    });
}

/// Whether this thread is being unwound: by its death, or by a failed test.
pub fn is_dying() -> bool {
    std::thread::panicking()
}

/// Which process the running thread belongs to.
pub fn process() -> u64 {
    PROCESS.with(Cell::get)
}

/// Acts as `process`, for at most `stores` stores; None if it died of that.
/// `Segment::live` also tells the modelled kernel.
pub fn act<T>(process: u64, stores: u64, body: impl FnOnce() -> T) -> Option<T> {
    let before = PROCESS.with(|object| object.replace(process));
    LEFT.with(|left| left.set(stores));
    let result = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Death>() => None,
        Err(payload) => panic::resume_unwind(payload), // a failed test
    };
    LEFT.with(|left| left.set(IMMORTAL));
    PROCESS.with(|object| object.set(before));
    result
}

/// How many locks of processes had fallen when this thread last asked who lives.
pub(crate) fn falls_seen() -> u64 {
    FALLS_SEEN.with(Cell::get)
}

pub(crate) fn see_falls(falls: u64) {
    FALLS_SEEN.with(|object| object.set(falls));
}

/// Runs `explore` for a process that dies before its first store, its second, and so on, until
/// it gets through alive in every execution. Returns how many places it died at.
pub fn every_death(mut explore: impl FnMut(u64)) -> u64 {
    let mut stores = 0;
    loop {
        DEATHS.set(0);
        explore(stores);
        if DEATHS.get() == 0 {
            return stores;
        }
        stores += 1;
    }
}

/// As `every_death`, for a second process that dies after the first one, in one model with it.
/// Inside `every_death`.
pub fn every_second_death(mut explore: impl FnMut(u64)) {
    let mut stores = 0;
    loop {
        SECOND_DEATHS.set(0);
        explore(stores);
        if SECOND_DEATHS.get() == 0 {
            return;
        }
        stores += 1;
    }
}

/// Most preemptions in one execution of a model that is right, unless `COURTYARD_MODELS` is `full`:
/// with two of them nearly every bug shows, and each one more takes ten times as long.
const PREEMPTIONS: usize = 2;

/// The name of a model with a bug in it, which is explored until the bug shows.
const SEEDED: &str = "seed";

/// Explores a model, with at most so many preemptions in one execution if there is a bound, and
/// says what it cost. `LOOM_MAX_PREEMPTIONS` overrides the bound.
pub fn explore(
    name: &str,
    preemptions: impl Into<Option<usize>>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut bound = preemptions.into();
    if name != SEEDED && std::env::var_os("COURTYARD_MODELS").is_none_or(|size| size != "full") {
        bound = Some(bound.map_or(PREEMPTIONS, |bound| bound.min(PREEMPTIONS)));
    }
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(bound);
    builder.max_branches = 20_000;
    let runs = std::sync::Arc::new(std::sync::Mutex::new(0_u64));
    let (count, start) = (runs.clone(), std::time::Instant::now());
    builder.check(move || {
        *count.lock().unwrap() += 1;
        IN_THIS_EXECUTION.set(0);
        model();
    });
    let (runs, spent) = (runs.lock().unwrap(), start.elapsed());
    println!("{name}: {runs} executions in {spent:.1?}");
}
