//! What a list provides as a kind of object, and its ring as a kind of block.

use super::destroy::{blocks, destroy, free_ring_step, free_step, ring_blocks, sample};
use super::most::most;
use super::state::{LENGTH, count, version};
use crate::object::kind::{Kind, Part};

pub const KIND: Kind = Kind {
    class: "List",
    length: Some(LENGTH),
    destroy,
    free_step,
    blocks,
    sample,
    version: |segment, object| version(segment, object) / 2,
    count: |segment, object| Some(count(segment, object)),
    most,
    ..Kind::PLAIN
};

pub const RING: Part = Part {
    free_step: |_, operation, block| free_ring_step(operation, block),
    blocks: ring_blocks,
};
