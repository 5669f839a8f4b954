//! Making a list.

use super::most::set_most;
use super::state::LENGTH;
use crate::error::Result;
use crate::object::cell::{self};
use crate::process::participant::Participant;
use crate::process::roster::ObjectId;
use crate::space::{Patience, Space};

/// Makes an empty list; with `most`, one that drops what goes beyond that. Returns the object and our
/// membership row.
///
/// # Errors
/// `Full`.
pub fn create(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    most: Option<u64>,
) -> Result<(ObjectId, u64)> {
    let fill = |at| set_most(&space.segment, at, most);
    cell::create(space, participant, patience, cell::LIST, LENGTH, fill)
}
