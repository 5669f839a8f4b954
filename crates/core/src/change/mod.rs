//! Changing shared memory: locks, the journal, the operation and its fast form, waking, and phase (a)
//! of recovery.

pub mod fast;
pub mod journal;
pub mod lock;
pub mod mailbox;
pub mod operation;
pub mod progress;
pub mod recover;
pub mod registration;
pub mod transfer;
pub mod wait;
pub mod waiting;
