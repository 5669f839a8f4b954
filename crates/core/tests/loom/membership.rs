//! The membership cache: rows go to one thread each, and a row that names an object names its serial,
//! too.

use courtyard_core::membership_cache::{MembershipCache, ObjectId};
use courtyard_core::mortal;
use loom::thread;
use std::sync::Arc;

fn object(row: u64) -> ObjectId {
    ObjectId {
        row,
        serial: row + 100,
    }
}

/// Two threads take rows, and one of them gives its back and takes another; a third looks.
fn three_threads() {
    let membership_cache = Arc::new(MembershipCache::default());
    let threads: Vec<_> = [5, 7]
        .into_iter()
        .map(|name| {
            let membership_cache = membership_cache.clone();
            thread::spawn(move || {
                let mut row = membership_cache.reserve();
                if name == 7 {
                    membership_cache.forget(row);
                    row = membership_cache.reserve();
                }
                membership_cache.hold(row, object(name));
                assert!(
                    membership_cache.holds(row, object(name)),
                    "taken by another"
                );
                row
            })
        })
        .collect();
    for (_, seen) in membership_cache.all() {
        assert_eq!(seen, object(seen.row), "a row without its serial");
    }
    let rows: Vec<u64> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_ne!(rows[0], rows[1]);
    assert!(rows.iter().all(|&row| row < 4), "rows are used again");
    let mut held = membership_cache.all();
    held.sort_unstable_by_key(|(_, id)| id.row);
    assert_eq!(held, [(rows[0], object(5)), (rows[1], object(7))]);
}

#[test]
fn rows_of_two_threads() {
    mortal::explore("membership_cache", 3, three_threads);
}
