//! A space as this process has it open: its segment, and who we are in it.

use crate::change::operation::Operation;
use crate::change::recover;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::{self, RESERVED_SLOT, superblock};
use crate::memory::segment::Segment;
use crate::offset::Root;
use crate::os;
use crate::process::backlog::Backlog;
use crate::process::loan::Loan;
use crate::process::membership_cache::MembershipCache;
use crate::process::participant::{DRAINING, LIVE, Me, Page, Participant, State};
use crate::space::policy::{AT_ONCE, WaitPolicy, within};
#[cfg(not(loom))]
use crate::space::reading;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// How often a newcomer looks for a slot while the dead are drained, and how long it waits
/// between two looks if others drain them.
const MAX_ATTEMPTS: u32 = 200;
const TURN: Duration = Duration::from_millis(5);

/// What an object, or a block with contents, consists of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// A number that changes with the blocks.
    pub version: u64,
    /// Its own block among them.
    pub blocks: Vec<u64>,
    /// The rows of the objects that it links.
    pub links: Vec<u64>,
}

/// What a space needs from the layers above it.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Recovers the dead and gives back what they held; frees some of what nobody holds, true: all of it.
    pub sweep: fn(Caller) -> Result<bool>,
    /// Gives back what one dead participant held, in a slot that is draining.
    pub drain: fn(Caller, slot: u64) -> Result<()>,
    /// Writes the entries that free an object with its last reference, its root block included.
    pub destroy: fn(&mut Operation, root: Root) -> Attempt<()>,
    /// Writes and commits the record that frees the next piece of the first block on the list.
    pub free_step: fn(&Space, &mut Operation, block: u64) -> Attempt<()>,
    /// What a block with contents, or an object's root, consists of.
    pub blocks: fn(&Segment, block: u64) -> Result<Blocks>,
    /// Takes a membership of every object held, in a child forked behind our back.
    pub adopt: fn(&Space, &Participant) -> Result<()>,
}

#[cfg(loom)]
impl Hooks {
    /// Those of a model, where nothing above the space is at work.
    pub const MODEL: Hooks = Hooks {
        sweep: |_| Ok(true),
        drain: |_, _| Ok(()),
        destroy: |_, _| Ok(()),
        free_step: |_, _, _| Ok(()),
        blocks: |_, _| Ok(Blocks::default()),
        adopt: |_, _| Ok(()),
    };
}

/// What may be put on a backlog (`deferral.rs`).
pub struct Job {
    /// Does it; what it gets is up to the job. It changes nothing where it fails with `TimedOut` or
    /// `Interrupted`: it is begun again then.
    pub run: fn(Caller, &[u64; 6]) -> Result<()>,
    /// Puts private tables right in a child that inherited the backlog: the work is its parent's.
    pub inherit: fn(&Space, &[u64; 6]),
}

/// Work on a backlog, and in whose name it is done.
#[derive(Clone, Copy)]
pub struct Deferred {
    pub by: Me,
    pub job: &'static Job,
    pub numbers: [u64; 6],
}

/// Who calls: a process in a space, and how long this call of it may wait.
#[derive(Clone, Copy)]
pub struct Caller<'a, 'w> {
    pub space: &'a Space,
    pub participant: &'a Participant,
    pub wait: WaitPolicy<'w>,
}

impl<'a, 'w> Caller<'a, 'w> {
    pub fn new(
        space: &'a Space,
        participant: &'a Participant,
        wait: WaitPolicy<'w>,
    ) -> Caller<'a, 'w> {
        Caller {
            space,
            participant,
            wait,
        }
    }
}

pub struct Space {
    pub segment: Segment,
    pub uuid: u128,
    pub membership_cache: MembershipCache,
    pub(crate) backlog: Backlog<Deferred>,
    /// Memberships that are not given back before children have theirs.
    pub(crate) loan: Loan<Deferred>,
    /// Whether our own memberships are still to be copied: we are such a child.
    pub(crate) is_owing: AtomicBool,
    /// Where to look for the dead next, and the second in which more was looked at.
    pub(crate) looked: AtomicU64,
    pub(crate) tidied: AtomicU64,
    /// When memory was last scarce that this process gave back what it had at hand.
    pub(crate) shared: AtomicU64,
    /// Whether a sweep is on the backlog.
    pub(crate) sweep_due: AtomicBool,
    /// Whether its file system was found to make no holes.
    pub(crate) is_solid: AtomicBool,
    pub(crate) hooks: Hooks,
    /// On a page that reads as zero in a forked child, so that it cannot act in our name.
    me: NonNull<Page>,
    /// Who we are, or, in a child forked behind our back, were: nobody acts in its name.
    last: AtomicPtr<Participant>,
    /// Whether it ended in this process.
    ended: AtomicBool,
    /// A mark for the layers above: they load nothing from here that runs code.
    pub distrusted: AtomicBool,
    /// Whether this process only looks at the space: it recovers the dead only if they are in its way.
    pub looks: AtomicBool,
    /// And a count of theirs: what may still make objects here.
    pub users: AtomicU64,
    /// Whether a pickle of the space itself was made here: who loads it finds objects by their names.
    pub sent: AtomicBool,
}

