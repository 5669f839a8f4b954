//! Injected faults: make the n-th call of a system call fail with a chosen errno (tests only).

use std::io;

#[cfg(any(test, feature = "faults"))]
mod armed {
    use std::sync::{Mutex, OnceLock};

    pub(super) struct Fault {
        pub call: &'static str,
        pub skip: u32,
        pub errno: i32,
        pub sticky: bool,
    }

    /// Before anything is armed no thread takes the latch: a child forked beside it would find it held.
    pub(super) static ANY: OnceLock<()> = OnceLock::new();
    pub(super) static FAULTS: Mutex<Vec<Fault>> = Mutex::new(Vec::new());
}

/// Makes call number `skip` (from 0) of `call` fail with `errno`, once, or always if `sticky`;
/// beside the faults that are armed already.
#[cfg(any(test, feature = "faults"))]
pub fn arm(call: &'static str, skip: u32, errno: i32, sticky: bool) {
    let _ = armed::ANY.set(());
    armed::FAULTS.lock().unwrap().push(armed::Fault {
        call,
        skip,
        errno,
        sticky,
    });
}

/// Takes all faults back; true if one that fires once has not.
#[cfg(any(test, feature = "faults"))]
pub fn disarm() -> bool {
    let faults = std::mem::take(&mut *armed::FAULTS.lock().unwrap());
    faults.iter().any(|fault| !fault.sticky)
}

/// Called first by each function of the door.
///
/// # Errors
/// The armed fault, where there is one for `call`.
#[inline]
pub(super) fn check(call: &'static str) -> io::Result<()> {
    #[cfg(any(test, feature = "faults"))]
    if armed::ANY.get().is_some() {
        let mut faults = armed::FAULTS.lock().unwrap();
        if let Some(at) = faults.iter().position(|fault| fault.call == call) {
            let fault = &mut faults[at];
            if fault.skip > 0 {
                fault.skip -= 1;
            } else {
                let errno = fault.errno;
                if !fault.sticky {
                    faults.remove(at);
                }
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
    }
    let _ = call;
    Ok(())
}
