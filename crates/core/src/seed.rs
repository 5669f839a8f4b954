//! Bugs that tests seed in the protocols, to see that the harnesses catch them.
//!
//! Which harness catches which, and how, is the table of `crates/stepper/tests/seed.rs`; it has a
//! row for each, or does not compile. Without the feature `seeded-bugs` (or loom) nothing of this
//! is left: `seeded` is the constant `false`.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is seeded, after the module where it is.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Bug { $($(#[$doc])* $name,)* }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$name,)*];

            /// The bug of that name.
            pub fn find(name: &str) -> Option<Bug> {
                Self::ALL.iter().copied().find(|bug| format!("{bug:?}") == name)
            }
        }
    };
}

bugs! {
    /// lookout: a turn that somebody took is never over.
    TurnKept,
    /// name: a word of a name may be seen before the row says that it is being written.
    NameBeforeWriting,
    /// lock: a waiter never asks again whether the holder lives.
    AskedForGood,
    /// journal: the commit is stored before the entries.
    CommitBeforeEntries,
    /// journal: the sequences turn odd before the commit.
    OddBeforeCommit,
    /// journal: the commit is cleared before the entries are applied.
    ClearBeforeApply,
    /// journal: the record names no sequence.
    SequenceLeftOut,
    /// journal: replay does not turn the sequences.
    SequenceNotReplayed,
    /// journal: replay applies what was never committed.
    UncommittedReplayed,
    /// journal: a record that was carried through is not counted.
    RecordsUncounted,
    /// operation: the queued wakes are stored after the change.
    WakesAfterCommit,
    /// operation: the queued wakes are cleared before they are given.
    WakesClearedBeforeWake,
    /// operation: the waiters are woken before a change of one word is stored.
    WakeBeforeStore,
    /// operation: the locks are released before the record is applied and clear.
    UnlockBeforeClear,
    /// operation: a block leaves its magazine outside of the record that takes it.
    MagazineLeftOut,
    /// journal: where a record goes on is stored after the commit.
    ChainAfterCommit,
    /// table: an entry is linked by a record before the one that takes its block.
    EntryLinkedFirst,
    /// table: an entry has contents before it is linked.
    ContentsBeforeLink,
    /// table: an entry has its new place by a record before the one that gives it its stamp.
    StampedLater,
    /// table: a change that somebody watches for is noted as one of the order alone.
    NotedAsOrder,
    /// table: what is added to a key that came meanwhile is stored in its place.
    SumReplaced,
    /// table: an index that is being freed does not say how many entries it still names.
    LeftNotCounted,
    /// list: an element counts before its word is written.
    CountedFirst,
    /// list: the record that links a batch does not take it from its owner.
    BatchKept,
    /// list: a change inside a list says how long it is before its words are there.
    SplicedInTwo,
    /// list: what an exchange of rings drops is not in our hands after it.
    GoneNotCounted,
    /// list: elements are copied to a new ring before the lock is taken.
    CopiedBeforeLock,
    /// list: how many there may be is read before the lock is taken.
    MostBeforeLock,
    /// list: how many there may be is said by one record, what is too many dropped by the next.
    BoundInTwo,
    /// link: a reference is counted by one record, the link that holds it by the next.
    CountedInTwo,
    /// link: a link is given up by one record, its reference taken away by the next.
    LinkDroppedInTwo,
    /// recover: the generation is advanced before the replay.
    GenerationBeforeReplay,
    /// recover: the wakes that the dead one had queued are forgotten.
    WakesNotRepeated,
    /// recover: the reaper does not look at the slot again under its byte.
    ReapBlindly,
    /// participant: a newcomer does not look at the slot again under its byte.
    ClaimBlindly,
    /// participant: a slot is LIVE before its record is zeroed.
    PublishBeforeZero,
    /// lock: a release looks for waiters, then stores 0.
    ReleaseInTwo,
    /// lock: it is kept for a sleeper that is not woken.
    KeptWithoutWake,
    /// lock: a thread that does not starve takes a lock that is kept for those that do.
    KeptForAnybody,
    /// lock: a batch goes on being served, and is joined again, when its last member has the lock.
    TurnedLate,
    /// lock: a waiter that could not join a batch takes the lock as one of its members.
    JoinedAnyway,
    /// lock: a waiter that gives up a lock that is kept for it wakes nobody.
    LeftAsleep,
    /// lock: a thread that takes a kept lock does not say that others still starve.
    BatchForgotten,
    /// wait: the flags are cleared after the wake.
    ClearAfterWake,
    /// registration: the bell is announced before the thread can find the registration.
    BellBeforeRegistered,
    /// mailbox: an event loop takes what is there before whoever comes next is to write again.
    MailBeforeTold,
    /// heap: words of the bitmaps are journaled without the heap lock.
    BitmapWithoutLock,
    /// heap: a refill's bitmap has a record of its own, before the magazine's.
    RefillInTwo,
    /// heap: an empty chunk leaves its class's list by one record, and is free by the next.
    ChunkInTwo,
    /// heap: the free run at the end is used by one record, and longer by the next.
    TailInTwo,
    /// heap: what is stored takes the units that stay free for operations which make room.
    ReserveIgnored,
    /// pin: what is retired is freed without a look at the pins.
    PinsIgnored,
    /// pin: no fence between the pin and the second look.
    PinWithoutFence,
    /// pin: a child's pins are written beside its parent's, and not counted as moves.
    MoveUncounted,
    /// pin: an unpin does not look at the retired list.
    UnpinWithoutLook,
    /// drain: the retired list is not swept after the dead one's pins are cleared.
    RetiredNotSwept,
    /// drain: a block is given back by one record, its row cleared by the next.
    DrainInTwo,
    /// directory: a ticket is closed by one record, its reference taken away by the next.
    TicketInTwo,
    /// directory: a name is given by one record, its block transferred by the next.
    NameInTwo,
    /// directory: a bucket of names is added by one record, its names moved by the next.
    BucketInTwo,
    /// object: the new block is linked by one record, its pending row exchanged by the next.
    ExchangeInTwo,
    /// object: thread and count are cleared after the unlock.
    OwnerAfterUnlock,
    /// space: the size is published before the file has it.
    SizeBeforeAllocate,
    /// heap: a run is taken that is given back, and not reserved.
    TakenUnreserved,
    /// hole: units are no longer marked as given back before their pages are reserved.
    UnmarkedFirst,
    /// hole: units are marked as given back after their pages are.
    PunchedFirst,
    /// hole: what is punched or reserved just now is not written down.
    GivingForgotten,
    /// reading: memory is given back without a look at who reads.
    ReadersIgnored,
    /// reading: no fence between being counted and the first look.
    ReadWithoutFence,
    /// folder: the file can be found before its creator is registered.
    LinkBeforeRegister,
    /// queue: the tail is published before the record is filled.
    TailBeforeRecord,
    /// queue: an item is taken without the get lock.
    GetWithoutLock,
    /// queue: an item leaves the queue by one record and is counted as ours by the next.
    GetInTwo,
    /// queue: an item leaves the queue by one record and is put on the lease by the next.
    LeaseInTwo,
    /// queue: an item leaves its lease by one record and is back in the queue by the next.
    RequeueInTwo,
    /// queue: an item leaves its lease by one record and is in another queue by the next.
    MoveInTwo,
    /// queue: what is below a requeued item is not split by when it is due.
    SplitLeftOut,
    /// queue: an item given back counts as such after it is there.
    BackInTwo,
    /// queue: an item's bytes are counted by another record than the one that moves it.
    BytesOutOfStep,
    /// queue: all items leave the queue by one record and count as done by the next.
    ClearInTwo,
    /// semaphore: a permit is taken by one record and written into our row by the next.
    PermitInTwo,
    /// condition: a notification is taken by one record and written into our row by the next.
    NotificationInTwo,
    /// condition: what a dead waiter was given goes to nobody.
    NotificationForgotten,
    /// barrier: a party is counted by one record and written into our row by the next.
    JoinInTwo,
    /// barrier: a party inside is one less by one record, its row says so by the next.
    LeaveInTwo,
    /// barrier: a dead party breaks nothing.
    PartyNotMissed,
    /// barrier: a party that died outside `wait` is not missed.
    AbsentNotMissed,
    /// loan: what is held back is not looked at again once it is on the list.
    HeldForNobody,
    /// loan: children that were lent to while the words were looked at count as looked at.
    RepaidUnasked,
}

#[cfg(any(loom, feature = "seeded-bugs"))]
mod seeding {
    use super::Bug;
    use std::cell::Cell;
    use std::marker::PhantomData;

    std::thread_local! {
        static SEEDED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// While it lives the bug is seeded: in this thread, and in children forked from it.
    pub struct Seeded(PhantomData<*const ()>);

    impl Drop for Seeded {
        fn drop(&mut self) {
            SEEDED.set(None);
        }
    }

    pub fn seed(bug: Bug) -> Option<Seeded> {
        SEEDED.set(Some(bug));
        Some(Seeded(PhantomData))
    }

    #[inline]
    pub fn seeded(bug: Bug) -> bool {
        SEEDED.get() == Some(bug)
    }
}

#[cfg(not(any(loom, feature = "seeded-bugs")))]
mod seeding {
    use super::Bug;

    pub enum Seeded {}

    /// None: this build can seed nothing.
    pub fn seed(_: Bug) -> Option<Seeded> {
        None
    }

    #[inline(always)]
    pub const fn seeded(_: Bug) -> bool {
        false
    }
}

pub use seeding::{Seeded, seed, seeded};
