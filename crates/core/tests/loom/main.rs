//! The models: every interleaving of a few threads that run the engine's own code, under loom.
#![cfg(loom)]

mod heap;
mod journal;
mod list;
mod loan;
mod lock;
mod lookout;
mod mailbox;
mod membership;
mod name;
mod participant;
mod pin;
mod process;
mod queue;
mod reading;
mod registration;
mod table;
mod wait;
mod watch;
