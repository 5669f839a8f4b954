//! Each seeded bug is caught: by this harness, for the reason named, or by a model under loom.

use courtyard_core::seed::Bug;
use std::collections::BTreeSet;
use std::process::Command;

/// What catches a bug.
enum Caught {
    /// The kills at every instruction of an operation, or of what recovers it, with this violation.
    Stepped(&'static str, &'static str),
    /// A model's test, or one that kills at named points, which seeds the bug and expects the model to
    /// fail: its file, its name.
    Modelled(&'static str, &'static str),
}

const JOURNAL: &str = include_str!("../../core/tests/loom/journal.rs");
const LOCK: &str = include_str!("../../core/tests/loom/lock.rs");
const PARTICIPANT: &str = include_str!("../../core/tests/loom/participant.rs");
const ASKING: &str = include_str!("../../core/tests/asking.rs");
const LOOKOUT: &str = include_str!("../../core/tests/loom/lookout.rs");
const WAIT: &str = include_str!("../../core/tests/loom/wait.rs");
const PIN: &str = include_str!("../../core/tests/loom/pin.rs");
const MAILBOX: &str = include_str!("../../core/tests/loom/mailbox.rs");
const REGISTRATION: &str = include_str!("../../core/tests/loom/registration.rs");
const QUEUE: &str = include_str!("../../core/tests/loom/queue.rs");
const LIST: &str = include_str!("../../core/tests/loom/list.rs");
const HOLE: &str = include_str!("../../core/tests/hole.rs");
const READING: &str = include_str!("../../core/tests/loom/reading.rs");
const HEAP: &str = include_str!("../../core/tests/loom/heap.rs");
const NAME: &str = include_str!("../../core/tests/loom/name.rs");
const LOAN: &str = include_str!("../../core/tests/loom/loan.rs");

