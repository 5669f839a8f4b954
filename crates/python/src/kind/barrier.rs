//! `Barrier`: the native part of `courtyard.Barrier`.

use crate::deadline::Limit;
use crate::error::{in_context, raise, uninterruptible_until};
use crate::object::waiter::{self, Deadline, look_if_due};
use crate::object::{Address, Holding, Last, Object, Use};
use courtyard_core::barrier::{
    self, ACTING, BROKEN, Cause, DRAINING, FILLING, Joined, LENGTH, Party, RESETTING,
};
use courtyard_core::error::Error;
use courtyard_core::holding::{self, Row};
use courtyard_core::lock::PROBE;
use courtyard_core::object::{self, EVENT};
use courtyard_core::space::{Caller, Space};
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::cell::RefCell;

/// Parties that go on together. `courtyard.Barrier` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Barrier {
    /// Where it is on record that we are a party.
    holding: Holding,
}

impl Barrier {
    /// Our row; None: that took too long.
    fn row(&self, py: Python<'_>, open: &Use<'_>, limit: Limit) -> PyResult<Option<Row>> {
        let make = || open.waiting_until(py, limit, |caller| Row::reserve(caller));
        let unmake = |row: Row| {
            row.give(open.participant);
            Ok(())
        };
        self.holding.row(open.participant, make, unmake)
    }
}

/// `BrokenBarrierError`, which says why: `phase` is that in which the party left.
#[cold]
fn broken(py: Python<'_>, base: &Object, phase: u64) -> PyErr {
    let (handle, segment) = (&base.handle, &base.handle.space.segment);
    let name = handle.shown_name(py);
    let name = name.map_or("the barrier".into(), |name| format!("the barrier {name}"));
    let why = match barrier::cause(segment, handle.object) {
        _ if phase != BROKEN => format!("{name} was reset by reset() while this party waited"),
        cause => format!(
            "{name} is broken: {}; reset() makes it usable again",
            match cause {
                Some(Cause::TimedOut) => "a party waited for longer than its timeout",
                Some(Cause::Aborted) => "abort() was called",
                Some(Cause::ActionFailed) => "the action raised an exception",
                Some(Cause::PartyDied) => "a party was killed",
                Some(Cause::ActionWaits) => "the action waited at its own barrier",
                None => "a party did not come",
            }
        ),
    };
    let class = py
        .import("threading")
        .and_then(|threading| threading.getattr("BrokenBarrierError"))
        .and_then(|class| class.call1((why,)));
    in_context(class)
}

thread_local! {
    /// The barriers whose actions this thread runs, one inside another.
    static ACTIONS: RefCell<Vec<(*const Space, u64)>> = const { RefCell::new(Vec::new()) };
}

/// One party's wait, from joining to leaving.
struct Wait<'a, 'py> {
    py: Python<'py>,
    base: &'a Object,
    open: &'a Use<'a>,
    party: Party,
    deadline: Deadline,
    limit: Limit,
}

impl Wait<'_, '_> {
    /// False also if it cannot be said in time.
    fn advance(&self, from: &[u64], to: u64) -> PyResult<bool> {
        let object = self.party.object;
        let advanced = self.open.waiting_until(self.py, self.limit, |caller| {
            barrier::advance(caller, object, from, to)
        });
        Ok(advanced?.unwrap_or(false))
    }

    /// As `advance`, to BROKEN.
    fn mark_broken(&self, from: &[u64], cause: Cause) -> PyResult<bool> {
        let object = self.party.object;
        let broken = self.open.waiting_until(self.py, self.limit, |caller| {
            barrier::mark_broken(caller, object, from, cause)
        });
        Ok(broken?.unwrap_or(false))
    }

    /// Joins, waiting for the last generation to leave first. Where that takes too long because
    /// its action still runs, the barrier breaks: it may be the action that waits here. It does so
    /// at once if it is this very thread's.
    fn join(&self) -> PyResult<Joined> {
        let event = self.party.object + EVENT;
        let is_inside = ACTIONS.with_borrow(|actions| actions.contains(&self.place()));
        let (handle, deadline) = (&self.base.handle, (!is_inside).then_some(self.deadline));
        let joined = waiter::attempt(self.py, handle, event, deadline, PROBE, || {
            let joined = self.open.waiting_until(self.py, self.limit, |caller| {
                barrier::join(caller, self.party)
            })?;
            Ok(joined.filter(|&joined| joined != Joined::NotYet))
        })?;
        if joined.is_none() {
            self.mark_broken(&[ACTING], Cause::ActionWaits)?;
        }
        Ok(joined.unwrap_or(Joined::Broken))
    }

