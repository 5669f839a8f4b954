//! Making a list.

use super::most::set_most;
use super::state::LENGTH;
use crate::error::Result;
use crate::object;
use crate::process::membership_cache::ObjectId;
use crate::space::Caller;

/// Makes an empty list; with `most`, one that drops what goes beyond that. Returns the object and our
/// membership row.
///
/// # Errors
/// `Full`.
pub fn create(caller: Caller, most: Option<u64>) -> Result<(ObjectId, u64)> {
    let fill = |list| set_most(&caller.space.segment, list, most);
    object::create(caller, object::LIST, LENGTH, fill)
}
