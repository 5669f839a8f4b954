//! The thread that sleeps for the registered waits of this process, in all its spaces.
//!
//! It begins with the first wait and sleeps on the bells of the spaces where there are any, and on a word
//! of its own. Where the kernel cannot sleep on several words at once (futex_waitv(2), Linux 5.16), each
//! space has a thread of its own; where there are more spaces than one call takes, there are several
//! threads. A thread never runs Python code, and no signal handler runs in it.
//!
//! | a space is | its thread                                            | a registration     |
//! | ---------- | ----------------------------------------------------- | ------------------ |
//! | warm       | sleeps on its bell, and looks after the dead there    | needs no more      |
//! | cold       | takes no notice of it: nobody waited there for a while | wakes the thread  |
//!
//! Like any waiter it looks after the dead. Some changes of locks are stored before anybody is woken, and
//! no record names the wake: so whenever a process has gone from a space, all who wait there try again.

use super::listener::Token;
use super::lookout::Lookout;
use super::open::Space;
use super::policy::{AT_ONCE, within};
use crate::change::registration::Registrations;
use crate::change::wait;
use crate::error::{Error, Result};
use crate::memory::layout::{SLOTS, superblock};
use crate::memory::segment::Segment;
use crate::offset::EventWord;
use crate::os::{self, Awaited};
use crate::process::participant::State;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The spaces of one thread: one word of the call is its own.
const MOST_SPACES: usize = os::MOST_AWAITED - 1;
/// How often a thread looks after the dead: seldom enough that an idle process uses a thousandth of a CPU.
const LOOK: Duration = Duration::from_millis(250);
/// How long a thread without any waits sleeps at once.
const LONG: Duration = Duration::from_secs(3600);
/// How long a thread is waited for that is told to let go of something.
const GRACE: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_micros(20);
/// How long a thread pauses that the kernel does not let sleep.
const PAUSE: Duration = Duration::from_millis(10);

/// The threads of this process.
struct Sleeper {
    /// How many spaces a thread attends to.
    most: usize,
    threads: Mutex<Vec<Arc<Thread>>>,
}

/// What a thread shares with those who register.
struct Thread {
    /// Whether it can sleep on several words at once.
    has_several: bool,
    /// Changes whenever the thread shall look at the rest of this.
    control: AtomicU32,
    attended: Mutex<Vec<Arc<Attended>>>,
    /// How often the thread has looked at `attended`, written while that is locked.
    rounds: AtomicU64,
    is_told_to_end: AtomicBool,
    has_ended: AtomicBool,
}

/// A space where waits of this process are registered.
pub struct Attended {
    space: &'static Space,
    thread: Arc<Thread>,
    registrations: Registrations<Token>,
    is_cold: AtomicBool,
    /// The generations of all slots in one number: it changes when a process goes.
    generations: AtomicU64,
}

/// A registered wait: cancelled when it is dropped.
pub struct Registration {
    attended: Arc<Attended>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // In a forked child it is the parent's, whose thread may have held the lock at the fork.
        if is_ours(&self.attended.thread) {
            self.attended.registrations.cancel(self.number);
        }
    }
}

/// The threads of this process, on a page that reads as zero in a forked child: it has none of them.
fn current() -> Result<&'static AtomicPtr<Sleeper>> {
    static PAGE: OnceLock<usize> = OnceLock::new();
    let page = match PAGE.get() {
        Some(&page) => page,
        None => {
            let page = os::map_wiped_on_fork().map_err(|source| Error::System {
                call: "madvise",
                path: PathBuf::new(),
                source,
            })?;
            *PAGE.get_or_init(|| page.as_ptr() as usize)
        }
    };
    let page = page as *const AtomicPtr<Sleeper>;
    // SAFETY: the page stays mapped for the life of the process; zeros are a null pointer.
    Ok(unsafe { &*page })
}

/// The threads there are.
fn existing() -> Option<&'static Sleeper> {
    let current = current().ok()?.load(Ordering::Acquire);
    // SAFETY: null, or a leaked box.
    unsafe { current.as_ref() }
}