    fn place(&self) -> (*const Space, u64) {
        (
            std::ptr::from_ref(self.base.handle.space),
            self.party.object.0,
        )
    }

    /// Calls the action.
    fn act(&self, action: &Bound<'_, PyAny>) -> PyResult<()> {
        ACTIONS.with_borrow_mut(|actions| actions.push(self.place()));
        let acted = action.call0();
        ACTIONS.with_borrow_mut(Vec::pop);
        acted.map(drop)
    }

    /// Waits until all are here; false if that took too long, which breaks the barrier.
    fn fill(&self) -> PyResult<bool> {
        let (space, object) = (self.base.handle.space, self.party.object);
        let full = |deadline| {
            waiter::attempt(
                self.py,
                &self.base.handle,
                object + EVENT,
                Some(deadline),
                PROBE,
                || {
                    // A child of a signal handler's is none of those who wait.
                    let ours = self.open.participant.require();
                    ours.map_err(|error| raise(self.py, error))?;
                    let phase = barrier::phase(&space.segment, object);
                    Ok((!matches!(phase, FILLING | ACTING)).then_some(()))
                },
            )
        };
        if full(self.deadline)?.is_some() {
            return Ok(true);
        }
        if self.mark_broken(&[FILLING], Cause::TimedOut)?
            || barrier::phase(&space.segment, object) == FILLING
        {
            return Ok(false);
        }
        full(Deadline::NEVER).map(|_| true) // all are here: only the action is awaited
    }

    /// Sees, as the last to come, that all inside live: a death that nobody had seen, or that
    /// another is about to settle, breaks the barrier. So it does if that takes too long.
    fn see_all(&self) -> PyResult<()> {
        let (space, Party { object, id, .. }) = (self.base.handle.space, self.party);
        if barrier::parties(&space.segment, object) == 1 {
            return Ok(()); // there is nobody else
        }
        let seen = waiter::attempt(
            self.py,
            &self.base.handle,
            object + EVENT,
            Some(self.deadline),
            PROBE,
            || {
                waiter::look_after(self.py, space, self.limit)?;
                Ok((!holding::is_unsettled(&space.segment, id)).then_some(()))
            },
        )?;
        if seen.is_none() {
            self.mark_broken(&[ACTING], Cause::TimedOut)?;
        }
        Ok(())
    }

