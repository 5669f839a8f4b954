//! In which row of its holdings this process is on record with which object: one row for all its
//! handles of it, found again by those that come later.
//!
//! A row that no handle uses stays as long as something is on record there; what is on record with an
//! object that is gone means nothing, and its row is free again.

use crate::process::membership_cache::ObjectId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A row: its number, and where it is.
pub type Place = (u64, u64);

#[derive(Default)]
struct Rows {
    used: HashMap<ObjectId, Used>,
    /// Those that no handle used when they were put here, the longest first.
    idle: VecDeque<ObjectId>,
}

struct Used {
    place: Place,
    handles: u64,
    is_listed: bool,
}

/// Private to a process: a child has a table of its own.
#[derive(Default)]
pub struct HoldingCache(Mutex<Rows>);

impl HoldingCache {
    /// For a few instructions, never while anything waits.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row that another handle has, for one more.
    pub fn join(&self, id: ObjectId) -> Option<Place> {
        let mut rows = self.rows();
        let used = rows.used.get_mut(&id)?;
        used.handles += 1;
        Some(used.place)
    }

    /// A new row, of the first handle.
    pub fn add(&self, id: ObjectId, place: Place) {
        let used = Used {
            place,
            handles: 1,
            is_listed: false,
        };
        self.rows().used.insert(id, used);
    }

    /// A handle goes. With the last one the row is free if `is_empty`, which is then the caller's to
    /// give back; else it waits for the next.
    pub fn leave(&self, id: ObjectId, is_empty: bool) -> Option<Place> {
        let mut rows = self.rows();
        let used = rows.used.get_mut(&id)?;
        used.handles = used.handles.saturating_sub(1);
        if used.handles > 0 {
            return None;
        }
        if is_empty {
            return rows.used.remove(&id).map(|used| used.place);
        }
        if !std::mem::replace(&mut used.is_listed, true) {
            rows.idle.push_back(id);
        }
        None
    }

    /// Looks at some rows that no handle uses: those of objects that are gone are the caller's.
    pub fn forsaken(&self, is_gone: impl Fn(ObjectId) -> bool) -> Vec<Place> {
        const AT_ONCE: usize = 4;
        let (mut rows, mut found) = (self.rows(), Vec::new());
        for _ in 0..AT_ONCE.min(rows.idle.len()) {
            let Some(id) = rows.idle.pop_front() else {
                break;
            };
            match rows.used.get_mut(&id) {
                Some(used) if used.handles > 0 => used.is_listed = false,
                Some(_) if is_gone(id) => {
                    found.extend(rows.used.remove(&id).map(|used| used.place));
                }
                Some(_) => rows.idle.push_back(id),
                None => {}
            }
        }
        found
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{HoldingCache, ObjectId};

    #[test]
    fn one_row_for_all_handles() {
        let (cache, id) = (HoldingCache::default(), ObjectId { row: 3, serial: 4 });
        assert_eq!(cache.join(id), None);
        cache.add(id, (7, 700));
        assert_eq!(cache.join(id), Some((7, 700)));
        assert_eq!(cache.leave(id, true), None); // one more has it
        assert_eq!(cache.leave(id, false), None); // and something is on record
        assert!(cache.forsaken(|_| false).is_empty());
        assert_eq!(cache.join(id), Some((7, 700)));
        assert!(cache.forsaken(|_| true).is_empty()); // in use
        assert_eq!(cache.leave(id, false), None);
        assert_eq!(cache.forsaken(|_| true), [(7, 700)]);
        assert_eq!(cache.join(id), None);
    }
}