fn caught(bug: Bug) -> Caught {
    use Caught::{Modelled, Stepped};
    match bug {
        Bug::ReserveIgnored => Stepped(
            "clear a queue in a full space by the reserve",
            "to clear: Full",
        ),
        Bug::NameBeforeWriting => Modelled(NAME, "catches_a_name_before_it_is_said_to_be_written"),
        Bug::CommitBeforeEntries => Stepped("send", "check: a reference names object"),
        Bug::OddBeforeCommit => Stepped("store small over small", "the sequence is odd"),
        Bug::ClearBeforeApply => Stepped("send", "Before, although it was After"),
        Bug::SequenceLeftOut => Modelled(JOURNAL, "catches_a_record_without_a_sequence"),
        Bug::SequenceNotReplayed => Stepped("store small over small", "the sequence is odd"),
        Bug::UncommittedReplayed => Stepped("send", "check: a reference names object"),
        Bug::RecordsUncounted => Modelled(JOURNAL, "catches_records_that_are_not_counted"),
        Bug::WakesAfterCommit => Stepped("write bytes, short, watched", "nobody was woken"),
        Bug::WakesClearedBeforeWake => Stepped("change a scalar, watched", "nobody was woken"),
        Bug::WakeBeforeStore => Modelled(WAIT, "catches_a_bump_before_the_change"),
        Bug::MailBeforeTold => Modelled(MAILBOX, "catches_mail_taken_before_the_next_is_told"),
        Bug::BellBeforeRegistered => {
            Modelled(REGISTRATION, "catches_a_bell_before_the_registration")
        }
        Bug::UnlockBeforeClear => Modelled(JOURNAL, "catches_an_unlock_before_the_record_is_clear"),
        Bug::MagazineLeftOut => Stepped("allocate small, from the magazine", "belongs to nobody"),
        Bug::ChainAfterCommit => Stepped("store many", "could not be replayed"),
        Bug::EntryLinkedFirst => Stepped(
            "insert short bytes into a table",
            "part of an object and also free",
        ),
        Bug::ContentsBeforeLink => Stepped(
            "insert a block under a very long key",
            "in a magazine and also in a magazine",
        ),
        Bug::StampedLater => Stepped(
            "move a key of a table to an end, Last, the first",
            "First is",
        ),
        Bug::NotedAsOrder => Stepped("replace a word, watched", "the watcher knows of"),
        Bug::SumReplaced => Stepped("add to a new key twice at once", "expected"),
        Bug::LeftNotCounted => Stepped("clear a table", "belongs to nobody"),
        Bug::CountedFirst => Stepped("push short bytes, last", "belongs to nobody"),
        Bug::BatchKept => Stepped("extend, last", "part of an object and also"),
        Bug::SplicedInTwo => Stepped("splice, take short bytes out", "expected"),
        Bug::GoneNotCounted => Stepped("delete every other", "belongs to nobody"),
        Bug::MostBeforeLock => Modelled(LIST, "catches_a_bound_read_before_the_lock"),
        Bug::BoundInTwo => Stepped("bound, and words go", "at most Some(2), and there are"),
        Bug::CopiedBeforeLock => Modelled(LIST, "catches_elements_copied_without_the_lock"),
        Bug::CountedInTwo => Stepped("keep an object", "references, 1 were found"),
        Bug::LinkDroppedInTwo => Stepped(
            "remove what keeps an object that another holds",
            "references, 1 were found",
        ),
        Bug::GenerationBeforeReplay => Stepped("store small over small", "recovery"),
        Bug::WakesNotRepeated => Stepped("change a scalar, watched", "nobody was woken"),
        Bug::AskedForGood => Modelled(ASKING, "catches_a_turn_to_ask_that_is_never_over"),
        Bug::TurnKept => Modelled(LOOKOUT, "catches_a_turn_that_is_never_over"),
        Bug::ReapBlindly => Modelled(PARTICIPANT, "catches_a_reaper_that_does_not_look_again"),
        Bug::ClaimBlindly => Modelled(PARTICIPANT, "catches_a_newcomer_that_does_not_look_again"),
        Bug::PublishBeforeZero => Stepped(
            "register in a slot of any content",
            "part of an object and also",
        ),
        Bug::ReleaseInTwo => Modelled(LOCK, "catches_a_flag_set_between_look_and_store"),
        Bug::KeptWithoutWake => Modelled(LOCK, "catches_a_lock_kept_for_who_is_not_woken"),
        Bug::KeptForAnybody => Modelled(LOCK, "catches_a_kept_lock_that_anybody_takes"),
        Bug::TurnedLate => Modelled(LOCK, "catches_a_batch_that_is_joined_while_it_is_served"),
        Bug::JoinedAnyway => Modelled(LOCK, "catches_a_member_that_is_not_counted"),
        Bug::LeftAsleep => Modelled(LOCK, "catches_a_waiter_that_gives_up_and_wakes_nobody"),
        Bug::BatchForgotten => Modelled(LOCK, "catches_a_batch_that_is_forgotten"),
        Bug::ClearAfterWake => Modelled(WAIT, "catches_flags_cleared_after_the_wake"),
        Bug::BitmapWithoutLock => Modelled(HEAP, "catches_a_bitmap_without_its_lock"),
        Bug::ChunkInTwo => Stepped("allocate large, chunks given back", "chunk"),
        Bug::TailInTwo => Stepped(
            "allocate large, the last free run and more",
            "are in use, counted",
        ),
        Bug::RefillInTwo => Stepped("allocate small, refill", "free, counted"),
        Bug::TakenUnreserved => Stepped("allocate large, reserved", "could not be replayed"),
        Bug::UnmarkedFirst => Modelled(HOLE, "catches_marks_cleared_before_the_pages_are_there"),
        Bug::PunchedFirst => Modelled(HOLE, "catches_pages_given_back_before_the_marks"),
        Bug::GivingForgotten => Modelled(HOLE, "catches_a_step_that_is_not_written_down"),
        Bug::ReadersIgnored => Modelled(READING, "catches_readers_that_nobody_asks_after"),
        Bug::ReadWithoutFence => Modelled(READING, "catches_a_reader_without_a_fence"),
        Bug::PinsIgnored => Stepped(
            "store small over large, pinned by another",
            "the pinned block was freed",
        ),
        Bug::MoveUncounted => Modelled(PIN, "catches_a_move_that_is_not_counted"),
        Bug::PinWithoutFence => Modelled(PIN, "catches_a_pin_without_a_fence"),
        Bug::UnpinWithoutLook => Modelled(PIN, "catches_an_unpin_that_does_not_look"),
        Bug::RetiredNotSwept => Stepped("store small over large", "figures"),
        Bug::DrainInTwo => Stepped("allocate small, from the magazine", "recovery"),
        Bug::TicketInTwo => Stepped("expire a ticket", "has 2 references, 1 were found"),
        Bug::NameInTwo => Stepped("name an object", "is a name and also"),
        Bug::BucketInTwo => Stepped(
            "name an object, dividing a bucket",
            "where nobody looks for it",
        ),
        Bug::ExchangeInTwo => Stepped("store small over small", "part of an object and also"),
        Bug::OwnerAfterUnlock => Stepped("exit get_lock()", "its owner word names a holder"),
        Bug::SizeBeforeAllocate => Stepped("allocate large, growing the heap", "but the file has"),
        Bug::LinkBeforeRegister => Stepped("create a space", "nobody is registered"),
        Bug::TailBeforeRecord => Modelled(QUEUE, "catches_a_tail_before_its_record"),
        Bug::GetWithoutLock => Modelled(QUEUE, "catches_an_item_taken_without_the_lock"),
        Bug::GetInTwo => Stepped("get an item", "open"),
        Bug::BackInTwo => Stepped("put an item back", "open"),
        Bug::BytesOutOfStep => Stepped("count an item put", "a queue counts"),
        Bug::ClearInTwo => Stepped("clear a queue", "open"),
        Bug::LeaseInTwo => Stepped("lease an item", "belongs to nobody"),
        Bug::RequeueInTwo => Stepped("requeue an item", "belongs to nobody"),
        Bug::MoveInTwo => Stepped("move an item to another queue", "belongs to nobody"),
        Bug::SplitLeftOut => Stepped("requeue an item among others, 250", "expected"),
        Bug::PermitInTwo => Stepped("acquire a semaphore", "expected 2 or 2"),
        Bug::NotificationInTwo => Stepped("take a notification", "expected (1, 1) or (1, 1)"),
        Bug::NotificationForgotten => Stepped("take a notification", "expected (1, 1) or (1, 1)"),
        Bug::JoinInTwo => Stepped("join a barrier", "expected (0, 0) or (4, 0)"),
        Bug::LeaveInTwo => Stepped("leave a barrier", "expected (0, 0) or (0, 0)"),
        Bug::AbsentNotMissed => Stepped("join a barrier again", "expected (0, true) or (4, false)"),
        Bug::PartyNotMissed => Stepped("join a barrier as the last", "expected (0, 0) or (4, 0)"),
        Bug::HeldForNobody => Modelled(LOAN, "catches_what_is_held_for_nobody"),
        Bug::RepaidUnasked => Modelled(LOAN, "catches_a_loan_repaid_unasked"),
    }
}

