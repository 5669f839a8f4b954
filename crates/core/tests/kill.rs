//! Processes that contend and are killed at random instants: nothing acknowledged is lost, nothing
//! is torn or leaked, and those who live go on.
#![allow(clippy::disallowed_methods)] // the killer sleeps

mod stage;

use courtyard_core::error::Error;
use courtyard_core::layout::SLOTS;
use courtyard_core::object::{BYTES, SCALAR, STORED};
use courtyard_core::os::fault;
use courtyard_core::participant::{FREE, State};
use courtyard_core::space::unlimited;
use courtyard_core::sync::{AtomicU64, Ordering};
use courtyard_core::{HOOKS, folder};
use stage::{
    Child, End, Folder, Made, add, alone, attach, census, get, leave, make, me, put, read, spawn,
    take, try_make, write,
};
use std::path::{Path, PathBuf};
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

fn work(space: &courtyard_core::space::Space, made: [Made; 3], oracle: &[AtomicU64; 2]) {
    let [scalar, bytes, stored] = made;
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
    kill_at_random(0);
}

/// As above, while the generations of all slots pass their last.
#[test]
fn killed_while_generations_wrap() {
    let last = kill_at_random(u32::MAX - 10);
    assert!(last < u32::MAX / 2, "slot 1 came to generation {last} only");
}

/// Returns the generation that slot 1 came to.
fn kill_at_random(generation: u32) -> u32 {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    for slot in 1..SLOTS {
        State::write(&space.segment, slot, FREE, generation);
    }
    let made =
        [SCALAR, BYTES, STORED].map(|kind| make(&space, kind, [0, 0, 3000, 0][kind as usize]));
    let oracle = oracle();
    let before = census(&space);
    let start = || spawn(|| work(&space, made, oracle));
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
        let value = get(&space, made[0]);
        assert!(value >= least, "{value} of {least}..{most}");
        if turn % 20 == 0 {
            space.sweep(&unlimited).unwrap();
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
    let value = get(&space, made[0]);
    assert!(
        least > 100 && least <= value && value <= most,
        "{value} of {least}..{most}"
    );
    let after = census(&space);
    assert_eq!(
        (after.objects, after.tickets, after.participants),
        (3, 0, 1)
    );
    put(&space, made[2], b"");
    for one in made {
        leave(&space, one);
    }
    let after = census(&space);
    assert!(after.live_blocks <= before.live_blocks);
    assert_eq!(after.objects, 0);
    State::read(&space.segment, 1).generation
}

/// Makes a space, fills and empties it, and removes it, without end.
fn come_and_go(folder: &Path, drafts: bool, finished: &AtomicU64) {
    if drafts {
        fault::arm("open_unnamed", 0, libc::EOPNOTSUPP, true);
    }
    loop {
        let space = folder::create(folder, HOOKS).unwrap();
        let path = space.segment.path();
        let size = space.segment.size();
        let values: Vec<Made> = (0..6).map(|n| make(&space, BYTES, 200_000 * n)).collect();
        assert!(space.segment.size() > size, "it grew");
        write(&space, values[1], &[7; 200_000]);
        assert!(path.exists(), "a space was removed while its process lives");
        for made in values {
            leave(&space, made);
        }
        let slot = me(&space).me.slot;
        if !folder::remove_if_dead(&path, Some(slot)).unwrap() {
            assert!(path.exists()); // a visitor has it, and removes it in turn, or the cleaner
        }
        space.discard();
        finished.fetch_add(1, Ordering::SeqCst);
    }
}

/// Opens whatever space there is, uses it, and leaves it, as the last one perhaps.
fn visit(folder: &Path, finished: &AtomicU64) {
    loop {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let uuid = u128::from_str_radix(name, 16).unwrap();
            if path.extension().unwrap() == "new" {
                continue; // a draft: nobody opens these
            }
            match folder::attach(&path, uuid, HOOKS) {
                Ok(space) => {
                    leave(&space, make(&space, BYTES, 300_000));
                    let _ = folder::remove_if_dead(&path, Some(me(&space).me.slot));
                    space.discard();
                    finished.fetch_add(1, Ordering::SeqCst);
                }
                Err(Error::NotFound(_)) => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}

/// What is half made, half grown or half removed when its process is killed is gone after the
/// next cleaning, and nobody who lives is disturbed.
#[test]
fn killed_while_spaces_come_and_go() {
    let _alone = alone();
    let folder = Folder::new();
    let path = &folder.0;
    let finished = oracle();
    let start = |number: usize| {
        spawn(move || match number % 4 {
            0 | 1 => come_and_go(path, number % 8 == 1, &finished[0]),
            2 => visit(path, &finished[1]),
            _ => loop {
                folder::clean(path);
            },
        })
    };
    let mut workers: Vec<Child> = (0..4).map(start).collect();
    for turn in 0..2 * KILLS {
        std::thread::sleep(Duration::from_micros(turn as u64 * 7919 % 4000));
        let place = turn * 7 % 4;
        workers[place].kill();
        let next = start(place + turn % 2 * 4);
        let dead = std::mem::replace(&mut workers[place], next);
        assert_eq!(dead.wait(), End::Killed);
    }
    for worker in workers {
        worker.kill();
        assert_eq!(worker.wait(), End::Killed);
    }
    let finished = [0, 1].map(|index: usize| finished[index].load(Ordering::SeqCst));
    assert!(finished.iter().all(|count| *count > 20), "{finished:?}");
    folder::clean(path);
    assert_eq!(folder.files(), [] as [PathBuf; 0]);
}