    /// The phase in which we left and how many were left; None if that could not be done in time,
    /// and is done later.
    fn leave(&self) -> PyResult<Option<(u64, u64)>> {
        let space = self.base.handle.space;
        let (left, raised) = uninterruptible_until(self.py, self.limit, |wait| {
            barrier::leave(Caller::new(space, self.open, wait), self.party)
        });
        match left {
            Err(Error::TimedOut) => {
                barrier::let_go(space, self.open, self.party);
                raised.map(|()| None)
            }
            left => {
                raised?;
                left.map(Some).map_err(|error| raise(self.py, error))
            }
        }
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (parties, address=None))]
    fn new(
        py: Python<'_>,
        parties: i64,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Barrier>> {
        let parties = u64::try_from(parties).unwrap_or(0);
        if parties == 0 && address.is_none() {
            return Err(PyValueError::new_err("parties must be > 0"));
        }
        let base = Object::make(
            py,
            object::BARRIER,
            LENGTH,
            address.as_ref(),
            |segment, at| {
                barrier::fill(segment, at, parties);
            },
        )?;
        let (space, object) = (base.handle.space, base.handle.id());
        let holding = Holding::new(space, object, Last::Departs);
        Ok(PyClassInitializer::from(base).add_subclass(Barrier { holding }))
    }

    /// Waits for the others; the last one runs the action, if it is not None.
    fn _wait(
        slf: &Bound<'_, Self>,
        action: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let deadline = Deadline::from_timeout(timeout)?;
        let limit = Limit::of(Some(deadline));
        let open = base.handle.open_until(py, limit)?;
        let open = open.ok_or_else(|| broken(py, base, BROKEN))?;
        let row = slf.get().row(py, &open, limit)?;
        let row = row.ok_or_else(|| broken(py, base, BROKEN))?;
        let (object, id) = (base.handle.object, base.handle.id());
        let segment = &base.handle.space.segment;
        let party = Party { object, id, row };
        let wait = Wait {
            py,
            base,
            open: &open,
            party,
            deadline,
            limit,
        };
        let joined = wait.join();
        let went = match joined {
            Ok(Joined::Waits) => wait.fill(),
            Ok(Joined::Last) => {
                let acted = wait.see_all().and_then(|()| {
                    let may_act = !action.is_none() && barrier::phase(segment, object) == ACTING;
                    if may_act { wait.act(action) } else { Ok(()) }
                });
                let went = match acted {
                    Ok(()) => wait.advance(&[ACTING], DRAINING),
                    Err(_) => wait.mark_broken(&[ACTING], Cause::ActionFailed),
                };
                went.and_then(|went| acted.map(|()| went))
            }
            joined => {
                joined?;
                return Err(broken(py, base, BROKEN));
            }
        };
        let seen = barrier::phase(segment, object); // until we leave it is that of those inside
        let left = wait.leave();
        let went = went?;
        let phase = match left? {
            Some((DRAINING, number)) if went => return Ok(number),
            left => left.map_or(seen, |(phase, _)| phase),
        };
        let phase = if phase == RESETTING { phase } else { BROKEN };
        Err(broken(py, base, phase))
    }

    /// A task's visit, which it makes step by step.
    fn _visit(slf: &Bound<'_, Self>) -> PyResult<Visit> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let row = slf.get().row(py, &open, Limit::NEVER)?;
        let row = row.ok_or_else(|| raise(py, Error::TimedOut))?;
        let (object, id) = (base.handle.object, base.handle.id());
        base.handle.retain(); // until it is left, also after `close()`
        Ok(Visit {
            barrier: slf.clone().unbind(),
            party: Party { object, id, row },
            holder: std::ptr::from_ref(open.participant) as u64,
            is_left: AtomicBool::new(false),
        })
    }

    /// Make the barrier usable again: waiting parties get BrokenBarrierError.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, handle) = (slf.py(), &slf.as_super().get().handle);
        let open = handle.open(py)?;
        waiter::look_after(py, handle.space, Limit::NEVER)?; // who has died by now is not missed after it
        open.waiting(py, |caller| barrier::reset(caller, handle.object))
    }

    /// Break the barrier: all calls of wait() raise BrokenBarrierError until reset().
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, handle) = (slf.py(), &slf.as_super().get().handle);
        let open = handle.open(py)?;
        let any = [FILLING, ACTING, DRAINING, RESETTING, BROKEN];
        open.waiting(py, |caller| {
            barrier::mark_broken(caller, handle.object, &any, Cause::Aborted)
        })
        .map(drop)
    }

    /// Stop being a party: the barrier no longer breaks if this process is killed.
    ///
    /// For a process that has waited at the barrier and is not going to wait again, but lives on. It is
    /// a party again with its next `wait`. Its threads that wait just now go on waiting; `parties`
    /// does not change. A process that never waited may call it, too: nothing changes.
    ///
    /// >>> import courtyard as cy
    /// >>> barrier = cy.Barrier(1)
    /// >>> barrier.wait()
    /// 0
    /// >>> barrier.leave()
    fn leave(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let handle = &base.handle;
        let open = handle.open(py)?;
        let Some(row) = slf.get().row(py, &open, Limit::NEVER)? else {
            return Ok(());
        };
        let (object, id) = (handle.object, handle.id());
        let party = Party { object, id, row };
        open.waiting(py, |caller| barrier::depart(caller, party))
    }

    /// The number of parties that wait for each other.
    #[getter]
    fn parties(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let handle = &slf.as_super().get().handle;
        handle.require_open(slf.py())?;
        Ok(barrier::parties(&handle.space.segment, handle.object))
    }

    /// The number of parties that wait at this moment.
    #[getter]
    fn n_waiting(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let handle = &slf.as_super().get().handle;
        handle.require_open(slf.py())?;
        look_if_due(slf.py(), handle.space)?;
        Ok(barrier::waiting(&handle.space.segment, handle.object))
    }

    /// Whether it is broken: a party timed out, died or called abort().
    ///
    /// Of a party that was killed while nobody waited, the other parties say so, whose next wait() raises;
    /// a process that never waited does not.
    #[getter]
    fn broken(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let handle = &slf.as_super().get().handle;
        let open = handle.open(slf.py())?;
        look_if_due(slf.py(), handle.space)?;
        let holding = &slf.get().holding;
        let row = holding.row(open.participant, || Ok(None), |_| Ok(()))?;
        Ok(barrier::is_broken(
            &handle.space.segment,
            handle.object,
            row,
        ))
    }
}

