//! How a pickle names an object.

use courtyard_core::directory::Ticket;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::space::Space;

/// What a pickle says: path, UUID, object row, serial, ticket row, ticket id. In a stored value there is
/// no path, and the third is a number among the value's links (`reference`).
pub type Address = (String, u128, u64, u64, u64, u64);

/// The third of an address that names no object: its path is that of a class, whose `__init__` is to
/// make one.
pub const UNMADE: u64 = u64::MAX;

/// What a pickle says of an object of which a ticket is open.
pub fn address(space: &Space, object: ObjectId, ticket: Ticket) -> Address {
    let path = space.segment.path().to_string_lossy().into_owned();
    let ObjectId { row, serial } = object;
    (path, space.uuid, row, serial, ticket.row, ticket.id)
}
