//! What gives something back never waits: what a held lock stands in the way of is put on the
//! process's backlog of the space, and carried out, in its order, by whoever of this process comes
//! by the directory next. If the process ends first, its drainer does what is left.

use crate::change::recover;
use crate::error::{Error, Result};
use crate::memory::layout::{self, SLOTS, slot};
use crate::process::participant::{LIVE, Me, Participant, State};
use crate::space::{AT_ONCE, Caller, Deferred, Job, Space, WaitPolicy, unlimited, within};
use crate::sync::Ordering;
use std::time::Duration;

const A_MOMENT: Duration = Duration::from_millis(1);

/// Takes apart and frees what is only listed so far.
static SWEEP: Job = Job {
    run: |caller, _| {
        let space = caller.space;
        space.sweep_due.store(false, Ordering::Relaxed);
        let swept = caller.sweep();
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

/// What a child's word names its parent by.
fn name(me: Me) -> u64 {
    (me.slot + 1) | u64::from(me.generation) << 32
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
    /// `Interrupted` and `TimedOut` as the wait policy says: what is left stays on the backlog. Other
    /// failures leave the work to this process's drainer.
    pub fn catch_up(&self, wait: WaitPolicy) -> Result<()> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let Some(participant) = (unsafe { self.registered().as_ref() }) else {
            return Ok(());
        };
        let me = number(participant);
        if !self.backlog.begin(me) {
            return Ok(());
        }
        let turn = Turn(self, me);
        while let Some(work) = self.backlog.first(me) {
            if work.by == participant.me {
                let done = (work.job.run)(Caller::new(self, participant, wait), &work.numbers);
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
        if cfg!(loom) {
            let _ = (job.run)(Caller::new(self, participant, &unlimited), &numbers); // models put nothing off
            return;
        }
        let limit = if self.is_behind() {
            Duration::ZERO // somebody has waited in vain before
        } else {
            AT_ONCE
        };
        let wait = &within(limit);
        let _ = self.catch_up(wait);
        if !self.is_behind() {
            let done = (job.run)(Caller::new(self, participant, wait), &numbers);
            if !matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
                return; // where it failed, the drainer of this process does it
            }
        }
        self.defer(participant, job, numbers);
    }

    /// Whether a child of ours is alive whose memberships are not copied yet.
    fn is_needed(&self, participant: &Participant) -> bool {
        let us = name(participant.me);
        let borrows = |slot| layout::slot_record(slot) + slot::BORROWS;
        (0..SLOTS).any(|slot| {
            let State { state, generation } = State::read(&self.segment, slot);
            state == LIVE
                && self.segment.word(borrows(slot)).load(Ordering::Acquire) == us
                && !matches!(
                    recover::reap(&self.segment, Me { slot, generation }),
                    Ok(true)
                )
        })
    }

    /// Puts on the backlog what was held back for children that have theirs by now; true if there
    /// still are others.
    pub fn is_lending(&self, participant: &Participant) -> bool {
        let me = number(participant);
        let is_needed = || self.is_needed(participant);
        self.loan
            .is_open(me, is_needed, |work| self.backlog.push(me, work))
    }

    /// Puts off work until no child needs what it gives back; false: none does.
    pub fn hold_back(
        &self,
        participant: &Participant,
        job: &'static Job,
        numbers: [u64; 6],
    ) -> bool {
        let (me, by) = (number(participant), participant.me);
        let work = Deferred { by, job, numbers };
        let is_needed = || self.is_needed(participant);
        self.loan
            .hold(me, work, is_needed, |work| self.backlog.push(me, work))
    }

    /// A child that is about to be forked has its memberships copied by itself. We keep ours till then.
    pub fn lend(&self, parent: &Participant, child: &Participant) {
        let word = layout::slot_record(child.me.slot) + slot::BORROWS;
        self.segment
            .word(word)
            .store(name(parent.me), Ordering::Release);
        self.loan.lend();
    }

    /// Whether our own memberships are still to be copied.
    #[inline]
    pub fn is_owing(&self) -> bool {
        self.is_owing.load(Ordering::Relaxed)
    }

    /// In the child: waits until they are. Before that it uses and takes none: what is copied is told from
    /// what is new by the membership cache alone.
    ///
    /// # Errors
    /// As `catch_up`.
    #[inline]
    pub fn settle_up(&self, wait: WaitPolicy) -> Result<()> {
        match self.is_owing() {
            true => self.settle_now(wait),
            false => Ok(()),
        }
    }

    #[cold]
    fn settle_now(&self, wait: WaitPolicy) -> Result<()> {
        while self.is_owing() {
            self.catch_up(wait)?;
            if self.is_owing() {
                let me = self.participate(wait)?.me; // another thread is at it
                let word = layout::slot_record(me.slot) + slot::BORROWS;
                let seen = self.segment.word(word).load(Ordering::Relaxed);
                wait(&mut |limit| Ok(self.segment.sleep(word, seen, limit.min(A_MOMENT)).into()))?;
            }
        }
        Ok(())
    }

    /// In the child: they are copied; its parent may give its own back.
    pub fn settled(&self, child: &Participant) {
        let word = layout::slot_record(child.me.slot) + slot::BORROWS;
        self.segment.word(word).store(0, Ordering::Release);
        self.is_owing.store(false, Ordering::Relaxed);
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
            let _ = self.sweep(&within(AT_ONCE));
        }
    }
}