/// What a task does at a barrier instead of `wait`: it joins, and leaves in the end.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Visit {
    barrier: Py<Barrier>,
    party: Party,
    /// As whom: another participant is a forked child, where it is its parent's.
    holder: u64,
    is_left: AtomicBool,
}

impl Visit {
    fn base<'a>(&'a self, py: Python<'a>) -> &'a Object {
        self.barrier.bind(py).as_super().get()
    }

    fn phase(&self, py: Python<'_>) -> PyResult<u64> {
        let handle = &self.base(py).handle;
        let open = handle.open_retained(py)?;
        let ours = open.participant.require();
        ours.map_err(|error| raise(py, error))?;
        Ok(barrier::phase(&handle.space.segment, self.party.object))
    }

    fn mark_broken(&self, py: Python<'_>, from: u64, cause: Cause) -> PyResult<bool> {
        let open = self.base(py).handle.open_retained(py)?;
        open.waiting(py, |caller| {
            barrier::mark_broken(caller, self.party.object, &[from], cause)
        })
    }
}

#[pymethods]
impl Visit {
    /// Join; return whether this party is the last to come. None: the last generation is still
    /// leaving. Raises BrokenBarrierError.
    fn join(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        let base = self.base(py);
        let open = base.handle.open_retained(py)?;
        match open.waiting(py, |caller| barrier::join(caller, self.party))? {
            Joined::NotYet => Ok(None),
            Joined::Broken => Err(broken(py, base, BROKEN)),
            Joined::Waits => Ok(Some(false)),
            Joined::Last => Ok(Some(true)),
        }
    }

    /// Whether all are here and go on, or the barrier broke.
    fn is_over(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(!matches!(self.phase(py)?, FILLING | ACTING))
    }

    /// Whether all inside are known to live, as the last one asks before it acts.
    fn is_seen(&self, py: Python<'_>) -> PyResult<bool> {
        let space = self.base(py).handle.space;
        waiter::look_after(py, space, Limit::NEVER)?;
        Ok(!holding::is_unsettled(&space.segment, self.party.id))
    }

    fn may_act(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.phase(py)? == ACTING)
    }

    /// Let all go on, as the last one.
    fn advance(&self, py: Python<'_>) -> PyResult<bool> {
        let open = self.base(py).handle.open_retained(py)?;
        open.waiting(py, |caller| {
            barrier::advance(caller, self.party.object, &[ACTING], DRAINING)
        })
    }

    /// The action has failed.
    fn fail(&self, py: Python<'_>) -> PyResult<bool> {
        self.mark_broken(py, ACTING, Cause::ActionFailed)
    }

    /// The time is up; whether the barrier breaks by that. All may be here just now.
    fn time_out(&self, py: Python<'_>, is_last: bool) -> PyResult<bool> {
        let from = if is_last { ACTING } else { FILLING };
        Ok(self.mark_broken(py, from, Cause::TimedOut)? || self.phase(py)? == FILLING)
    }

    /// Leave; return this party's number. Raises BrokenBarrierError unless all went on. Does nothing
    /// the second time, and in a forked child, and returns 0.
    fn leave(&self, py: Python<'_>) -> PyResult<u64> {
        if self.is_left.swap(true, Ordering::Relaxed) {
            return Ok(0);
        }
        let base = self.base(py);
        let (handle, space) = (&base.handle, base.handle.space);
        let open = handle.open_retained(py)?;
        if self.holder != std::ptr::from_ref(open.participant) as u64 {
            return Ok(0);
        }
        let seen = barrier::phase(&space.segment, self.party.object);
        let (left, raised) = uninterruptible_until(py, Limit::NEVER, |wait| {
            barrier::leave(Caller::new(space, &open, wait), self.party)
        });
        if matches!(left, Err(Error::TimedOut)) {
            barrier::let_go(space, &open, self.party);
        }
        drop(open);
        handle.give_up();
        raised?;
        let phase = match left {
            Ok((DRAINING, number)) => return Ok(number),
            Err(Error::TimedOut) => seen,
            left => left.map_err(|error| raise(py, error))?.0,
        };
        let phase = if phase == RESETTING { phase } else { BROKEN };
        Err(broken(py, base, phase))
    }

    /// It did not get in: nothing is left.
    fn give_up(&self, py: Python<'_>) {
        if !self.is_left.swap(true, Ordering::Relaxed) {
            self.base(py).handle.give_up();
        }
    }
}
