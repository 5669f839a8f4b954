//! What gives something back never waits: what a held lock stands in the way of is put on the
//! process's backlog of the space, and carried out, in its order, by whoever of this process comes
//! by the directory next. If the process ends first, its drainer does what is left.

use crate::error::{Error, Result};
use crate::participant::Participant;
use crate::space::{Deferred, Job, Patience, Space, within};
use crate::sync::Ordering;
use std::time::Duration;

/// How long what gives something back may stand at locks in all. Their holders need microseconds,
/// unless they were preempted or stopped.
const GLANCE: Duration = Duration::from_millis(10);

/// Takes apart and frees what is only listed so far.
static SWEEP: Job = Job {
    run: |space, participant, patience, _| {
        space.sweep_due.store(false, Ordering::Relaxed);
        let swept = (space.hooks.sweep)(space, participant, patience);
        if swept.is_err() {
            space.sweep_due.store(true, Ordering::Relaxed);
        }
        swept
    },
    inherit: |space, _| space.sweep_due.store(false, Ordering::Relaxed),
};

/// Ends who takes from a backlog, also by a panic.
struct Turn<'a>(&'a Space, u64);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.backlog.end(self.1);
    }
}

fn number(participant: &Participant) -> u64 {
    std::ptr::from_ref(participant) as u64
}

impl Space {
    /// Whether something is left to do that a lock stood in the way of.
    #[inline(always)]
    pub fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Puts work on the backlog, to be done in `participant`'s name.
    pub fn defer(&self, participant: &Participant, job: &'static Job, numbers: [u64; 6]) {
        let by = participant.me;
        let work = Deferred { by, job, numbers };
        self.backlog.push(number(participant), work);
    }

    /// Carries out what is on the backlog; what another thread is at is its own.
    ///
    /// # Errors
    /// `Interrupted` and `TimedOut` as `patience` says: what is left stays on the backlog. Other
    /// failures leave the work to this process's drainer.
    pub fn catch_up(&self, patience: Patience) -> Result<()> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let Some(participant) = (unsafe { self.registered().as_ref() }) else {
            return Ok(());
        };
        let me = number(participant);
        if self.backlog.is_empty() || !self.backlog.begin(me) {
            return Ok(());
        }
        let turn = Turn(self, me);
        while let Some(work) = self.backlog.first(me) {
            if work.by == participant.me {
                let done = (work.job.run)(self, participant, &mut *patience, &work.numbers);
                if let Err(error @ (Error::Interrupted | Error::TimedOut)) = done {
                    return Err(error);
                }
            } else {
                (work.job.inherit)(self, &work.numbers); // put there before we were forked
            }
            self.backlog.pop(me);
        }
        std::mem::forget(turn); // ended by the last look, so that no work is left between the two
        Ok(())
    }

    /// Does something now if that takes no waiting, behind what is on the backlog; else it goes
    /// there.
    pub fn now_or_later(&self, participant: &Participant, job: &'static Job, numbers: [u64; 6]) {
        let limit = if self.is_behind() {
            Duration::ZERO // somebody has waited in vain before
        } else {
            GLANCE
        };
        let patience = &mut within(limit);
        let _ = self.catch_up(patience);
        if !self.is_behind() {
            let done = (job.run)(self, participant, patience, &numbers);
            if !matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
                return; // where it failed, the drainer of this process does it
            }
        }
        self.defer(participant, job, numbers);
    }

    /// Has what is retired, or half taken apart, looked after later: its owner could not wait.
    pub fn sweep_later(&self, participant: &Participant) {
        if !self.sweep_due.swap(true, Ordering::Relaxed) {
            self.defer(participant, &SWEEP, [0; 6]);
        }
    }

    /// As `sweep`, of what takes no waiting: before a process goes on that cannot be held up.
    pub fn tidy(&self) {
        if self.may_reclaim().unwrap_or(false) {
            let _ = self.sweep(&mut within(GLANCE));
        }
    }
}
