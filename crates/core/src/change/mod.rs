//! Changing shared memory: locks, the journal, the operation and its fast form, waking, and phase (a)
//! of recovery.

pub mod fast;
pub mod journal;
pub mod lock;
pub mod operation;
pub mod progress;
pub mod recover;
pub mod transfer;
pub mod wait;
pub mod waiting;
