//! The row in which this process is on record with an object: another one after a fork.

use courtyard_core::holding::Row;
use courtyard_core::participant::Participant;
use courtyard_core::sync::{AtomicPtr, AtomicU64, Ordering};
use pyo3::PyResult;

/// As whom we have a row, and where. Changed with the GIL.
pub struct Enrolment {
    holder: AtomicPtr<Participant>,
    number: AtomicU64,
    at: AtomicU64,
}

impl Default for Enrolment {
    fn default() -> Enrolment {
        Enrolment {
            holder: AtomicPtr::default(),
            number: AtomicU64::new(0),
            at: AtomicU64::new(0),
        }
    }
}

impl Enrolment {
    /// Our row, if we have one as this participant.
    #[inline(always)]
    pub fn known(&self, participant: &Participant) -> Option<Row> {
        // pairs with `row`, Release
        let holder = self.holder.load(Ordering::Acquire);
        std::ptr::eq(holder, participant).then(|| Row {
            number: self.number.load(Ordering::Relaxed),
            at: self.at.load(Ordering::Relaxed),
        })
    }

    /// Our row, made by `make` if there is none yet; None if that took it too long.
    ///
    /// # Errors
    /// What `make` fails with.
    pub fn row(
        &self,
        participant: &Participant,
        make: impl FnOnce() -> PyResult<Option<Row>>,
        unmake: impl FnOnce(Row) -> PyResult<()>,
    ) -> PyResult<Option<Row>> {
        if let Some(row) = self.known(participant) {
            return Ok(Some(row));
        }
        let Some(row) = make()? else {
            return Ok(None);
        };
        if let Some(theirs) = self.known(participant) {
            unmake(row)?; // another thread made one while we waited
            return Ok(Some(theirs));
        }
        self.number.store(row.number, Ordering::Relaxed);
        self.at.store(row.at, Ordering::Relaxed);
        let me = std::ptr::from_ref(participant).cast_mut();
        self.holder.store(me, Ordering::Release);
        Ok(Some(row))
    }
}
