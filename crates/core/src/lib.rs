//! The engine of courtyard: shared memory that survives SIGKILL. No Python in it.
//!
//! Layers, from the bottom; each imports only from those below it (`tests/test_layering.py`):
//! `error seed sync os` · `backlog crash keep layout` · `loan pending roster` · `enrolled` · `superblock` · `segment` · `byte` · `participant` · `lock journal progress wait waiting` ·
//! `alone operation recover` · `heap lookout reading` · `space` · `deferral growth hole` · `doom pin` · `unfinished` · `rows` · `directory holding` ·
//! `link` · `cell` · `value` · `mutex flag semaphore condition barrier queue table list fork drain` ·
//! `census` · `check inspect` · `folder`.

pub mod alone;
pub mod backlog;
pub mod barrier;
mod byte;
pub mod cell;
#[cfg(not(loom))]
pub mod census;
#[cfg(not(loom))]
pub mod check;
pub mod condition;
#[cfg(not(loom))]
mod copy;
pub mod crash;
mod deferral;
pub mod directory;
pub mod doom;
pub mod drain;
pub mod enrolled;
pub mod error;
pub mod flag;
#[cfg(not(loom))]
pub mod folder;
pub mod fork;
mod growth;
pub mod heap;
pub mod holding;
pub mod hole;
#[cfg(not(loom))]
pub mod inspect;
pub mod journal;
pub mod keep;
pub mod layout;
pub mod link;
pub mod list;
pub mod loan;
pub mod lock;
pub mod lookout;
#[cfg(loom)]
pub mod mortal;
pub mod mutex;
pub mod operation;
pub mod os;
pub mod participant;
pub mod pending;
pub mod pin;
pub mod progress;
pub mod queue;
pub mod reading;
pub mod recover;
pub mod roster;
pub mod rows;
pub mod seed;
#[cfg(not(loom))]
pub mod segment;
#[cfg(loom)]
#[path = "segment_model.rs"]
pub mod segment;
pub mod semaphore;
pub mod space;
pub mod superblock;
pub mod sync;
pub mod table;
pub mod unfinished;
pub mod value;
pub mod wait;
pub mod waiting;

use error::{Attempt, Result, corrupt};
use layout::kind;
use operation::Operation;
use segment::Segment;
use space::Space;

/// What every space needs from the layers above it.
pub const HOOKS: space::Hooks = space::Hooks {
    sweep: drain::sweep,
    drain: drain::drain,
    adopt: fork::adopt,
    dismantle,
    crumble,
    settle,
    blocks,
};

/// Writes the entries that take an object of any kind apart.
fn dismantle(operation: &mut Operation, kind: u64, root: u64) -> Attempt<()> {
    if kind != cell::KIND {
        return Err(corrupt(format!("an object of unknown kind {kind}")).into());
    }
    let (cell, kind, _) = cell::at(operation.segment, root)?;
    if kind == cell::TABLE {
        return table::condemn(operation, root, cell);
    }
    if kind == cell::LIST {
        return list::condemn(operation, root, cell);
    }
    if kind != cell::QUEUE {
        return cell::dismantle(operation, root);
    }
    if !queue::dismantle(operation, root, cell)? {
        doom::condemn(operation, root)?;
    }
    Ok(())
}

/// Writes and commits the record that frees the next piece of a doomed block.
fn crumble(space: &Space, operation: &mut Operation, block: u64) -> Attempt<()> {
    match doom::kind_of(operation.segment, block) {
        cell::KIND => match cell::at(operation.segment, block)? {
            (cell, cell::QUEUE, queue::LENGTH) => queue::crumble(operation, block, cell),
            (cell, cell::TABLE, table::LENGTH) => table::crumble_cell(operation, block, cell),
            (cell, cell::LIST, list::LENGTH) => list::crumble_cell(operation, block, cell),
            (_, kind, _) => Err(corrupt(format!("a cell of kind {kind} is doomed")).into()),
        },
        kind::TABLE => table::crumble_table(operation, block),
        kind::ENTRY => table::crumble_entry(operation, block),
        kind::RING => list::crumble_ring(operation, block),
        kind::WORDS => value::crumble_words(operation, block),
        kind::LINKED | kind::LINKED_ITEM => link::crumble(space, operation, block),
        kind => Err(corrupt(format!("a block of kind {kind} is doomed")).into()),
    }
}

/// Writes the entries that give back to an object what a dead participant held of it.
fn settle(operation: &mut Operation, kind: u64, root: u64, row: u64, ended: bool) -> Attempt<()> {
    if kind != cell::KIND {
        return Err(corrupt(format!("an object of kind {kind} cannot be held")).into());
    }
    let (cell, kind, length) = cell::at(operation.segment, root)?;
    match (kind, length) {
        (cell::SEMAPHORE, semaphore::LENGTH) => semaphore::settle(operation, cell, row),
        (cell::CONDITION, condition::LENGTH) => condition::settle(operation, cell, row),
        (cell::QUEUE, queue::LENGTH) => queue::settle(operation, cell, row),
        (cell::BARRIER, barrier::LENGTH) => barrier::settle(operation, cell, row, ended),
        _ => Err(corrupt(format!("a cell of kind {kind} cannot be held")).into()),
    }
}

fn blocks(segment: &Segment, block: u64) -> Result<space::Blocks> {
    match doom::kind_of(segment, block) {
        cell::KIND => match cell::at(segment, block)? {
            (cell, cell::QUEUE, queue::LENGTH) => queue::blocks(segment, block, cell),
            (cell, cell::TABLE, table::LENGTH) => table::blocks(segment, block, Some(cell)),
            (cell, cell::LIST, list::LENGTH) => list::blocks(segment, block, Some(cell)),
            _ => cell::blocks(segment, block),
        },
        kind::RING => list::blocks(segment, block, None),
        kind::LINKED | kind::LINKED_ITEM => link::blocks(segment, block),
        _ => table::blocks(segment, block, None),
    }
}
