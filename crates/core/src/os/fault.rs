//! Injected faults: make the n-th call of a system call fail with a chosen errno (tests only).

use std::io;

#[cfg(any(test, feature = "faults"))]
mod armed {
    use std::sync::Mutex;

    pub(super) struct Fault {
        pub call: &'static str,
        pub skip: u32,
        pub errno: i32,
        pub sticky: bool,
    }

    pub(super) static FAULT: Mutex<Option<Fault>> = Mutex::new(None);
}

/// Makes call number `skip` (from 0) of `call` fail with `errno`, once, or always if `sticky`.
#[cfg(any(test, feature = "faults"))]
pub fn arm(call: &'static str, skip: u32, errno: i32, sticky: bool) {
    *armed::FAULT.lock().unwrap() = Some(armed::Fault {
        call,
        skip,
        errno,
        sticky,
    });
}

/// Takes the fault back; true if it was still waiting to fire.
#[cfg(any(test, feature = "faults"))]
pub fn disarm() -> bool {
    armed::FAULT.lock().unwrap().take().is_some()
}

/// Called first by each function of the door.
///
/// # Errors
/// The armed fault, where there is one for `call`.
#[inline]
pub(super) fn check(call: &'static str) -> io::Result<()> {
    #[cfg(any(test, feature = "faults"))]
    {
        let mut slot = armed::FAULT.lock().unwrap();
        if let Some(fault) = slot.as_mut().filter(|fault| fault.call == call) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else {
                let errno = fault.errno;
                if !fault.sticky {
                    *slot = None;
                }
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
    }
    let _ = call;
    Ok(())
}
