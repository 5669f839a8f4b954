//! A handle's membership of its object: what keeps it, and how it ends.

use super::handle::Handle;
use crate::error::waiting;
use crate::process;
use courtyard_core::directory;
use courtyard_core::error::Result;
use courtyard_core::participant::Participant;
use courtyard_core::sleeper;
use courtyard_core::space::{Caller, WaitPolicy};
use courtyard_core::sync::Ordering;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;

/// The event words of an object are in its first bytes.
const HEAD: u64 = 512;

impl Handle {
    /// # Errors
    /// `BufferError` while views exist.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        let views = self.views.load(Ordering::Relaxed);
        if views > 0 {
            return Err(PyBufferError::new_err(format!(
                "{views} view(s) of this object exist; release them before close()"
            )));
        }
        if !self.is_closed() {
            waiting(py, |wait| self.leave(wait))?;
            let first = self.object.0;
            sleeper::disturb(self.space, first, first + HEAD);
        }
        Ok(())
    }

    fn leave(&self, wait: WaitPolicy) -> Result<()> {
        let was_closed = self.closed.swap(true, Ordering::Relaxed);
        self.holder.store(std::ptr::null_mut(), Ordering::Relaxed);
        // Whoever still uses it gives it back.
        if was_closed || self.is_used() {
            Ok(())
        } else {
            self.give_back(wait)
        }
    }

    /// Whether somebody in this process still needs our membership.
    pub(super) fn is_used(&self) -> bool {
        let me = self.space.registered() == self.user.load(Ordering::Relaxed);
        self.kept.load(Ordering::Relaxed) > 0 || me && self.uses.load(Ordering::Relaxed) > 0
    }

    /// Gives our membership back, and with the last one the object's memory. Where it fails it is
    /// done later.
    fn give_back(&self, wait: WaitPolicy) -> Result<()> {
        let _way = self.take_way();
        if let Some(participant) = self.member() {
            directory::leave(Caller::new(self.space, participant, wait), self.row)?;
        }
        Ok(())
    }

    /// As `give_back`, where nobody can wait.
    fn give_back_at_once(&self) {
        let _way = self.take_way();
        if let Some(participant) = self.member() {
            directory::let_go(self.space, participant, self.row);
            process::look_back(self.space);
        }
    }

    /// Our way into the space, whoever ends it first.
    pub(super) fn take_way(&self) -> Option<process::Way> {
        let is_ours = self.way.swap(false, Ordering::Relaxed);
        is_ours.then(|| process::Way::noted(self.space))
    }

    /// As whom we hold the object, if we do.
    pub(super) fn member(&self) -> Option<&'static Participant> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let participant = unsafe { self.space.registered().as_ref() };
        let noted = || self.space.membership_cache.holds(self.row, self.id);
        if participant.is_none() && noted() {
            self.space.membership_cache.forget(self.row); // forked behind our back: nothing is held yet
        }
        participant.filter(|participant| {
            directory::is_member(self.space, participant, self.row, self.id)
                || self.space.is_owing() && noted()
        })
    }

    /// Keeps our membership, as a running operation does, also after `close()`: for a view that
    /// must stay good until `give_up`. The handle is open.
    pub fn retain(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what `retain` began; the last one gives a closed handle's membership back.
    pub fn give_up(&self) {
        self.kept.fetch_add(u32::MAX, Ordering::Relaxed);
        self.give_back_if_over();
    }

    pub(super) fn give_back_if_over(&self) {
        if self.is_closed() && !self.is_used() {
            self.give_back_at_once();
        }
    }

    pub fn export(&self) {
        self.views.fetch_add(1, Ordering::Relaxed);
    }

    pub fn unexport(&self) {
        self.views.fetch_add(u32::MAX, Ordering::Relaxed);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In use by nobody any more; what was retained for good ends here.
        if !self.is_closed() || self.is_used() {
            self.give_back_at_once();
        }
        drop(self.take_way()); // of one that was closed while its parent's threads used it
    }
}
