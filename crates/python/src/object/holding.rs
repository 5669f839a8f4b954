//! The row in which this process is on record with an object, for one handle: another one after a fork.

use courtyard_core::barrier;
use courtyard_core::holding::Row;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::participant::Participant;
use courtyard_core::space::Space;
use courtyard_core::sync::{AtomicPtr, AtomicU64, Ordering};
use pyo3::PyResult;

/// As whom we have a row, and where. Changed with the GIL.
pub struct Holding {
    holder: AtomicPtr<Participant>,
    number: AtomicU64,
    at: AtomicU64,
    space: &'static Space,
    object: ObjectId,
    last: Last,
}

/// What becomes of the row with the last handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is free if nothing is counted in it, also without a record of the object's.
    Free,
    /// It stays as long as the object.
    Stays,
    /// We are no party of the barrier any more.
    Departs,
}

impl Holding {
    pub fn new(space: &'static Space, object: ObjectId, last: Last) -> Holding {
        Holding {
            holder: AtomicPtr::default(),
            number: AtomicU64::new(0),
            at: AtomicU64::new(0),
            space,
            object,
            last,
        }
    }

    /// Our row, if we have one as this participant.
    #[inline(always)]
    pub fn known(&self, participant: &Participant) -> Option<Row> {
        // pairs with `set`, Release
        let holder = self.holder.load(Ordering::Acquire);
        std::ptr::eq(holder, participant).then(|| Row {
            number: self.number.load(Ordering::Relaxed),
            at: self.at.load(Ordering::Relaxed),
        })
    }

    /// Our row: that of another handle, or made by `make` if there is none yet; None if that took it
    /// too long.
    ///
    /// # Errors
    /// What `make` fails with.
    pub fn row(
        &self,
        participant: &Participant,
        make: impl FnOnce() -> PyResult<Option<Row>>,
        unmake: impl FnOnce(Row) -> PyResult<()>,
    ) -> PyResult<Option<Row>> {
        if let Some(row) = self.known(participant).or_else(|| self.join(participant)) {
            return Ok(Some(row));
        }
        Row::give_forsaken(&self.space.segment, participant);
        let Some(row) = make()? else {
            return Ok(None);
        };
        // Another thread may have made one while we waited.
        if let Some(theirs) = self.known(participant).or_else(|| self.join(participant)) {
            unmake(row)?;
            return Ok(Some(theirs));
        }
        participant
            .holding_cache
            .add(self.object, (row.number, row.at));
        self.set(participant, row);
        Ok(Some(row))
    }

    fn join(&self, participant: &Participant) -> Option<Row> {
        let (number, at) = participant.holding_cache.join(self.object)?;
        let row = Row { number, at };
        self.set(participant, row);
        Some(row)
    }

    fn set(&self, participant: &Participant, row: Row) {
        self.number.store(row.number, Ordering::Relaxed);
        self.at.store(row.at, Ordering::Relaxed);
        let me = std::ptr::from_ref(participant).cast_mut();
        self.holder.store(me, Ordering::Release);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let Some(participant) = (unsafe { self.space.registered().as_ref() }) else {
            return;
        };
        let Some(row) = self.known(participant) else {
            return; // none, or its parent's in a forked child
        };
        let is_free = match self.last {
            Last::Free => row.amount(&self.space.segment) == 0,
            Last::Stays => false,
            Last::Departs => true,
        };
        if participant
            .holding_cache
            .leave(self.object, is_free)
            .is_none()
        {
            return;
        }
        match self.last {
            Last::Departs => barrier::forget(self.space, participant, self.object, row),
            _ => row.give(participant),
        }
    }
}
