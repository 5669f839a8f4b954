//! What a table provides as a kind of object, and its parts as kinds of blocks.

use super::destroy::{
    blocks, destroy, entry_blocks, free_entry_step, free_index_step, free_step, index_blocks,
    sample, words_blocks,
};
use super::state::{LENGTH, count, version};
use crate::object::kind::{Kind, Part};
use crate::value::free_words_step;

pub const KIND: Kind = Kind {
    class: "Dict",
    length: Some(LENGTH),
    destroy,
    free_step,
    blocks,
    sample,
    version: |segment, object| version(segment, object) / 2,
    count: |segment, object| Some(count(segment, object)),
    ..Kind::PLAIN
};

/// A shard's index and order.
pub const INDEX: Part = Part {
    free_step: |_, operation, block| free_index_step(operation, block),
    blocks: index_blocks,
};

pub const ENTRY: Part = Part {
    free_step: |_, operation, block| free_entry_step(operation, block),
    blocks: entry_blocks,
};

/// Values and entries on their way into a container, or out of it.
pub const WORDS: Part = Part {
    free_step: |_, operation, block| free_words_step(operation, block),
    blocks: words_blocks,
};
