//! A barrier in all processes at once (membarrier(2), Linux 4.16): who is rare pays for who is often.

use super::call::checked;
use crate::os::fault;
use std::io;

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn membarrier(command: libc::c_int) -> io::Result<()> {
    fault::check("membarrier")?;
    // SAFETY: plain integers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0 as libc::c_int, 0) };
    checked(result as libc::c_int).map(drop)
}

/// Has this process, and its children to come, take part in the barriers of others.
pub fn enlist() -> io::Result<()> {
    membarrier(REGISTER_GLOBAL_EXPEDITED)
}

/// Makes each thread that runs in a process that takes part, and this one, pass a full barrier.
pub fn barrier() -> io::Result<()> {
    membarrier(GLOBAL_EXPEDITED)
}
