#!/bin/bash
# models/run.sh small|full [NAME]: the clean searches of the Promela models (of model NAME only), then
# their seeded bugs.  One line a search.  Exit status 1 if a clean search finds an error or does not end,
# or a seeded bug is not caught.  Needs Debian's `spin` and a C compiler.
size=${1:-small}; only=$2
case "$size" in small | full) ;; *) echo "usage: $0 small|full [recovery|event|pin|lifetime]" >&2; exit 2 ;; esac
for tool in spin cc timeout; do
  command -v $tool >/dev/null || { echo "models: $tool is missing (Debian and Ubuntu: apt install spin build-essential)" >&2; exit 2; }
done
here=$(cd "$(dirname "$0")" && pwd); work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
memory=${MEMORY:-8000}                      # MiB for one search
limit=120; [ "$size" = full ] && limit=600  # seconds of processor time for one search
failed=0; TIMEFORMAT=%U

# search WHAT MODEL FLAGS: WHAT is clean, or bug
search() {
  local optimize=-O1 what=$1 model=$2 flags=$3 dir=$work/search compile run status states errors seconds verdict
  [ -z "$only" ] || [ "$only" = "$model" ] || return 0
  rm -rf "$dir"; mkdir "$dir"; cp "$here/$model.pml" "$dir/m.pml"
  [ "$what" = clean ] || optimize=-O0           # most end before a better pan is compiled
  case "$model $flags" in
    *-DLIVE*) compile="-DNFAIR=4 -DCOLLAPSE"; run="-a -f" ;;
    recovery*) compile="-DSAFETY -DCOLLAPSE"; run="" ;;
    *) compile="-DSAFETY -DCOLLAPSE"; run="-E" ;;     # their monitors look at deadlocks themselves
  esac
  if ! (cd "$dir" && spin $flags -a m.pml >out 2>&1 &&
        cc "$optimize" -w -DVECTORSZ=2048 -DMEMLIM="$memory" $compile -o pan pan.c >>out 2>&1); then
    echo "models: $model $flags does not compile:"; cat "$dir/out"; exit 1
  fi
  seconds=$( (cd "$dir" && ulimit -c 0 && ulimit -t "$limit"
    time timeout -s INT $((limit * 5)) ./pan $run -m2000000 -w24 >out 2>&1; echo $? >status) 2>&1 | tail -1)
  status=$(cat "$dir/status")
  states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$dir/out")
  errors=$(sed -nE 's/.*errors: ([0-9]+).*/\1/p' "$dir/out")
  verdict=ok
  if [ "$what" = bug ]; then
    [ "${errors:-0}" -gt 0 ] && verdict=caught || { verdict="NOT CAUGHT"; failed=1; }
  elif [ "${errors:-1}" -gt 0 ]; then
    verdict="ERROR: $(grep -m1 '^pan:1:' "$dir/out")"; failed=1
  elif [ $status -ne 0 ] || grep -qE 'max search depth too small|out of memory|Search not completed' "$dir/out"; then
    verdict="NOT COMPLETED"; failed=1
  fi
  printf '%-6s %-9s %-52s %11s states  errors %s  %8s s  %s\n' \
    "$what" "$model" "$flags" "${states:-?}" "${errors:-?}" "${seconds:-?}" "$verdict"
  case "$verdict" in
    ERROR*) (cd "$dir" && spin $flags -t -p -g m.pml) >"models-$model.trail" 2>&1
      echo "       the way there: models-$model.trail" ;;
  esac
}
clean() { search clean "$@"; }
big() { [ "$size" = small ] || search clean "$@"; }
bug() { search bug "$@"; }

