//! Making an object.

use super::member::{MEMBER_ROW, members, settle};
use super::row::{KIND, Missing, REFERENCES, ROOT, place, with_tables};
use crate::error::Result;
use crate::memory::layout::{self, OBJECT_ROW, superblock};
use crate::object::rows::{self, Place};
use crate::process::membership_cache::ObjectId;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// Makes an object of a filled root block, and of `parts` that it links, held by this process. Returns
/// the object and the row of our membership.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// One record: the block is pending before it, and a member's after it.
pub fn create(
    caller: Caller,
    root: &PendingBlock,
    parts: &[&PendingBlock],
    kind: u64,
) -> Result<(ObjectId, u64)> {
    let space = caller.space;
    let segment = &space.segment;
    let block = root.block();
    let serial = segment
        .word(block + layout::block::SERIAL)
        .load(Ordering::Relaxed);
    space.settle_up(caller.wait)?;
    let member_row = space.membership_cache.reserve();
    let made = with_tables(caller, |operation| {
        let free = operation.read(superblock::FREE_OBJECT);
        let row = if free == 0 {
            operation.read(superblock::NEXT_OBJECT)
        } else {
            free - 1
        };
        let at = place!(segment, superblock::OBJECTS, row, OBJECT_ROW);
        let member = place!(
            segment,
            members(caller.participant.me),
            member_row,
            MEMBER_ROW
        );
        if free == 0 {
            operation.write(superblock::NEXT_OBJECT, row + 1);
        } else {
            let next = operation.read(at + KIND);
            operation.write(superblock::FREE_OBJECT, next);
        }
        operation.write(at, serial);
        operation.write(at + ROOT, block);
        operation.write(at + REFERENCES, 1);
        operation.write(at + KIND, kind);
        operation.write(member, row + 1);
        let live = operation.read(superblock::LIVE_OBJECTS);
        operation.write(superblock::LIVE_OBJECTS, live.wrapping_add(1));
        root.transfer(operation, 0);
        parts.iter().for_each(|part| part.transfer(operation, 0));
        operation.commit();
        Ok(Ok(ObjectId { row, serial }))
    });
    settle(space, member_row, made)
}