fn is_ours(thread: &Arc<Thread>) -> bool {
    existing().is_some_and(|sleeper| {
        let threads = locked(&sleeper.threads);
        threads.iter().any(|ours| Arc::ptr_eq(ours, thread))
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a wait at some event words of a space, to be looked at by the caller after this. The token
/// comes when one of them may have changed, once. The space stays open as long as the registration lives.
///
/// # Errors
/// `System` where no thread can be started.
pub fn register(space: &'static Space, events: &[EventWord], token: Token) -> Result<Registration> {
    let attended = attend(space)?;
    let is_cold = attended.is_cold.load(Ordering::Acquire);
    if is_cold {
        // Before anything is registered: a process that goes after that is noticed.
        let generations = generations(&space.segment);
        attended.generations.store(generations, Ordering::Relaxed);
    }
    let number = attended
        .registrations
        .register(&space.segment, events, token);
    // The lock of the table orders this behind the thread's last look there, if it found nothing.
    if attended.is_cold.swap(false, Ordering::SeqCst) {
        attended.thread.kick(Some(space));
    }
    Ok(Registration { attended, number })
}

/// The space as one where waits are registered.
fn attend(space: &'static Space) -> Result<Arc<Attended>> {
    let sleeper = match existing() {
        Some(sleeper) => sleeper,
        None => {
            let sleeper = Box::into_raw(Box::new(Sleeper::new()));
            let (null, order) = (ptr::null_mut(), Ordering::AcqRel);
            let current = current()?;
            match current.compare_exchange(null, sleeper, order, Ordering::Acquire) {
                // SAFETY: leaked just now.
                Ok(_) => unsafe { &*sleeper },
                // SAFETY: leaked by the thread that came first.
                Err(other) => unsafe { &*other },
            }
        }
    };
    let mut threads = locked(&sleeper.threads);
    for thread in threads.iter() {
        let attended = locked(&thread.attended);
        let known = attended.iter().find(|known| ptr::eq(known.space, space));
        if let Some(known) = known {
            return Ok(known.clone());
        }
    }
    let has_room = |thread: &&Arc<Thread>| locked(&thread.attended).len() < sleeper.most;
    let thread = match threads.iter().find(has_room) {
        Some(thread) => thread.clone(),
        None => {
            let thread = Thread::start(sleeper.most > 1)?;
            threads.push(thread.clone());
            thread
        }
    };
    let attended = Arc::new(Attended {
        space,
        thread: thread.clone(),
        registrations: Registrations::default(),
        is_cold: AtomicBool::new(true),
        generations: AtomicU64::default(),
    });
    locked(&thread.attended).push(attended.clone());
    Ok(attended)
}

/// Has the threads take no notice of a space any more; false: there are waits, or that takes too long.
pub fn dismiss(space: &Space) -> bool {
    let Some(sleeper) = existing() else {
        return true;
    };
    let mut threads = locked(&sleeper.threads);
    let place = threads.iter().position(|thread| {
        let mut attended = locked(&thread.attended).clone();
        attended.retain(|known| ptr::eq(known.space, space));
        !attended.is_empty()
    });
    let Some(thread) = place.map(|place| threads[place].clone()) else {
        return true;
    };
    let round = {
        let mut attended = locked(&thread.attended);
        let is_it = |known: &Arc<Attended>| ptr::eq(known.space, space);
        if attended
            .iter()
            .any(|known| is_it(known) && !known.registrations.is_empty())
        {
            return false;
        }
        attended.retain(|known| !is_it(known));
        thread.rounds.load(Ordering::Relaxed)
    };
    if sleeper.most == 1 {
        thread.is_told_to_end.store(true, Ordering::SeqCst);
        threads.retain(|other| !Arc::ptr_eq(other, &thread));
    }
    thread.kick(Some(space));
    within_grace(|| {
        thread.rounds.load(Ordering::Acquire) > round || thread.has_ended.load(Ordering::Acquire)
    })
}

/// Ends the threads, before this process gives its slots back; false: one is still at work.
pub fn end() -> bool {
    let Some(sleeper) = existing() else {
        return true;
    };
    if let Ok(current) = current() {
        current.store(ptr::null_mut(), Ordering::Release); // a later wait starts others
    }
    let threads = std::mem::take(&mut *locked(&sleeper.threads));
    for thread in &threads {
        thread.is_told_to_end.store(true, Ordering::SeqCst);
        thread.kick(locked(&thread.attended).first().map(|known| known.space));
    }
    within_grace(|| {
        threads
            .iter()
            .all(|thread| thread.has_ended.load(Ordering::Acquire))
    })
}

fn within_grace(is_done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_done() {
        if begun.elapsed() > GRACE {
            return false;
        }
        os::pause(TURN);
    }
    true
}

/// Hands out the tokens of this process's waits at words from `first` on, before `end`: what they wait at is
/// closed here.
pub fn disturb(space: &Space, first: u64, end: u64) {
    let Some(sleeper) = existing() else {
        return;
    };
    for thread in locked(&sleeper.threads).iter() {
        let attended = locked(&thread.attended);
        let there = attended.iter().filter(|known| ptr::eq(known.space, space));
        let tokens = there.flat_map(|known| known.registrations.between(first, end));
        tokens.for_each(Token::hand_out);
    }
}

/// How many threads there are, and how many waits are registered.
pub fn counts() -> (usize, usize) {
    let Some(sleeper) = existing() else {
        return (0, 0);
    };
    let threads = locked(&sleeper.threads);
    let waits = |thread: &Arc<Thread>| {
        let attended = locked(&thread.attended);
        attended
            .iter()
            .map(|known| known.registrations.len())
            .sum::<usize>()
    };
    (threads.len(), threads.iter().map(waits).sum())
}

impl Sleeper {
    fn new() -> Sleeper {
        let word = AtomicU32::new(0);
        let other = [Awaited::new((&raw const word).cast(), 1)];
        // SAFETY: the word is there during the call, which returns at once: it reads as something else.
        let has_several = unsafe { os::futex_wait_any(&other, Duration::ZERO) }.is_ok();
        Sleeper {
            most: if has_several { MOST_SPACES } else { 1 },
            threads: Mutex::default(),
        }
    }
}

/// A warm space, as its thread has it.
struct Post {
    attended: Arc<Attended>,
    lookout: Lookout,
    /// When it looked last.
    looked: Instant,
    /// The bell as it was announced last.
    bell: Option<u64>,
}

impl Post {
    fn new(attended: &Arc<Attended>) -> Post {
        Post {
            attended: attended.clone(),
            lookout: Lookout::new(LOOK),
            looked: Instant::now(),
            bell: None,
        }
    }

    /// Hands out what has changed, if the bell has rung; false: look again.
    fn serve(&mut self) -> bool {
        let segment = &self.attended.space.segment;
        let bell = wait::observe(segment, superblock::BELL);
        if self.bell != Some(bell) {
            let changed = self.attended.registrations.changed(segment);
            changed.into_iter().for_each(Token::hand_out);
            self.bell = wait::prepare(segment, superblock::BELL, bell);
        }
        self.bell.is_some()
    }

    /// How long the thread may sleep.
    fn left(&self) -> Duration {
        self.lookout.limit().saturating_sub(self.looked.elapsed())
    }

    /// Looks after the dead; false: nobody waits here any more.
    fn look(&mut self) -> bool {
        let (space, segment) = (self.attended.space, &self.attended.space.segment);
        self.looked = Instant::now();
        if self.attended.registrations.is_empty() {
            self.attended.is_cold.store(true, Ordering::SeqCst);
            if self.attended.registrations.is_empty() {
                return false;
            }
            // Somebody registered meanwhile, and may not have found it cold.
            self.attended.is_cold.store(false, Ordering::SeqCst);
        }
        let found = self.lookout.look(segment, os::boot_clock());
        // What fails here fails in the calls of those who wait, and is raised there.
        if found.is_ok_and(|found| found || space.is_freeing()) && !space.registered().is_null() {
            let _ = space.sweep_some(&within(AT_ONCE));
        }
        let generations = generations(segment);
        if self
            .attended
            .generations
            .swap(generations, Ordering::Relaxed)
            != generations
        {
            self.attended
                .registrations
                .all()
                .into_iter()
                .for_each(Token::hand_out);
        }
        true
    }
}

/// The generations of all slots in one number.
fn generations(segment: &Segment) -> u64 {
    let generations = (0..SLOTS).map(|slot| u64::from(State::read(segment, slot).generation));
    generations.fold(0, u64::wrapping_add)
}

impl Thread {
    fn start(has_several: bool) -> Result<Arc<Thread>> {
        let thread = Arc::new(Thread {
            has_several,
            control: AtomicU32::new(0),
            attended: Mutex::default(),
            rounds: AtomicU64::default(),
            is_told_to_end: AtomicBool::default(),
            has_ended: AtomicBool::default(),
        });
        let running = thread.clone();
        let run = move || {
            // A panic is of what a peer scribbled: those who wait learn of that in their own calls.
            while catch_unwind(AssertUnwindSafe(|| running.run())).is_err() {
                os::pause(PAUSE);
            }
            running.has_ended.store(true, Ordering::Release);
        };
        os::spawn_without_signals("courtyard-waiter", run).map_err(|source| Error::System {
            call: "pthread_create",
            path: PathBuf::new(),
            source,
        })?;
        Ok(thread)
    }

    fn word(&self) -> *const u32 {
        (&raw const self.control).cast()
    }

    /// Has the thread look at everything anew; `space` is one that it may be asleep for.
    fn kick(&self, space: Option<&Space>) {
        self.control.fetch_add(1, Ordering::SeqCst);
        // SAFETY: a word of ours.
        unsafe { os::futex_wake(self.word(), u32::MAX, os::ANY) };
        if let Some(space) = space.filter(|_| !self.has_several) {
            wait::notify(&space.segment, superblock::BELL);
        }
    }

    fn run(&self) {
        let mut posts: Vec<Post> = Vec::new();
        loop {
            let control = self.control.load(Ordering::SeqCst); // pairs with `kick`
            if self.is_told_to_end.load(Ordering::SeqCst) {
                return;
            }
            self.join(&mut posts);
            let served = posts
                .iter_mut()
                .filter_map(|post| post.serve().then_some(()))
                .count();
            if served == posts.len() {
                self.sleep(control, &posts);
            }
            posts.retain_mut(|post| !post.left().is_zero() || post.look());
        }
    }

    /// Takes up posts where it is warm, and leaves those that were dismissed.
    fn join(&self, posts: &mut Vec<Post>) {
        let attended = locked(&self.attended);
        posts.retain(|post| {
            attended
                .iter()
                .any(|known| Arc::ptr_eq(known, &post.attended))
        });
        for known in attended.iter() {
            let is_known = posts.iter().any(|post| Arc::ptr_eq(known, &post.attended));
            if !is_known && !known.is_cold.load(Ordering::SeqCst) {
                posts.push(Post::new(known));
            }
        }
        let rounds = self.rounds.load(Ordering::Relaxed);
        self.rounds.store(rounds + 1, Ordering::Release); // pairs with `dismiss`, Acquire
    }

    fn sleep(&self, control: u32, posts: &[Post]) {
        let limit = posts.iter().map(Post::left).min().unwrap_or(LONG);
        let (word, bell) = (self.word(), superblock::BELL);
        let slept = match posts {
            // SAFETY: a word of ours.
            [] => Ok(unsafe { os::futex_wait(word, control, limit, os::ANY) }),
            [post] if !self.has_several => {
                let segment = &post.attended.space.segment;
                Ok(wait::sleep(
                    segment,
                    bell,
                    post.bell.unwrap_or_default(),
                    limit,
                ))
            }
            _ => {
                let bells = posts.iter().map(|post| {
                    let segment = &post.attended.space.segment;
                    segment.awaited(bell.0, post.bell.unwrap_or_default())
                });
                let words: Vec<Awaited> = std::iter::once(Awaited::new(word, control))
                    .chain(bells)
                    .collect();
                // SAFETY: the spaces stay open until this thread has left them.
                unsafe { os::futex_wait_any(&words, limit) }
            }
        };
        if slept.is_err() {
            os::pause(PAUSE);
        }
    }
}
