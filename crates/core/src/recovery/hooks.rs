//! What a space needs from the floors above it.

use super::{drain, fork};
use crate::kind;
use crate::space::Hooks;

/// Those of every space.
pub const HOOKS: Hooks = Hooks {
    sweep: drain::sweep,
    drain: drain::drain,
    adopt: fork::adopt,
    destroy: kind::destroy,
    free_step: kind::free_step,
    blocks: kind::blocks,
};
