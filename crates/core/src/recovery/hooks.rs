//! What a space needs from the floors above it.

use super::{drain, fork};
use crate::kind;
use crate::space::Hooks;

/// Those of every space.
pub const HOOKS: Hooks = Hooks {
    sweep: drain::sweep,
    drain: drain::drain,
    adopt: fork::adopt,
    dismantle: kind::dismantle,
    crumble: kind::crumble,
    settle: kind::settle,
    blocks: kind::blocks,
};
