#!/bin/sh
# Says which lines and branches of the engine its tests reach: those of the core, the short forms of
# the stepper and of the mutator. Children that die by SIGKILL count too: their counters are in a
# file that they map (the %c below).
set -eu
cd "$(dirname "$0")/.."

# rustc's own, or Debian's newest: from LLVM 19 on they read what this rustc writes.
llvm=
for folder in $(printf '%s\n' /usr/lib/llvm-*/bin | sort -V) \
    "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin"; do
    if [ -x "$folder/llvm-cov" ] && [ -x "$folder/llvm-profdata" ]; then llvm=$folder; fi
done
if [ -z "$llvm" ]; then
    echo "courtyard: nothing was measured: llvm-cov is missing (rustup component add llvm-tools, or apt install llvm-19)" >&2
    exit 1
fi

target=${CARGO_TARGET_DIR:-target}/coverage
mkdir -p "$target"
target=$(cd "$target" && pwd)
rm -rf "$target/profiles"
# Test programs of an earlier build would be reported beside those of this one.
programs() { find "$target/debug/deps" -maxdepth 1 -type f -perm -u+x ! -name '*.so' "$@" 2>/dev/null; }
programs -delete || true

# Branches are counted behind a flag that is not stable; the compiler is the same.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$target"
export RUSTFLAGS="-Cinstrument-coverage -Zcoverage-options=branch -Cllvm-args=-runtime-counter-relocation"
export LLVM_PROFILE_FILE="$target/profiles/%m-%p%c.profraw"
cargo test -p courtyard-core --features crash-points,faults
cargo test -p courtyard-stepper --test short
cargo test -p courtyard-fuzz

"$llvm/llvm-profdata" merge -sparse "$target"/profiles/*.profraw -o "$target/all.profdata"
objects=$(programs ! -name 'loom*' | sed 's/^/-object=/')
# shellcheck disable=SC2086 # one word an object
"$llvm/llvm-cov" report --instr-profile="$target/all.profdata" --show-branch-summary \
    --show-region-summary --ignore-filename-regex='/tests/|/rustc/|/registry/|crates/(stepper|fuzz)/' \
    $objects
echo "line by line: $llvm/llvm-cov show --instr-profile=$target/all.profdata --show-branches=count -object ..."
