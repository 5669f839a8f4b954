//! How a process that comes to its end by itself gives its slot back, so that nobody has to recover it.

use super::drain;
use crate::error::Result;
use crate::process::participant::{FREE, State};
use crate::space::{Caller, Space, WaitPolicy};

/// Gives our slot back, with all that is held in our name. No other thread of this process may be in a
/// call on the space, or begin one. False: a block in hand, or a child that copies our memberships, needs
/// the slot. It is recovered like any other's then.
///
/// # Errors
/// `Interrupted` and `TimedOut` as the wait policy says; `System`, `Corrupt`. What is still held is recovered.
///
/// # Crash
/// The slot stays LIVE, its tables naming exactly what has not gone back yet; then it is FREE.
pub fn leave(space: &Space, wait: WaitPolicy) -> Result<bool> {
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    let Some(participant) = (unsafe { space.registered().as_ref() }) else {
        return Ok(false);
    };
    if !participant.is_idle() || space.is_lending(participant) {
        return Ok(false);
    }
    let me = participant.me;
    // What was freed on the way is at hand again, and goes in the next round.
    while drain::empty(Caller::new(space, participant, wait), me.slot)? {}
    crate::memory::crash_point!("leave.emptied");
    space.uninstall();
    // A new generation, as after a death: what else names us, as a lock that we held, is free.
    State::write(&space.segment, me.slot, FREE, me.generation.wrapping_add(1));
    crate::memory::crash_point!("leave.freed");
    participant.let_go();
    Ok(true)
}
