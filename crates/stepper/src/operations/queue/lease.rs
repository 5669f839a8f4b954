//! Items on a lease, and what takes items out of a space that is full.

use super::{LARGE, PAGE, change, contents, get, item, own_row, row};
use crate::entry::Entry;
use crate::stage::{caller, fill, me};
use courtyard_core::heap;
use courtyard_core::holding::Row;
use courtyard_core::queue::{self, Queue};
use courtyard_core::space::Space;

fn lease(space: &Space, queue: Queue) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let leased = queue::lease(caller(space), queue, row, None);
    leased.expect("to lease").expect("an item")
}

/// What takes items out of a queue that has filled its space: an empty page of its own makes room, or the
/// reserve.
fn taking_from_a_full_space(entries: &mut Vec<Entry>) {
    // Those on two pages, and an empty one behind them.
    let before = row(PAGE + 1, 4000);
    entries.push(change(
        "lease an item of a full space",
        (0, false),
        before.clone(),
        before.clone(),
        |space, _| {
            let row = Row::reserve(caller(space)).expect("a row");
            (row, fill(space))
        },
        |space, queue, (row, held)| {
            let leased = queue::lease(caller(space), queue, row, None);
            assert!(leased.expect("to lease").is_some());
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "clear a queue in a full space",
        (0, false),
        before,
        Vec::new(),
        |space, _| fill(space),
        |space, queue, held| {
            let gone = queue::clear(caller(space), queue);
            assert_eq!(gone.expect("to clear"), PAGE as u64 + 1);
            std::mem::forget(held);
        },
    ));
    let few = row(2, 100);
    entries.push(change(
        "lease an item of a full space by the reserve",
        (0, false),
        few.clone(),
        few,
        |space, _| fill(space),
        |space, queue, held| {
            lease(space, queue);
            std::mem::forget(held);
        },
    ));
    for (name, stack, length) in [
        ("clear a queue in a full space by the reserve", false, 100),
        ("clear a stack in a full space", true, LARGE),
    ] {
        entries.push(change(
            name,
            (0, stack),
            row(3, length),
            Vec::new(),
            |space, _| fill(space),
            |space, queue, held| {
                let gone = queue::clear(caller(space), queue);
                assert_eq!(gone.expect("to clear"), 3);
                queue::free_cleared(space, me(space));
                std::mem::forget(held);
            },
        ));
    }
    entries.push(change(
        "get an item from a stack in a full space",
        (0, true),
        row(2, LARGE),
        row(1, LARGE),
        |space, _| fill(space),
        |space, queue, held| {
            let row = own_row(space, queue);
            assert!(get(space, queue, row).is_some());
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "lease from a stack in a full space",
        (0, true),
        row(2, LARGE),
        row(2, LARGE),
        |space, _| fill(space),
        |space, queue, held| {
            lease(space, queue);
            std::mem::forget(held);
        },
    ));
}

fn leasing(entries: &mut Vec<Entry>) {
    for (name, length) in [("an item", 100), ("a large item", LARGE)] {
        let before = row(2, length);
        let after = before[1..].to_vec();
        entries.push(change(
            &format!("lease {name}"),
            (0, false),
            before.clone(),
            before.clone(),
            |_, _| (),
            move |space, queue, ()| {
                let lease = lease(space, queue);
                let payload = heap::payload(&space.segment, lease.block);
                assert_eq!(contents(space, payload), item(0, length));
            },
        ));
        entries.push(change(
            &format!("finish the lease of {name}"),
            (0, false),
            before.clone(),
            after,
            lease,
            |space, queue, lease| {
                queue::finish(caller(space), queue, lease).expect("to finish");
            },
        ));
        entries.push(change(
            &format!("give {name} back"),
            (0, false),
            before.clone(),
            before.clone(),
            lease,
            |space, queue, lease| {
                queue::give_back(caller(space), queue, lease).expect("to give back");
            },
        ));
        entries.push(change(
            &format!("get {name} that came back"),
            (0, false),
            before.clone(),
            before[1..].to_vec(),
            |space, queue| {
                let lease = lease(space, queue);
                queue::give_back(caller(space), queue, lease).expect("to give back");
                own_row(space, queue)
            },
            |space, queue, row| assert!(get(space, queue, row).is_some()),
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    taking_from_a_full_space(entries);
    leasing(entries);
}
