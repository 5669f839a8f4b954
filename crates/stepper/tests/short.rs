//! The short form: a few operations, killed at every instruction, and some of their recoveries.

use std::process::Command;

fn stepper(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stepper"))
        .args(arguments)
        .output()
        .expect("the harness runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text + &errors)
}

#[test]
fn a_few_operations() {
    let operations = [
        "allocate small, refill",
        "free large",
        "change a scalar",
        "change a scalar by the fast path, watched",
        "write bytes, short",
        "store small over large",
        "leave a stored object, its last holder",
        "receive",
        "release a lock",
        "create a space by a draft",
        "remove a space",
    ];
    let mut arguments = vec!["--seconds", "8"];
    for operation in operations {
        arguments.extend(["--operation", operation]);
    }
    let (sound, text) = stepper(&arguments);
    println!("{text}");
    assert!(sound, "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("11 operations"), "{text}");
}

#[test]
fn the_list_is_long() {
    let (sound, text) = stepper(&["--list"]);
    assert!(sound && text.lines().count() > 80, "{text}");
}

#[test]
fn what_is_not_understood_is_refused() {
    assert!(!stepper(&["--quick"]).0);
    assert!(!stepper(&["--operation", "no such operation"]).0);
}
