//! Free memory goes back to the system and is reserved before it is used again, whoever dies over it.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::inside::crash::POINTS;
use courtyard_core::inside::reading::Reading;
use courtyard_core::layout::{UNIT, superblock};
use courtyard_core::object::BYTES;
use courtyard_core::os::{self, fault};
use courtyard_core::pending_block::PendingBlock;
#[cfg(feature = "seeded-bugs")]
use courtyard_core::seed;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use stage::{
    Folder, Made, alone, attach, caller, census, crashes, leave, make, me, read, try_make, write,
};

const MIB: u64 = 1 << 20;
const LARGE: u64 = 4 * MIB;

fn word(space: &Space, word: u64) -> u64 {
    space.segment.word(word).load(Ordering::Relaxed)
}

fn taken(space: &Space) -> u64 {
    let file = space.segment.file().unwrap();
    os::status_of(&file).unwrap().allocated
}

fn trim(space: &Space) -> u64 {
    space.trim(&unlimited).unwrap()
}

/// Units of the heap that have to have their pages.
fn resident(space: &Space) -> u64 {
    space.segment.units() - word(space, superblock::GIVEN)
}

/// What the file takes beside the heap.
fn fixed(space: &Space) -> u64 {
    taken(space) - resident(space) * UNIT
}

/// Each unit that may be taken as it is has its pages; each other has none, unless somebody was at it.
fn has_its_pages(space: &Space, fixed: u64, at: &str) {
    let (expected, taken) = (fixed + resident(space) * UNIT, taken(space));
    assert!(taken >= expected, "{at}: pages are missing");
    if word(space, superblock::GIVING) == 0 {
        assert_eq!(
            taken, expected,
            "{at}: pages are there that were given back"
        );
    }
}

/// A space in which somebody registered who died, so that who comes takes no more pages.
fn space(folder: &Folder) -> Space {
    let space = folder.space();
    assert!(crashes("journal.cleared", 0, || {
        let newcomer = attach(&space);
        leave(&newcomer, make(&newcomer, BYTES, 1000));
    }));
    census(&space);
    space
}

fn fill(space: &Space, made: Made, byte: u8) {
    write(space, made, &vec![byte; LARGE as usize]);
}

#[test]
fn goes_back_and_comes_again() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let start = taken(&space);
    let fixed = fixed(&space);
    for turn in 1..4 {
        let made: Vec<Made> = (0..20).map(|_| make(&space, BYTES, LARGE)).collect();
        for made in &made {
            fill(&space, *made, turn);
        }
        let peak = taken(&space);
        assert!(peak > 80 * MIB);
        for made in made {
            assert!(read(&space, made, 100).iter().all(|&byte| byte == turn));
            leave(&space, made);
        }
        // By those who freed it, but for a part.
        let left = taken(&space) - start;
        assert!(left <= peak / 10, "{left} of {peak} bytes stay");
        has_its_pages(&space, fixed, "after the last");
        census(&space);
        let given = trim(&space);
        assert!(given > 0 && given <= left + MIB, "{given} of {left}");
        assert_eq!(trim(&space), 0);
        has_its_pages(&space, fixed, "after trim");
        assert!(taken(&space) < start);
        census(&space);
    }
    space.discard();
}

/// One that is put and taken again and again is not given back each time.
#[test]
fn what_is_used_again_at_once_stays() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    for _ in 0..3 {
        leave(&space, make(&space, BYTES, LARGE));
    }
    let (missed, given) = (
        word(&space, superblock::MISSED_AT),
        word(&space, superblock::GIVEN),
    );
    assert!(missed > 0);
    for _ in 0..100 {
        leave(&space, make(&space, BYTES, LARGE));
    }
    let now = word(&space, superblock::GIVEN);
    let again = word(&space, superblock::MISSED_AT);
    // More than a second may have passed beside other load; then once again.
    assert!(again == missed && now == given || again >= missed + 1000);
    space.discard();
}

