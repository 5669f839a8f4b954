//! What views of this process keep of blocks: for the children that it forks.
//!
//! A private note beside a table of 64 rows (pins, or blocks in hand): which block a row names, and
//! on whose behalf. Atomic words, readable as they are in a child forked at any moment.

use crate::sync::{AtomicU64, Ordering};

/// Rows of the tables that have such notes beside them; one in models, where nobody forks.
pub const ROWS: usize = if cfg!(loom) { 1 } else { 64 };

/// On whose behalf a row is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeper {
    /// A call of this thread's that runs code of the user's: a child inherits it if that code forks.
    Call,
    /// Objects of the program's, which every child inherits.
    Views,
}

const VIEWS: u64 = u64::MAX;

/// A number that no other thread of this process has, the same in a forked child.
fn thread() -> u64 {
    std::thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| std::ptr::from_ref(mark) as u64)
}

#[derive(Default)]
struct Keep {
    block: AtomicU64,
    /// 0: nobody; a thread; or `VIEWS`.
    keeper: AtomicU64,
}

/// A kept row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    pub row: u64,
    pub block: u64,
    keeper: u64,
}

#[derive(Default)]
pub struct Keeps {
    rows: Box<[Keep]>,
    /// Rows that hold for us what was our parent's, a bit each.
    inherited: AtomicU64,
    /// Rows that a child was given, too.
    lent: AtomicU64,
}

impl Keeps {
    pub fn new() -> Keeps {
        Keeps {
            rows: (0..ROWS).map(|_| Keep::default()).collect(),
            ..Keeps::default()
        }
    }

    /// The row names this block, and is kept from now on.
    pub fn keep(&self, row: u64, block: u64, keeper: Keeper) {
        let keeper = match keeper {
            Keeper::Call => thread(),
            Keeper::Views => VIEWS,
        };
        self.note(Kept { row, block, keeper });
    }

    fn note(&self, kept: Kept) {
        let row = &self.rows[kept.row as usize];
        row.block.store(kept.block, Ordering::Relaxed);
        row.keeper.store(kept.keeper, Ordering::Release); // the block first, as a child sees it
    }

    /// The row is not kept any more.
    pub fn end(&self, row: u64) {
        let at = self.rows.get(row as usize);
        if let Some(at) = at.filter(|at| at.keeper.load(Ordering::Relaxed) != 0) {
            at.keeper.store(0, Ordering::Release);
        }
    }

    /// What a child of this thread's inherits.
    pub fn carried(&self) -> impl Iterator<Item = Kept> {
        let me = thread();
        self.rows.iter().zip(0..).filter_map(move |(at, row)| {
            let keeper = at.keeper.load(Ordering::Acquire);
            let block = at.block.load(Ordering::Relaxed);
            (keeper == VIEWS || keeper == me).then_some(Kept { row, block, keeper })
        })
    }

    /// In a child: the row is ours now, as it was our parent's.
    pub fn inherit(&self, kept: Kept) {
        self.note(kept);
        self.inherited.fetch_or(1 << kept.row, Ordering::Relaxed);
    }

    /// Whether the row holds for us what was our parent's.
    pub fn is_inherited(&self, row: u64) -> bool {
        row < ROWS as u64 && self.inherited.load(Ordering::Relaxed) & 1 << row != 0
    }

    /// Ends that; false if it was not so.
    pub fn disinherit(&self, row: u64) -> bool {
        let bit = 1 << row;
        self.inherited.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }

    /// A child was given the row, too.
    pub fn lend(&self, row: u64) {
        self.lent.fetch_or(1 << row, Ordering::Relaxed);
    }

    pub fn is_lent(&self, row: u64) -> bool {
        row < ROWS as u64 && self.lent.load(Ordering::Relaxed) & 1 << row != 0
    }

    /// Whether a child was; asked once, at the end of the row's use.
    pub fn was_lent(&self, row: u64) -> bool {
        let bit = 1 << (row % 64);
        self.is_lent(row) && self.lent.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }
}
