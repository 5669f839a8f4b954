//! What a queue provides as a kind of object.

use super::bytes::{bytes, maximum_bytes};
use super::destroy::{blocks, destroy, free_step};
use super::lease::settle;
use super::sample::sample;
use super::state::{EVENTS, LENGTH, counts, maximum, readiness};
use crate::change::wait;
use crate::object::kind::Kind;

pub const KIND: Kind = Kind {
    class: "Queue",
    length: Some(LENGTH),
    destroy,
    free_step,
    settle,
    blocks,
    sample,
    version: |segment, object| {
        let changes = |event| wait::version(wait::observe(segment, object + event));
        EVENTS.into_iter().map(changes).fold(0, u64::wrapping_add)
    },
    count: |segment, object| Some(counts(segment, object).0),
    readiness: |segment, object| Some(readiness(segment, object)),
    most: |segment, object| {
        let most = maximum(segment, object).cast_signed();
        u64::try_from(most).ok().filter(|&most| most != 0)
    },
    counted: |segment, object| match maximum_bytes(segment, object) {
        0 => None,
        most => Some((bytes(segment, object), most)),
    },
};