/// What grew in advance goes back, too, once the space has shrunk.
#[test]
fn beyond_the_frontier() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let start = taken(&space);
    let made: Vec<Made> = (0..100).map(|_| make(&space, BYTES, LARGE)).collect();
    let beyond = space.segment.units() - word(&space, superblock::FRONTIER);
    assert!(beyond * UNIT > 16 * MIB);
    for made in made {
        leave(&space, made);
    }
    assert!(taken(&space) < start + 16 * MIB);
    trim(&space);
    assert!(taken(&space) <= start + MIB); // the bitmaps of what is new stay
    let made = make(&space, BYTES, 500 * MIB); // in what is free, and what is new
    leave(&space, made);
    census(&space);
    space.discard();
}

#[test]
fn small_blocks_too() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let start = taken(&space);
    let made: Vec<Made> = (0..60_000).map(|_| make(&space, BYTES, 400)).collect();
    assert!(taken(&space) > start + 25 * MIB);
    for made in made {
        leave(&space, made);
    }
    let left = taken(&space) - start;
    // The tables of objects stay: 40 bytes for each, and the rows of memberships.
    assert!(left < 10 * MIB, "{left} bytes stay");
    census(&space);
    space.discard();
}

/// Nobody's memory goes away while somebody may read there: it goes later.
#[test]
fn not_while_somebody_reads() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let other = attach(&space);
    me(&other);
    let made = make(&space, BYTES, 10 * LARGE);
    let reading = Reading::new(&other.segment);
    let before = taken(&space);
    leave(&space, made);
    assert_eq!(trim(&space), 0);
    assert_eq!(taken(&space), before);
    assert_ne!(word(&space, superblock::GIVING), 0);
    let alone = Reading::alone(&space.segment);
    drop(reading);
    assert_eq!(trim(&space), 0);
    drop(alone);
    assert!(trim(&space) > 9 * LARGE);
    assert!(taken(&space) < before - 9 * LARGE);
    census(&space);
    other.discard();
    space.discard();
}

/// A reader that was killed while it read is in nobody's way.
#[test]
fn the_dead_read_nothing() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let made = make(&space, BYTES, LARGE);
    assert!(crashes("object.stored", 0, || {
        let newcomer = attach(&space);
        me(&newcomer);
        std::mem::forget(Reading::new(&newcomer.segment));
        os::die();
    }));
    leave(&space, made);
    assert!(trim(&space) > 0);
    assert_eq!(word(&space, superblock::GIVING), 0);
    space.discard();
}

/// Where memory to come is full, taking is refused, and nothing has changed.
#[test]
fn a_full_file_system() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    let fixed = fixed(&space);
    leave(&space, make(&space, BYTES, 10 * LARGE));
    trim(&space);
    let (units, given) = (space.segment.units(), word(&space, superblock::GIVEN));
    for skip in 0..6 {
        for errno in [libc::ENOSPC, libc::ENOMEM, libc::EDQUOT] {
            fault::arm("fallocate", skip, errno, true);
            let made = try_make(&space, BYTES, 9 * LARGE);
            fault::disarm();
            match made {
                Err(Error::Full(_)) => {}
                Err(error) => panic!("{error}"),
                Ok(made) => leave(&space, made),
            }
            has_its_pages(&space, fixed, &format!("after {skip} allocations"));
            census(&space);
            trim(&space);
            assert_eq!(space.segment.units(), units);
            assert_eq!(word(&space, superblock::GIVEN), given);
        }
    }
    let made = make(&space, BYTES, 9 * LARGE);
    leave(&space, made);
    census(&space);
    space.discard();
}

/// A file system without holes: it is found once, and nothing is lost.
#[test]
fn a_file_system_without_holes() {
    let _alone = alone();
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM] {
        let folder = Folder::new();
        let space = space(&folder);
        let fixed = fixed(&space);
        fault::arm("punch", 0, errno, true);
        leave(&space, make(&space, BYTES, 10 * LARGE));
        assert_eq!(trim(&space), 0);
        assert_eq!(word(&space, superblock::GIVEN), 0);
        has_its_pages(&space, fixed, "nothing is given back");
        leave(&space, make(&space, BYTES, 10 * LARGE));
        fault::disarm();
        census(&space);
        space.discard();
    }
}

