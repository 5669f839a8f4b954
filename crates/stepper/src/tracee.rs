//! The process that is killed: stepped from a mark to the end of what it does.

use crate::control::{self, Control, DONE, FAILED, MARKED};
use crate::image::{Hot, Place, Watch};
use crate::system::{self, Event};
use courtyard_core::layout::PAGE;
use courtyard_core::segment::Segment;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Called by a body when the part that matters begins; with the segment if it is mapped by then.
pub type Mark<'m> = &'m dyn Fn(Option<&Segment>);

/// What a tracee does: some preparation, the mark, the operation.
pub type Body = dyn Fn(&Place, Mark) -> Result<(), String>;

/// More instructions than any operation has.
const MOST_STEPS: u64 = 20_000_000;
/// A tracee that still runs after that hangs.
const SECONDS: u32 = 300;

struct Dry {
    base: usize,
    length: usize,
    control: Control,
}

// SAFETY: only ever used by the one thread of a child.
unsafe impl Send for Dry {}
// SAFETY: as above.
unsafe impl Sync for Dry {}

static DRY: OnceLock<Dry> = OnceLock::new();

/// Notes which page is written for the first time, and lets that happen.
extern "C" fn note_page(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the system passes a valid `siginfo_t` for SIGSEGV.
    let info = unsafe { &*info };
    // SAFETY: SIGSEGV carries an address.
    let address = unsafe { info.si_addr() } as usize;
    let Some(dry) = DRY.get() else {
        system::leave(72)
    };
    if !(dry.base..dry.base + dry.length).contains(&address) {
        system::leave(73);
    }
    let page = (address - dry.base) / PAGE as usize;
    dry.control.add_page(page as u64);
    let at = dry.base + page * PAGE as usize;
    let Some(at) = NonNull::new(at as *mut u8) else {
        system::leave(74)
    };
    // SAFETY: a page of the segment's own mapping, which is a shared and writable file's.
    unsafe { system::protect(at, PAGE as usize, true) };
}

/// Runs `body` once at full speed, to learn which pages it writes after its mark.
///
/// # Errors
/// What it failed with.
pub fn rehearse(control: Control, place: &Place, body: &Body) -> Result<Option<Vec<u64>>, String> {
    control.reset();
    let Some(pid) = system::fork() else {
        system::alarm(SECONDS);
        control::guarded(control, || {
            body(place, &|segment| {
                if let Some(segment) = segment {
                    let (base, length) = (segment.address(0), segment.window() as usize);
                    let _ = DRY.set(Dry {
                        base: base.as_ptr() as usize,
                        length,
                        control,
                    });
                    system::on_signal(libc::SIGSEGV, note_page);
                    // SAFETY: the segment's own mapping; writes to it fault once a page.
                    unsafe { system::protect(base, length, false) };
                    control.set_state(MARKED);
                }
            })
        });
        system::leave(0)
    };
    let event = system::wait(pid);
    if event != Event::Exited(0) || control.state() != DONE {
        return Err(format!("rehearsal: {event:?}: {}", control.message()));
    }
    let mut pages = control.pages();
    pages.sort_unstable();
    Ok((!pages.is_empty()).then_some(pages))
}

/// Steps `body` from its mark on and calls `each` with every changed image, the first one
/// included. Returns the number of instructions.
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
        system::allow_tracing();
        control::guarded(control, || {
            body(place, &|_| {
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
    let event = loop {
        match system::wait(pid) {
            // What the preparation does with children of its own.
            Event::Stopped(signal) if signal != libc::SIGSTOP => {
                system::pass(pid, signal).map_err(|error| error.to_string())?;
            }
            event => break event,
        }
    };
    if event != Event::Stopped(libc::SIGSTOP) || control.state() != MARKED {
        return Err(format!("before the mark: {event:?}: {}", control.message()));
    }
    watch.begin();
    each(0, watch)?;
    let mut steps = 0;
    loop {
        system::step(pid).map_err(|error| format!("step {steps}: {error}"))?;
        let event = system::wait(pid);
        steps += 1;
        match event {
            Event::Stopped(libc::SIGTRAP) => {}
            _ => return Err(format!("step {steps}: {event:?}: {}", control.message())),
        }
        if watch.look() {
            each(steps, watch)?;
        }
        match control.state() {
            DONE => break,
            FAILED => return Err(format!("step {steps}: failed: {}", control.message())),
            _ if steps > MOST_STEPS => return Err("it does not end".into()),
            _ => {}
        }
    }
    match watch.missed().as_slice() {
        [] => Ok(steps),
        missed => Err(format!("harness: pages {missed:x?} changed unseen")),
    }
}

/// The pages to watch while `body` runs.
///
/// # Errors
/// As `rehearse`.
pub fn hot_pages(control: Control, place: &Place, body: &Body, slots: u64) -> Result<Hot, String> {
    Ok(match rehearse(control, place, body)? {
        Some(pages) => Hot::Only(pages),
        None => Hot::Wide { slots },
    })
}
