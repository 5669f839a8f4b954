//! Forks: a child gets a slot and memberships of its own before it exists.
//!
//! Before the fork the parent registers a slot for the child and copies its memberships there,
//! in the child's name; the page that keeps the slot alive passes to the child alone. So the
//! parent may drop an object at once, and a child that dies unseen is reaped like anybody.

use crate::directory;
use crate::error::Result;
use crate::participant::Participant;
use crate::space::{Space, briefly};

/// A child's place in a space, made before the fork, and its parent's.
pub struct Heir {
    participant: Participant,
    parent: *const Participant,
    /// What the roster had counted when it was copied.
    changes: u64,
}

// SAFETY: the parent's place is a leaked box, and shared like any participant.
unsafe impl Send for Heir {}

/// In the parent, before the fork. What other threads take or give back between this and the
/// fork itself, the child makes up for.
///
/// # Errors
/// `Crowded`, `Full`, `System`: then fork without an heir; the child registers when it must.
pub fn before(space: &Space) -> Result<Option<Heir>> {
    // Not registered: behind somebody's back we are a child ourselves, and hold nothing yet.
    if space.registered().is_null() {
        return Ok(None);
    }
    space.tidy();
    let participant = space.register(true)?;
    let parent = space.registered();
    let changes = space.roster.changes();
    let heir = Heir {
        participant,
        parent,
        changes,
    };
    let copied = directory::copy_members(space, &heir.participant, &mut briefly());
    if let Err(error) = copied {
        heir.participant.release_anchor(); // reaped and drained by the next sweep
        return Err(error);
    }
    Ok(Some(heir))
}

/// In the parent, after the fork: the child alone keeps its slot alive now, if there is one.
pub fn after_in_parent(heir: Heir) {
    heir.participant.release_anchor();
}

/// In the child.
///
/// # Errors
/// `Full`, `System`: what other threads of the parent took just before the fork is then lost.
pub fn after_in_child(space: &Space, heir: Heir) -> Result<()> {
    heir.participant.settle(&space.segment);
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    unsafe { &*heir.parent }.disown();
    let (changes, participant) = (heir.changes, space.install(Box::new(heir.participant)));
    if space.roster.changes() == changes {
        return Ok(());
    }
    directory::settle_members(space, participant, &mut briefly())
}

/// In a child forked behind our back (from C): memberships of what it inherited, as far as that
/// is still alive.
///
/// # Errors
/// `Full`, `System`.
pub fn adopt(space: &Space) -> Result<()> {
    let participant = space.participant()?;
    for row in directory::copy_members(space, participant, &mut briefly())? {
        space.roster.forget(row);
    }
    Ok(())
}
