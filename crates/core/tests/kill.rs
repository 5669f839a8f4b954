//! Processes that contend and are killed at random instants: nothing acknowledged is lost, nothing
//! is torn or leaked, and those who live go on.
#![allow(clippy::disallowed_methods)] // the killer sleeps

mod stage;

use courtyard_core::cell::{BYTES, SCALAR, STORED};
use courtyard_core::sync::{AtomicU64, Ordering};
use stage::{
    Child, End, Folder, Made, add, alone, attach, census, get, leave, make, put, read, spawn, take,
    try_make, write,
};
use std::time::{Duration, Instant};

const WORKERS: usize = 4;
const KILLS: usize = 150;

/// Words outside the space, seen by parent and children: what each worker began and finished.
fn oracle() -> &'static [AtomicU64; 2] {
    let (access, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // SAFETY: zeroed, aligned, and never unmapped.
    unsafe { &*page.cast() }
}

fn work(space: &courtyard_core::space::Space, cells: [Made; 3], oracle: &[AtomicU64; 2]) {
    let [scalar, bytes, stored] = cells;
    let space = attach(space);
    let mut turn = u64::from(std::process::id());
    loop {
        turn = turn
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let fill = (turn >> 40) as u8;
        match turn >> 33 & 7 {
            0 => write(&space, bytes, &[fill; 200]),
            1 => write(&space, bytes, &[fill; 3000]),
            2 => put(&space, stored, &vec![fill; (turn >> 48) as usize % 60_000]),
            3 => {
                let value = take(&space, stored);
                assert!(value.iter().all(|byte| *byte == value[0]));
            }
            4 => {
                let value = read(&space, bytes, 200);
                assert!(value.iter().all(|byte| *byte == value[0]));
            }
            5 => {
                let made = try_make(&space, BYTES, (turn >> 48) % 40_000).unwrap();
                leave(&space, made);
            }
            _ => {
                oracle[0].fetch_add(1, Ordering::SeqCst);
                add(&space, scalar, 1);
                oracle[1].fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn killed_at_random() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let cells =
        [SCALAR, BYTES, STORED].map(|kind| make(&space, kind, [0, 0, 3000, 0][kind as usize]));
    let oracle = oracle();
    let before = census(&space);
    let start = || spawn(|| work(&space, cells, oracle));
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| start()).collect();
    let clock = Instant::now();
    for turn in 0..KILLS {
        // Most die at work, some while they open the space.
        std::thread::sleep(Duration::from_micros(turn as u64 * 7919 % 6000));
        let victim = workers.remove(turn % WORKERS);
        victim.kill();
        assert_eq!(victim.wait(), End::Killed);
        workers.push(start());
        let (least, most) = (
            oracle[1].load(Ordering::SeqCst),
            oracle[0].load(Ordering::SeqCst),
        );
        let value = get(&space, cells[0]);
        assert!(value >= least, "{value} of {least}..{most}");
        if turn % 20 == 0 {
            space.sweep(&mut courtyard_core::space::patient).unwrap();
        }
    }
    assert!(clock.elapsed() < Duration::from_secs(25));
    for worker in workers {
        worker.kill();
        worker.wait();
    }
    let (least, most) = (
        oracle[1].load(Ordering::SeqCst),
        oracle[0].load(Ordering::SeqCst),
    );
    let value = get(&space, cells[0]);
    assert!(
        least > 100 && least <= value && value <= most,
        "{value} of {least}..{most}"
    );
    let after = census(&space);
    assert_eq!(
        (after.objects, after.tickets, after.participants),
        (3, 0, 1)
    );
    put(&space, cells[2], b"");
    for made in cells {
        leave(&space, made);
    }
    let after = census(&space);
    assert!(after.live_blocks <= before.live_blocks);
    assert_eq!(after.objects, 0);
}
