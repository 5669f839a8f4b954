//! The engine of courtyard: shared memory that survives SIGKILL. No Python in it.
//!
//! Layers, from the bottom; each imports only from those below it (`tests/test_layering.py`):
//! `error sync os` · `crash layout roster` · `segment` · `participant` · `lock journal wait` ·
//! `operation recover` · `heap` · `space` · `unfinished pin` · `rows` · `directory` · `cell` ·
//! `mutex fork drain` · `check folder`.

pub mod cell;
#[cfg(not(loom))]
pub mod check;
pub mod crash;
pub mod directory;
pub mod drain;
pub mod error;
#[cfg(not(loom))]
pub mod folder;
pub mod fork;
pub mod heap;
pub mod journal;
pub mod layout;
pub mod lock;
#[cfg(loom)]
pub mod mortal;
pub mod mutex;
pub mod operation;
pub mod os;
pub mod participant;
pub mod pin;
pub mod recover;
pub mod roster;
pub mod rows;
#[cfg(not(loom))]
pub mod segment;
#[cfg(loom)]
#[path = "segment_model.rs"]
pub mod segment;
pub mod space;
pub mod sync;
pub mod unfinished;
pub mod wait;

use error::{Attempt, Result, corrupt};
use operation::Operation;
use segment::Segment;

/// What every space needs from the layers above it.
pub const HOOKS: space::Hooks = space::Hooks {
    sweep: drain::sweep,
    adopt: fork::adopt,
    dismantle,
    blocks,
};

/// Writes the entries that take an object of any kind apart.
fn dismantle(operation: &mut Operation, kind: u64, root: u64) -> Attempt<()> {
    match kind {
        cell::KIND => cell::dismantle(operation, root),
        _ => Err(corrupt(format!("an object of unknown kind {kind}")).into()),
    }
}

fn blocks(segment: &Segment, kind: u64, root: u64) -> Result<space::Blocks> {
    match kind {
        cell::KIND => cell::blocks(segment, root),
        _ => Err(corrupt(format!("an object of unknown kind {kind}"))),
    }
}