// SAFETY: `me` is a page of our own, only reached as an atomic.
unsafe impl Send for Space {}
// SAFETY: as above.
unsafe impl Sync for Space {}

impl Space {
    /// A space over a mapped segment, in which this process is not registered yet.
    ///
    /// # Errors
    /// `System` if the page that forks wipe cannot be had.
    pub fn new(segment: Segment, hooks: Hooks) -> Result<Space> {
        #[cfg(not(loom))]
        reading::enlist();
        let page = match os::map_wiped_on_fork() {
            Ok(page) => page,
            Err(source) => {
                let (call, path) = ("madvise", segment.path());
                segment.discard();
                return Err(Error::System { call, path, source });
            }
        };
        Ok(Space {
            uuid: segment.superblock().uuid,
            segment,
            membership_cache: MembershipCache::default(),
            backlog: Backlog::default(),
            loan: Loan::default(),
            is_owing: AtomicBool::new(false),
            looked: AtomicU64::new(0),
            tidied: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            sweep_due: AtomicBool::new(false),
            is_solid: AtomicBool::new(false),
            hooks,
            me: page.cast(),
            last: AtomicPtr::default(),
            ended: AtomicBool::new(false),
            distrusted: AtomicBool::new(false),
            looks: AtomicBool::new(false),
            users: AtomicU64::new(0),
            sent: AtomicBool::new(false),
        })
    }

    /// What it is for: private, named, durable.
    pub fn kind(&self) -> u64 {
        self.segment.superblock().kind
    }

    /// Its own name; empty if it has none.
    ///
    /// # Errors
    /// `Corrupt` if it was not the one that was written.
    pub fn title(&self) -> Result<&str> {
        self.segment.superblock().title(&self.segment.path())
    }

    /// Gives back what a space has of this process: when making or opening it failed.
    pub fn discard(self) {
        let me = self.registered().cast_mut();
        if !me.is_null() {
            // SAFETY: a leaked box of `install`; nobody borrows from `self` any more.
            unsafe { Box::from_raw(me) }.release_anchor();
        }
        // SAFETY: the page is reached through `self` alone.
        unsafe { os::unmap(self.me.cast(), os::PAGE) };
        self.segment.discard();
    }

    /// Gives back what a space has of this process, into which nothing leads here any more. Who comes
    /// all the same is told that it is gone. False: all stays until this process ends.
    #[cfg(not(loom))]
    pub fn vanish(&self) -> bool {
        self.ended.store(true, Ordering::Relaxed);
        if !self.segment.vanish() {
            return false;
        }
        // SAFETY: a page of ours; who reads it finds that nobody is registered.
        unsafe { os::empty(self.me.cast()) };
        true
    }

    fn me(&self) -> &Page {
        // SAFETY: the page stays mapped for the life of the process; zero is a null pointer.
        unsafe { self.me.as_ref() }
    }

    /// Who we are here, if we are registered: null in a child forked behind our back.
    #[inline]
    pub fn registered(&self) -> *const Participant {
        self.me().me.load(Ordering::Acquire) // pairs with `install`, Release
    }

