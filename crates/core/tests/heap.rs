//! The heap against a model: blocks never overlap, keep what is in them, and all come back.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::heap;
use courtyard_core::layout::{CLASSES, UNIT, block, superblock};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::sync::Ordering;
use proptest::collection::vec;
use proptest::prelude::*;
use stage::{Folder, alone, caller, census};

#[derive(Clone, Debug)]
enum Step {
    Allocate(u64),
    Free(usize),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let small = (0..CLASSES.len()).prop_map(|class| CLASSES[class] - block::SMALL);
    let length = prop_oneof![
        4 => small.clone(),
        2 => small.prop_map(|length| length + 1),
        2 => 0u64..2000,
        2 => 0u64..200_000,
        1 => (1u64..40).prop_map(|units| units * UNIT - block::LARGE),
    ];
    prop_oneof![
        6 => length.prop_map(Step::Allocate),
        5 => any::<usize>().prop_map(Step::Free),
        1 => Just(Step::Sweep),
    ]
}

/// A block of the model: where its payload is, how many words, and what they all are.
struct Held<'a> {
    pending: PendingBlock<'a>,
    at: u64,
    words: u64,
    mark: u64,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn blocks_are_apart_and_come_back(steps in vec(step(), 1..150)) {
        let _alone = alone();
        let folder = Folder::new();
        let space = folder.space();
        let empty = census(&space);
        let mut held: Vec<Held> = Vec::new();
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Allocate(length) if held.len() < 60 => {
                    let pending = PendingBlock::allocate(caller(&space), length, 16);
                    let pending = pending.unwrap();
                    let (at, words) = (pending.payload(), length / 8);
                    prop_assert_eq!(heap::block_of(&space.segment, at).unwrap(), pending.block());
                    let mark = turn as u64 + 1;
                    for word in 0..words {
                        space.segment.word(at + word * 8).store(mark, Ordering::Relaxed);
                    }
                    held.push(Held { pending, at, words, mark });
                }
                Step::Free(which) if !held.is_empty() => {
                    let gone = held.swap_remove(which % held.len());
                    for word in 0..gone.words {
                        let now = space.segment.word(gone.at + word * 8).load(Ordering::Relaxed);
                        prop_assert_eq!(now, gone.mark);
                    }
                    drop(gone.pending);
                }
                Step::Sweep => {
                    let now = census(&space);
                    let magazines = now.idle_blocks - held.len() as u64;
                    prop_assert!(magazines <= 8 * CLASSES.len() as u64);
                }
                _ => {}
            }
        }
        for one in &held {
            for word in 0..one.words {
                let now = space.segment.word(one.at + word * 8).load(Ordering::Relaxed);
                prop_assert_eq!(now, one.mark);
            }
        }
        drop(held);
        let now = census(&space);
        prop_assert_eq!((now.used, now.live_blocks), (empty.used, empty.live_blocks));
        // The hint is never above a free run.
        let hint = space.segment.word(superblock::FIRST_FREE).load(Ordering::Relaxed);
        prop_assert!(hint <= space.segment.word(superblock::FRONTIER).load(Ordering::Relaxed));
        space.discard();
    }
}

#[test]
fn what_is_freed_twice_is_corrupt() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    for length in [100, 50_000] {
        let made = PendingBlock::allocate(caller(&space), length, 16).unwrap();
        let (word, block) = (made.word(), made.block());
        drop(made);
        let release = |block: u64| {
            caller(&space).run(|operation| {
                operation.lock(superblock::HEAP_LOCK)?;
                heap::release(operation, block)?;
                operation.write(word, 0);
                operation.commit();
                Ok(())
            })
        };
        if length > 40_000 {
            assert!(release(block).is_err());
            let size = caller(&space).run(|operation| heap::size(operation, block));
            assert!(matches!(size, Err(Error::Corrupt(_))), "{size:?}");
        }
        for wrong in [
            block + 8,
            block + 64 + 16,
            8,
            space.segment.size(),
            u64::MAX - 7,
        ] {
            assert!(release(wrong).is_err(), "{wrong:#x}");
        }
    }
    census(&space);
}