/// Seconds for recoveries, where it takes these to catch a bug.
const SECONDS: &str = "10";

fn stepper(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stepper"))
        .args(arguments)
        .output()
        .expect("the harness runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text + &errors)
}

/// The lines that tell of violations are set off from the others.
fn violations(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("    "))
}

fn catch_every_other(from: usize) {
    let stepped = |&bug: &Bug| match caught(bug) {
        Caught::Stepped(operation, violation) => Some((bug, operation, violation)),
        Caught::Modelled(..) => None,
    };
    let stepped = Bug::ALL.iter().filter_map(stepped);
    for (bug, operation, violation) in stepped.skip(from).step_by(2) {
        let name = format!("{bug:?}");
        let arguments = [
            "--bug",
            &name,
            "--seconds",
            SECONDS,
            "--operation",
            operation,
        ];
        let (sound, text) = stepper(&arguments);
        assert!(!sound, "{bug:?} is not caught:\n{text}");
        let found = violations(&text).next().unwrap_or_default();
        assert!(found.contains(violation), "{bug:?}: {found}\n{text}");
    }
}

/// In two tests, which run beside each other.
#[test]
fn each_is_caught_by_the_kills_first_half() {
    catch_every_other(0);
}

#[test]
fn each_is_caught_by_the_kills_second_half() {
    catch_every_other(1);
}

/// The same operations, with no bug in the same build.
#[test]
fn nothing_is_caught_without() {
    let operations: BTreeSet<_> = Bug::ALL
        .iter()
        .filter_map(|&bug| match caught(bug) {
            Caught::Stepped(operation, _) => Some(operation),
            Caught::Modelled(..) => None,
        })
        .collect();
    let mut arguments = vec!["--seconds", SECONDS];
    for operation in operations {
        arguments.extend(["--operation", operation]);
    }
    let (sound, text) = stepper(&arguments);
    assert!(sound && violations(&text).count() == 0, "{text}");
}

#[test]
fn each_other_is_seeded_in_a_model() {
    for &bug in Bug::ALL {
        let Caught::Modelled(file, test) = caught(bug) else {
            continue;
        };
        let (before, after) = file
            .split_once(&format!("fn {test}() {{"))
            .unwrap_or_else(|| panic!("{bug:?}: there is no test {test}"));
        let body = after.split("\n}\n").next().unwrap_or_default();
        assert!(
            body.contains(&format!("(seed::Bug::{bug:?})")),
            "{bug:?}: {body}"
        );
        let attributes = before.rsplit("\n}\n").next().unwrap_or_default();
        assert!(
            attributes.contains("#[should_panic("),
            "{bug:?}: {attributes}"
        );
    }
}

#[test]
fn a_bug_that_is_not_known_is_refused() {
    assert!(!stepper(&["--bug", "NoSuchBug", "--list"]).0);
}