# a death in every step (MAXC, DEATHS); two; the death of who reaps or drains (MAXR, REAPERS; in event, 2 DEATHS)
clean recovery "-DMAXC=1 -DMAXR=0"
clean recovery "-DMAXC=1 -DMAXR=0 -DALIVE=0"
clean recovery "-DNS=4 -DMAXC=1 -DMAXR=0 -DOPS=12 -DLIVE"
clean recovery "-DMAXC=1 -DMAXR=1"
big   recovery "-DMAXC=1 -DMAXR=1 -DALIVE=0"
big   recovery "-DMAXC=1 -DMAXR=1 -DOPS=00"
big   recovery "-DMAXC=1 -DMAXR=1 -DOPS=12"
big   recovery "-DNP=3 -DNS=4 -DMAXC=1 -DMAXR=0 -DOPS=010"
big   recovery "-DMAXC=2 -DMAXR=0"
big   recovery "-DMAXC=2 -DMAXR=0 -DOPS=00"
big   recovery "-DMAXC=2 -DMAXR=0 -DOPS=12"
clean event "-DWHO=6"
clean event "-DWHO=1 -DDEATHS=1"
clean event "-DWHO=1 -DDEATHS=1 -DJOURNAL"
clean event "-DWHO=4 -DDEATHS=1"
big   event "-DWHO=4 -DDEATHS=1 -DJOURNAL"
big   event "-DWHO=9 -DDEATHS=1"
big   event "-DWHO=6 -DDEATHS=1"
big   event "-DWHO=3 -DDEATHS=1 -DJOURNAL"
clean event "-DWHO=1 -DDEATHS=2"
clean event "-DWHO=1 -DDEATHS=2 -DJOURNAL"
big   event "-DWHO=4 -DDEATHS=2"
big   event "-DWHO=4 -DDEATHS=2 -DJOURNAL"
big   event "-DWHO=3 -DDEATHS=2"
clean pin "-DSC"
clean pin ""
big   pin "-DSC -DOBJECTS=2 -DREADS=1 -DWRITES=1"
big   pin "-DSC -DOBJECTS=2 -DREADS=1 -DWRITES=1 -DDEATHS=1 -DREAPERS=1"
clean pin "-DREADS=1 -DWRITES=1 -DDEATHS=1"
big   pin "-DDEATHS=1"
clean pin "-DREADS=1 -DWRITES=1 -DDEATHS=1 -DREAPERS=1"
big   pin "-DDEATHS=1 -DREAPERS=1"
clean pin "-DREADS=1 -DWRITES=1 -DDEATHS=2"
big   pin "-DREADS=1 -DDEATHS=2 -DREAPERS=1"
big   pin "-DSC -DREADS=1 -DDEATHS=2 -DREAPERS=2"
clean lifetime ""
clean lifetime "-DEXCHANGE"
clean lifetime "-DTHREAD"
clean lifetime "-DDEATHS=1"
big   lifetime "-DDEATHS=1 -DTHREAD"
big   lifetime "-DDEATHS=1 -DREAPERS=1"
big   lifetime "-DDEATHS=1 -DREAPERS=1 -DEXCHANGE"
big   lifetime "-DDEATHS=2"
big   lifetime "-DDEATHS=2 -DREAPERS=1"

# seeded bugs
for b in 1 2 3 5 6 7 8 9 11 12 13 14 15 16 18 19 20; do bug recovery "-DBUG=$b"; done
for b in 4 10; do bug recovery "-DALIVE=0 -DBUG=$b"; done
bug recovery "-DNS=4 -DMAXC=1 -DMAXR=0 -DOPS=12 -DLIVE -DBUG=17"
bug recovery "-DMAXC=2 -DMAXR=0 -DBUG=21"
bug recovery "-DNS=2 -DMAXC=2 -DMAXR=0 -DGUEST=0"
for b in 1 2 3 12; do bug event "-DWHO=11 -DBUG=$b"; done
for b in 4 5; do bug event "-DWHO=6 -DBUG=$b"; done
for b in 6 8; do bug event "-DWHO=2 -DDEATHS=1 -DBUG=$b"; done
for b in 7 9; do bug event "-DWHO=1 -DDEATHS=1 -DBUG=$b"; done
bug event "-DWHO=3 -DBUG=10"
for b in 11 13; do bug event "-DWHO=4 -DDEATHS=1 -DBUG=$b"; done
bug event "-DWHO=1 -DDEATHS=2 -DBUG=14"
bug event "-DWHO=1 -DDEATHS=2 -DJOURNAL -DBUG=15"
for b in 1 2 3 4 6 7 8 9 10; do bug pin "-DBUG=$b"; done
for b in 5 11 12; do bug pin "-DREADS=1 -DWRITES=1 -DDEATHS=1 -DBUG=$b"; done
for b in 13 14; do bug pin "-DREADS=1 -DWRITES=1 -DDEATHS=1 -DREAPERS=1 -DBUG=$b"; done
for b in 1 2 3 4 6 7 8; do bug lifetime "-DBUG=$b"; done
bug lifetime "-DLOADS=2 -DBUG=5"
bug lifetime "-DDEATHS=1 -DBUG=9"
bug lifetime "-DDEATHS=1 -DEXCHANGE -DBUG=10"
for b in 11 12; do bug lifetime "-DTHREAD -DBUG=$b"; done
for b in 13 14; do bug lifetime "-DDEATHS=1 -DREAPERS=1 -DBUG=$b"; done
exit $failed