    /// Who we are here; registers this process if need be, which may take waiting.
    ///
    /// # Errors
    /// `Crowded` when every slot is held by the living; `Full`, `System`; `Interrupted` and `TimedOut`
    /// as the wait policy says.
    #[inline]
    pub fn participate(&self, wait: WaitPolicy) -> Result<&Participant> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        match unsafe { self.registered().as_ref() } {
            Some(participant) => Ok(participant),
            None => self.enter(wait),
        }
    }

    /// As `participate`: who calls, and waits as this policy says.
    ///
    /// # Errors
    /// As `participate`.
    #[inline]
    pub fn caller<'w>(&self, wait: WaitPolicy<'w>) -> Result<Caller<'_, 'w>> {
        Ok(Caller::new(self, self.participate(wait)?, wait))
    }

    /// As `participate`, if that takes no waiting.
    ///
    /// # Errors
    /// As `participate`; `TimedOut`.
    pub fn participant(&self) -> Result<&Participant> {
        self.participate(&within(AT_ONCE))
    }

    /// In a child forked behind our back, until it has adopted what it inherited: its parent.
    pub fn parent_of_fork(&self) -> Option<&Participant> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        unsafe { self.last.load(Ordering::Acquire).as_ref() }
    }

    /// Makes `participant` who we are: after registering, and in a child after a fork.
    pub fn install(&self, mut participant: Box<Participant>) -> &Participant {
        participant.move_in(self.me);
        let participant = Box::leak(participant);
        self.segment.set_reading(participant.me.slot); // before anybody reads in its name
        self.last.store(participant, Ordering::Release);
        self.me().me.store(participant, Ordering::Release);
        participant
    }

    /// Makes this process nobody here: its slot is about to be free.
    pub fn uninstall(&self) {
        self.me().me.store(ptr::null_mut(), Ordering::Release);
        self.last.store(ptr::null_mut(), Ordering::Release);
        self.segment.stop_reading();
    }

    #[cold]
    fn enter(&self, wait: WaitPolicy) -> Result<&Participant> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(Error::NotFound(format!(
                "{}: this space was removed, and this process had nothing of it any more",
                self.segment.path().display()
            )));
        }
        // Only registration itself is at stake, so two may try after a while: one wins.
        let first = !self.me().entering.swap(true, Ordering::Acquire);
        let mut turns = 0;
        while !first && self.registered().is_null() && turns < 10_000 {
            os::yield_now();
            turns += 1;
        }
        // SAFETY: as in `participate`.
        if let Some(participant) = unsafe { self.registered().as_ref() } {
            return Ok(participant);
        }
        let result = self.register(false, wait).map(|mut participant| {
            participant.move_in(self.me);
            let participant = Box::leak(Box::new(participant));
            // Where another thread came first, its slot or ours: both are of this process.
            self.segment.set_reading(participant.me.slot);
            let (null, order) = (ptr::null_mut(), Ordering::AcqRel);
            self.me()
                .me
                .compare_exchange(null, participant, order, Ordering::Acquire)
                .is_ok()
        });
        self.me().entering.store(false, Ordering::Release);
        if result? {
            // SAFETY: as in `participate`.
            let me = unsafe { &*self.registered() };
            let adopted = (self.hooks.adopt)(self, me);
            self.last
                .store(self.registered().cast_mut(), Ordering::Release);
            adopted?;
            if !self.looks.load(Ordering::Relaxed) {
                self.tidy();
            }
        }
        self.participate(wait)
    }

    /// Takes a slot, after reaping the dead. A child about to be forked (`inherited`), and a process that only
    /// looks, gets a free one without that, if there is one. Where all are taken, some by the dead, these
    /// are drained first.
    ///
    /// # Errors
    /// As `participate`.
    pub fn register(&self, inherited: bool, wait: WaitPolicy) -> Result<Participant> {
        let segment = &self.segment;
        for round in 0..MAX_ATTEMPTS {
            let looks = self.looks.load(Ordering::Relaxed);
            let is_quick = (inherited || looks) && round == 0;
            if !is_quick {
                recover::reap_all(segment)?;
            }
            for slot in 0..RESERVED_SLOT {
                if let Some(participant) = Participant::claim(segment, slot, inherited)? {
                    return Ok(participant);
                }
            }
            if is_quick {
                continue;
            }
            if (0..RESERVED_SLOT).all(|slot| State::read(segment, slot).state == LIVE) {
                break; // all alive a moment ago: what was dead is draining
            }
            if let Some(slot) =
                (0..RESERVED_SLOT).find(|&slot| State::read(segment, slot).state > DRAINING)
            {
                return Err(corrupt(format!("slot {slot} is in no state there is")));
            }
            // Some are held by the dead. From the reserved slot we may drain them.
            if let Some(guest) = Participant::claim(segment, RESERVED_SLOT, false)? {
                self.drain_as(guest, wait)?;
            } else {
                // Another newcomer does so, or another drainer has them.
                let state = layout::slot_state(RESERVED_SLOT);
                let seen = segment.word(state).load(Ordering::Relaxed);
                wait(&mut |limit| Ok(segment.sleep(state, seen, limit.min(TURN)).into()))?;
            }
        }
        Err(Error::Crowded(RESERVED_SLOT))
    }

    /// Drains the dead in the name of the reserved slot, then leaves it: it owns nothing.
    fn drain_as(&self, guest: Participant, wait: WaitPolicy) -> Result<()> {
        let swept = Caller::new(self, &guest, wait).sweep();
        let me = guest.me;
        guest.release_anchor();
        recover::reap(&self.segment, me)?; // phase (a) alone frees the reserved slot
        swept
    }

    /// Recovers the dead, gives back what they held, and frees what nobody holds.
    ///
    /// # Errors
    /// `Interrupted` and `TimedOut` as the wait policy says: some may be left. `System`, `Corrupt`.
    pub fn sweep(&self, wait: WaitPolicy) -> Result<()> {
        self.catch_up(wait)?;
        self.caller(wait)?.sweep()
    }

    /// As `sweep`, about a millisecond of it; true: nothing is left.
    ///
    /// # Errors
    /// As `sweep`.
    pub fn sweep_some(&self, wait: WaitPolicy) -> Result<bool> {
        self.catch_up(wait)?;
        (self.hooks.sweep)(self.caller(wait)?)
    }

    /// Whether something that nobody holds is still to be freed.
    pub fn is_freeing(&self) -> bool {
        let deferred = self.segment.word(superblock::DEFERRED_FREE);
        deferred.load(Ordering::Relaxed) != 0
    }

    /// Whether a sweep may free something: of the dead, tickets that may be theirs, blocks
    /// that one of them pinned last, or what it was taking apart.
    pub(crate) fn may_reclaim(&self) -> Result<bool> {
        let is_set = |offset| self.segment.word(offset).load(Ordering::Relaxed) != 0;
        Ok(recover::reap_all(&self.segment)?
            || is_set(superblock::OPEN_TICKETS)
            || is_set(superblock::RETIRED)
            || self.is_freeing())
    }
}
