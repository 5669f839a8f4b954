//! A process that stops after every store that changes shared memory.
//!
//! Between two such stores a kill leaves the same image at every instruction. So this finds all
//! images that stepping would find, at a thousandth of the cost; it is used for recoveries, which
//! are long. The segment's pages are readable only: a store faults, its page is opened for that
//! one instruction (the trap flag ends it), and closed again.

use crate::control::{Control, DONE, FAILED, MARKED};
use crate::image::{Place, Watch};
use crate::system::{self, Event};
use crate::tracee::Body;
use courtyard_core::layout::PAGE;
use courtyard_core::segment::Segment;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The trap flag of x86's EFLAGS.
const TRAP: i64 = 1 << 8;
/// Bytes around a store that are compared: any store of one instruction lies in them.
const AROUND: usize = 192;
/// More stores than any recovery makes.
const MOST: u64 = 1_000_000;
const SECONDS: u32 = 120;

struct Guarded {
    base: usize,
    length: usize,
    control: Control,
}

static GUARDED: OnceLock<Guarded> = OnceLock::new();

/// In a child: from now on it stops after every store into the segment.
pub fn arm(segment: &Segment, control: Control) {
    let (base, length) = (segment.address(0), segment.window() as usize);
    let _ = GUARDED.set(Guarded {
        base: base.as_ptr() as usize,
        length,
        control,
    });
    system::on_signal(libc::SIGSEGV, storing);
    system::on_signal(libc::SIGTRAP, stored);
    // SAFETY: the segment's own mapping; whoever writes there faults and is let through.
    unsafe { system::protect(base, length, false) };
}

impl Guarded {
    fn protect(&self, page: u64, writable: bool) {
        let at = self.base + (page * PAGE) as usize;
        let Some(at) = NonNull::new(at as *mut u8) else {
            system::leave(74)
        };
        // SAFETY: a page of the segment's own mapping, a shared and writable file's.
        unsafe { system::protect(at, PAGE as usize, writable) };
    }

    /// The words around an offset in its page.
    fn around(&self, offset: usize) -> (usize, usize) {
        let page = offset / PAGE as usize * PAGE as usize;
        let start = (offset & !63).saturating_sub(64).max(page);
        (start, (start + AROUND).min(page + PAGE as usize))
    }

    fn word(&self, offset: usize) -> u64 {
        let at = (self.base + offset) as *const u64;
        // SAFETY: an aligned word of a mapped page that nobody else writes meanwhile.
        unsafe { at.read_volatile() }
    }
}

fn flags(context: *mut libc::c_void) -> *mut i64 {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the system passes a valid context to a handler with SA_SIGINFO.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    &raw mut registers[libc::REG_EFL as usize]
}

extern "C" fn storing(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a valid `siginfo_t` for SIGSEGV.
    let info = unsafe { &*info };
    // SAFETY: SIGSEGV carries an address.
    let address = unsafe { info.si_addr() } as usize;
    let Some(guarded) = GUARDED.get() else {
        system::leave(72)
    };
    let offset = address.wrapping_sub(guarded.base);
    if offset >= guarded.length {
        system::leave(73);
    }
    let control = guarded.control;
    let page = offset as u64 / PAGE;
    control.open_page(page, offset as u64);
    let (start, end) = guarded.around(offset);
    let words = (start..end).step_by(8).map(|at| guarded.word(at));
    control.save(words);
    guarded.protect(page, true);
    let flags = flags(context);
    // SAFETY: the flags of the context that this handler returns to.
    unsafe { *flags |= TRAP };
}

extern "C" fn stored(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(guarded) = GUARDED.get() else {
        system::leave(72)
    };
    let flags = flags(context);
    // SAFETY: the flags of the context that this handler returns to.
    unsafe { *flags &= !TRAP };
    let control = guarded.control;
    let (pages, offset) = control.close_pages();
    let (start, end) = guarded.around(offset as usize);
    let same = control.is_saved((start..end).step_by(8).map(|at| guarded.word(at)));
    for index in 0..pages {
        guarded.protect(control.opened(index), false);
    }
    if !same || pages > 1 {
        system::stop_here();
    }
}

/// Runs `body` from its mark on, calls `each` after every store. Returns how many there were.
///
/// # Errors
/// What went wrong in the tracee, or what `each` failed with.
pub fn trace(
    control: Control,
    place: &Place,
    body: &Body,
    watch: &mut Watch,
    each: &mut dyn FnMut(u64, &Watch) -> Result<(), String>,
) -> Result<u64, String> {
    control.reset();
    let Some(pid) = system::fork() else {
        system::alarm(SECONDS);
        crate::control::guarded(control, || {
            body(place, &|segment| {
                arm(segment.expect("a segment at the mark"), control);
                control.set_state(MARKED);
                system::stop_here();
            })
        });
        system::stop_here();
        system::leave(0)
    };
    let result = follow(control, pid, watch, each);
    system::kill(pid);
    result
}

fn follow(
    control: Control,
    pid: libc::pid_t,
    watch: &mut Watch,
    each: &mut dyn FnMut(u64, &Watch) -> Result<(), String>,
) -> Result<u64, String> {
    let event = system::wait(pid);
    if event != Event::Stopped(libc::SIGSTOP) || control.state() != MARKED {
        return Err(format!("before the mark: {event:?}: {}", control.message()));
    }
    watch.begin();
    each(0, watch)?;
    let mut stores = 0;
    loop {
        system::go_on(pid);
        let event = system::wait(pid);
        if event != Event::Stopped(libc::SIGSTOP) {
            return Err(format!("store {stores}: {event:?}: {}", control.message()));
        }
        stores += 1;
        match control.state() {
            DONE => break,
            FAILED => return Err(format!("store {stores}: failed: {}", control.message())),
            _ if stores > MOST => return Err("it does not end".into()),
            _ => {}
        }
        if watch.look_at(&control.last_pages()) {
            each(stores, watch)?;
        }
    }
    match watch.missed().as_slice() {
        [] => Ok(stores),
        missed => Err(format!("harness: pages {missed:x?} changed unseen")),
    }
}
