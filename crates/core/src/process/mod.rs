//! A process in a space: its slot, whether it lives, and what it remembers of its own.

pub mod backlog;
pub mod byte;
pub mod holding_cache;
pub mod keep;
pub mod loan;
pub mod membership_cache;
pub mod name;
pub mod participant;
pub mod pending;