/// Where the system has no barrier for all, nothing goes back.
#[test]
fn without_barriers() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    fault::arm("membarrier", 0, libc::ENOSYS, true);
    leave(&space, make(&space, BYTES, 10 * LARGE));
    let before = taken(&space);
    assert_eq!(trim(&space), 0);
    assert_eq!(taken(&space), before);
    leave(&space, make(&space, BYTES, 10 * LARGE));
    fault::disarm();
    assert!(trim(&space) > 0);
    census(&space);
    space.discard();
}

/// Kills `body` at each point, the 0th time it comes there, the 1st, and so on.
fn die_everywhere(space: &Space, before: impl Fn(), body: impl Fn(&Space)) -> u32 {
    let mut deaths = 0;
    before();
    let expected = fixed(space);
    for &point in POINTS {
        for skip in 0.. {
            before();
            let died = crashes(point, skip, || {
                let newcomer = attach(space);
                body(&newcomer);
            });
            let at = format!("{point} {skip}");
            // Where a record is applied in part, it is not known yet whether a step is under way.
            assert!(
                taken(space) >= expected + resident(space) * UNIT,
                "{at}: pages are missing"
            );
            census(space);
            has_its_pages(space, expected, &at);
            // What the dead one was at is finished by the next, and all can be used.
            trim(space);
            assert_eq!(word(space, superblock::GIVING), 0, "{at}");
            has_its_pages(space, expected, &at);
            let made = make(space, BYTES, LARGE);
            fill(space, made, 7);
            leave(space, made);
            census(space);
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    deaths
}

fn dies_over_giving_back() {
    let folder = Folder::new();
    let space = space(&folder);
    let made = make(&space, BYTES, 2 * LARGE);
    leave(&space, made);
    let deaths = die_everywhere(
        &space,
        || {
            trim(&space);
        },
        |newcomer| {
            leave(newcomer, make(newcomer, BYTES, LARGE));
            trim(newcomer);
        },
    );
    assert!(deaths > 50, "{deaths} deaths");
    space.discard();
}

#[test]
fn who_gives_back_dies() {
    let _alone = alone();
    dies_over_giving_back();
}

/// What it takes begins in the free run at the end, and ends where nobody was before.
#[test]
fn who_takes_the_last_run_and_more_dies() {
    let _alone = alone();
    let folder = Folder::new();
    let space = space(&folder);
    leave(&space, make(&space, BYTES, LARGE));
    let deaths = die_everywhere(
        &space,
        || {
            trim(&space);
        },
        |newcomer| {
            let frontier = word(newcomer, superblock::FRONTIER);
            let bytes = (frontier - 16) * UNIT; // and its head: one unit more than there are behind 16
            let taken = PendingBlock::allocate(caller(newcomer), bytes, 0);
            assert!(word(newcomer, superblock::FRONTIER) > frontier);
            drop(taken);
        },
    );
    assert!(deaths > 20, "{deaths} deaths");
    space.discard();
}

#[cfg(feature = "seeded-bugs")]
#[test]
#[should_panic(expected = "pages are missing")]
fn catches_pages_given_back_before_the_marks() {
    let _alone = alone();
    let _seeded = seed::seed(seed::Bug::PunchedFirst);
    dies_over_giving_back();
}

#[cfg(feature = "seeded-bugs")]
#[test]
#[should_panic(expected = "pages are missing")]
fn catches_marks_cleared_before_the_pages_are_there() {
    let _alone = alone();
    let _seeded = seed::seed(seed::Bug::UnmarkedFirst);
    dies_over_giving_back();
}

#[cfg(feature = "seeded-bugs")]
#[test]
#[should_panic(expected = "pages are there that were given back")]
fn catches_a_step_that_is_not_written_down() {
    let _alone = alone();
    let _seeded = seed::seed(seed::Bug::GivingForgotten);
    dies_over_giving_back();
}
