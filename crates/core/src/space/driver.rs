//! How an operation is carried through what stops it.

use crate::change::lock::{self, WaitOutcome, Waiter};
use crate::change::operation::Operation;
use crate::change::recover;
use crate::change::waiting::{self, Note};
use crate::error::{Attempt, Error, Result, Stop};
use crate::heap;
use crate::offset::LockWord;
use crate::space::{Caller, Space};
use std::time::Duration;

impl Caller<'_, '_> {
    /// Carries an operation through: attempts `body` until it returns, and removes what stops it.
    /// `body` commits before it returns, and changes nothing on any other path.
    ///
    /// # Errors
    /// What `body` fails with; `Full` when growth fails; `Interrupted` and `TimedOut` as the wait
    /// policy says.
    pub fn run<T>(self, mut body: impl FnMut(&mut Operation) -> Attempt<T>) -> Result<T> {
        let Caller {
            space, participant, ..
        } = self;
        let mut waiter = Waiter::new(&space.segment, LockWord::default());
        let (mut swept, mut reclaimed, mut is_scarce) = (false, false, false);
        let mut note = None;
        loop {
            participant.require()?; // while we waited, a signal handler may have forked
            let mut operation =
                Operation::begin(&space.segment, participant, waiter.lock(), waiter.flags());
            operation.make_do(is_scarce);
            let stop = loop {
                let stop = match body(&mut operation) {
                    Ok(value) => {
                        if !operation.is_without_lock() {
                            waiter.acquired();
                        }
                        let freed = operation.has_freed();
                        drop((operation, waiter));
                        if freed > 0 {
                            space.give_back(participant, freed);
                        }
                        space.share(participant);
                        return Ok(value);
                    }
                    Err(stop) => stop,
                };
                operation.abandon();
                let moved = match stop {
                    Stop::Refill(class) => heap::refill(&mut operation, class),
                    Stop::Flush(class) => heap::flush(&mut operation, class),
                    stop => break stop,
                };
                operation.abandon();
                if let Err(stop) = moved {
                    break stop;
                }
            };
            if !operation.is_without_lock() {
                waiter.acquired();
            }
            drop(operation);
            let no_room = match stop {
                Stop::Busy(lock) => {
                    if waiter.lock() != lock {
                        waiter = Waiter::new(&space.segment, lock);
                    }
                    if self.wait_with(&mut waiter)? == WaitOutcome::TimedOut {
                        let (waited, who) = (lock::PROBE, waiting::introduced());
                        note = note.or_else(|| {
                            Note::new(&space.segment, participant, lock.0, waited, who)
                        });
                    }
                    continue;
                }
                // First what the dead held is given back: perhaps enough, the next attempt says.
                Stop::Grow(..) if !swept && space.may_reclaim()? => {
                    swept = self.sweep_some()?;
                    continue;
                }
                Stop::Grow(bytes, all) => self.grow(bytes, all),
                Stop::Reserve(unit, units) => self.reserve(unit, units),
                Stop::Fail(error) => return Err(error),
                Stop::Refill(_) | Stop::Flush(_) => continue, // of `moved`: begin again
            };
            match no_room {
                Err(Error::Full(_)) if !swept && space.may_reclaim()? => {
                    swept = self.sweep_some()?;
                }
                Err(Error::Full(_)) if !reclaimed => {
                    reclaimed = true;
                    space.say_scarce();
                    self.reclaim()?;
                }
                // It gets what is there, even if that is less than it would take otherwise.
                Err(Error::Full(_)) if !is_scarce => is_scarce = true,
                made => made?,
            }
        }
    }

    /// Sweeps as long as the wait policy allows.
    ///
    /// # Errors
    /// Those of a sweep; `Interrupted` and `TimedOut` as the wait policy says: some is left.
    pub(crate) fn sweep(self) -> Result<()> {
        while !self.sweep_some()? {}
        Ok(())
    }

    /// Sweeps for about a millisecond; true: nothing is left. What is left may take seconds: the wait
    /// policy says whether the call has the time.
    fn sweep_some(self) -> Result<bool> {
        let is_all = (self.space.hooks.sweep)(self)?;
        if !is_all {
            (self.wait)(&mut |_| Ok(WaitOutcome::Changed))?;
        }
        Ok(is_all)
    }

    /// Waits a slice for a lock with nothing held, and reaps its owner if it is dead.
    ///
    /// # Errors
    /// `Interrupted` and `TimedOut` as the wait policy says; `System`, `Corrupt`.
    pub fn wait_for(self, lock: LockWord) -> Result<WaitOutcome> {
        self.wait_with(&mut Waiter::new(&self.space.segment, lock))
    }

    fn wait_with(self, waiter: &mut Waiter) -> Result<WaitOutcome> {
        let mut outcome = WaitOutcome::Changed;
        (self.wait)(&mut |limit| {
            outcome = self.space.wait_slice(waiter, limit)?;
            Ok(outcome)
        })?;
        Ok(outcome)
    }
}

impl Space {
    /// One slice of waiting for a lock, at most `limit`; if its owner is dead, it is reaped.
    ///
    /// # Errors
    /// `System`, `Corrupt`.
    pub fn wait_slice(&self, waiter: &mut Waiter, limit: Duration) -> Result<WaitOutcome> {
        Ok(match waiter.wait(limit)? {
            WaitOutcome::Dead(owner) => {
                recover::reap(&self.segment, owner)?;
                WaitOutcome::Changed
            }
            outcome => outcome,
        })
    }
}
