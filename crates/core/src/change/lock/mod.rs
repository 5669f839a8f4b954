//! Lock words that death releases.
//!
//! ```text
//! held: generation << 32 | second << 27 | slot + 1 << 16 | TURN << 14 | first << 9 | cpu + 1 << 2 | RECOVERED | WAITERS
//! kept: stamp << 32      | second << 27                  | TURN << 14 | first << 9                            | WAITERS
//! ```
//!
//! | word                               | slot's state word        | meaning                    |
//! | ---------------------------------- | ------------------------ | -------------------------- |
//! | 0                                  | -                        | free                       |
//! | names nobody                       | -                        | kept for those who starve (`batch`) |
//! | generation of the slot, LIVE       | byte locked              | held                       |
//! | generation of the slot, LIVE       | byte not locked          | held by a dead one: reap it |
//! | another generation                 | any                      | free: take it over         |
//! | generation of the slot             | FREE, DRAINING           | no holder wrote it: free   |
//!
//! Whoever takes a past word over sets WAITERS, because the dead holder's sleepers still sleep,
//! and RECOVERED, which tells the holder that its predecessor died.

mod acquire;
mod asking;
mod batch;
mod word;

pub use acquire::{Tried, WaitOutcome, Waiter, cpu_flags, is_held, owner, release, try_acquire};
pub use asking::{longer, since, turn};
pub use batch::{FIRST, SECOND, kept};
pub use word::{PROBE, RECOVERED, WAITERS, is_free, is_held_by};
