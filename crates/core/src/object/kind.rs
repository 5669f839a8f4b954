//! What a kind provides: one constant for each kind of object, and one for each kind of block that names
//! others. `kind/choice.rs` lists them.

use super::head::EVENT;
use super::holding::HoldingRow;
use super::link;
use super::removal;
use super::sample::Sample;
use crate::change::operation::Operation;
use crate::change::wait;
use crate::error::{Attempt, Result, corrupt};
use crate::memory::segment::Segment;
use crate::offset::{Object, Root};
use crate::space::{Blocks, Space};

/// A kind of object. Where nothing else is said, it is as `PLAIN`.
pub struct Kind {
    /// The class that users see.
    pub class: &'static str,
    /// Bytes of payload; None: each object has its own length.
    pub length: Option<u64>,
    /// Writes the entries that free an object whose last reference goes, or put it on the list of
    /// deferred frees.
    pub destroy: fn(&mut Operation, root: Root, object: Object) -> Attempt<()>,
    /// Writes and commits the record that frees the next piece of an object on that list.
    pub free_step: fn(&mut Operation, root: Root, object: Object) -> Attempt<()>,
    /// Writes the entries that give back to an object what a dead participant's row of holdings
    /// names, but for the row itself; whether that participant came to its end by itself.
    pub settle: fn(&mut Operation, object: Object, row: HoldingRow, ended: bool) -> Attempt<()>,
    /// All blocks that an object consists of.
    pub blocks: fn(&Segment, root: Root, object: Object) -> Result<Blocks>,
    /// Some of them, if there are many.
    pub sample: fn(&Segment, root: Root, object: Object) -> Result<Sample>,
    /// A number that changes with every change.
    pub version: fn(&Segment, object: Object) -> u64,
    /// Entries, items, permits: where it counts something.
    pub count: fn(&Segment, object: Object) -> Option<u64>,
    /// Whether the call that waits for this object would wait now; None: there is no one such call.
    pub readiness: fn(&Segment, object: Object) -> Option<Readiness>,
    /// How many of these there may be; None: any number.
    pub most: fn(&Segment, object: Object) -> Option<u64>,
    /// Of what is bounded in bytes, how many there are and may be.
    pub counted: fn(&Segment, object: Object) -> Option<(u64, u64)>,
}

/// Whether a call would wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    Ready,
    Unready,
    /// It is not ready, and will be although nothing changes.
    Later,
}

impl From<bool> for Readiness {
    fn from(is_ready: bool) -> Readiness {
        match is_ready {
            true => Readiness::Ready,
            false => Readiness::Unready,
        }
    }
}

impl Kind {
    /// A value: it has a block for what is stored in it at most, and no process holds anything of it.
    pub const PLAIN: Kind = Kind {
        class: "Value",
        length: None,
        destroy: |operation, root, _| removal::destroy(operation, root),
        free_step: |_, root, _| {
            let what = format!(
                "the object at {:#x} is freed piece by piece, but has none",
                root.0
            );
            Err(corrupt(what).into())
        },
        settle: |_, object, _, _| {
            let what = format!("nothing can be held of the object at {object:#x}");
            Err(corrupt(what).into())
        },
        blocks: |segment, root, _| removal::blocks(segment, root),
        sample: |segment, root, _| removal::blocks(segment, root).map(Sample::from),
        version: |segment, object| wait::version(wait::observe(segment, object + EVENT)),
        count: |_, _| None,
        readiness: |_, _| None,
        most: |_, _| None,
        counted: |_, _| None,
    };

    /// Bytes in place.
    pub const ARRAY: Kind = Kind {
        class: "Array",
        ..Kind::PLAIN
    };
}

/// A kind of block that names others.
pub struct Part {
    /// Writes and commits the record that frees the next piece of one on the list of deferred frees.
    pub free_step: fn(&Space, &mut Operation, block: u64) -> Attempt<()>,
    /// All blocks that it consists of.
    pub blocks: fn(&Segment, block: u64) -> Result<Blocks>,
}

impl Part {
    /// A value with links.
    pub const LINKED: Part = Part {
        free_step: link::free_step,
        blocks: link::blocks,
    };
}
