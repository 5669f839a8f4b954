/* Pins and the space's list of retired blocks: crates/core/src/pin, cell/stored, drain (pins, then sweep).
 *
 * Stores that race go through x86's store buffers (TSO); a fence or a locked instruction waits until
 * the buffer is empty.  A process dies by stopping between two steps; what is in its buffer still arrives.
 *
 *  flag     default  meaning
 *  CELLS    1        1: one cell, both readers read it; 2: two cells with a writer each, one list
 *  READS    2        how often each reader reads
 *  WRITES   2        how often each writer replaces its cell's block
 *  DEATHS   0        how many processes die (readers, writers, the drainer)
 *  SC       -        no store buffers
 *  BUG      0        a seeded bug, see the table
 *
 *  BUG  1 the reader does not look again      2 a reader that lost does not look at the list
 *       3 an unpin that finds the list's lock taken goes away
 *       4 an unpin looks at the list first    5 the block is listed after the record that unlinks it
 *       6 scan first, list what is pinned     7 freed without looking at the pins
 *       8 no fence between pin and look       9 no fence between unlinking and scan, the list open to all
 *      10 no fence between unpin and look    11 the drainer sweeps before it clears the pins
 *      12 the drainer does not sweep
 */
#ifndef CELLS
#define CELLS 1
#endif
#ifndef READS
#define READS 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef BUG
#define BUG 0
#endif
#define NB (CELLS+2)
#define NOBODY 255
#define FREE 0
#define LINKED 1
#define RETIRED 2

/* memory: pins of the readers 0 and 1 (block + 1), sequence and link of each cell, the list, commit words */
#define PIN(i) (i)
#define SEQ(c) (2+(c))
#define LINK(c) (4+(c))
#define LIST 6
#define COMMIT(c) (7+(c))
byte mem[9];
byte st[NB], cell[NB];                /* what a block is; ghost: which cell's it was last */
byte reads[2] = NOBODY;              /* ghost: the block that a reader may read */
byte lk = NOBODY;                    /* the retired lock */
byte newlink[2], newseq[2];          /* the writers' records */
/* processes: readers 0, 1; writers 2, 3; the drainer 4 */
bool dead[5], fin[4], replayed[4], drained[4];
byte ndead;
byte drainers;                       /* ghost: how often the drainer died */
bool sweep_due;                      /* the drainer's own slot is to be drained: the next one sweeps */

#ifdef SC
#define STORE(a, v) mem[a] = v
#define DRY(p) true
#else
chan sb[4] = [5] of { byte, byte };
#define STORE(a, v) sb[me]!a,v
#define DRY(p) ((p) > 3 || empty(sb[(p) & 3]))
proctype buffer(byte p) { byte a, v; end: do :: d_step { sb[p]?a,v -> mem[a] = v; a = 0; v = 0 } od }
#endif
#define FENCE DRY(me)
/* taking and giving are locked instructions: the buffer is empty after them */
#define LOCK atomic { lk == NOBODY && DRY(me) -> lk = me }
#define UNLOCK atomic { DRY(me) -> if :: lk == me -> lk = NOBODY :: else fi }
#define IS_FREE(n) st[n] == FREE

/* pin::sweep: under the lock, one record frees one block that nobody pins; until there is none */
inline sweep() {
  do
  :: mem[LIST] != 0 ->
     LOCK;
     FENCE;
     b = 0;
     do
     :: b < NB ->
        if
        :: !(mem[LIST] & (1 << b)) -> b++
#if BUG == 7
        :: else -> break
#else
        :: else ->
           if
           :: mem[PIN(0)] == b + 1 -> b++
           :: else -> if :: mem[PIN(1)] == b + 1 -> b++ :: else -> break fi
           fi
#endif
        fi
     :: else -> break
     od;
     if
     :: b < NB ->                    /* a record: one step for whoever looks */
        d_step { assert(st[b] == RETIRED); assert(reads[0] != b && reads[1] != b);
                 st[b] = FREE; mem[LIST] = mem[LIST] & (255 - (1 << b)); b = 0 };
        UNLOCK
     :: else -> b = 0; UNLOCK; break
     fi
  :: else -> break
  od
}
proctype reader(byte me) {
  byte s, l, b, i, c;
  { c = (CELLS == 2 -> me : 0);
    do
    :: i < READS -> i++;
       s = mem[SEQ(c)];
       if :: s & 1 -> goto next :: else fi;
       l = mem[LINK(c)];
       STORE(PIN(me), l + 1);
#if BUG != 8
       FENCE;
#endif
#if BUG == 1
       reads[me] = l;
#else
       if :: mem[LINK(c)] == l :: else -> goto lost fi;
       if :: mem[SEQ(c)] == s -> reads[me] = l :: else -> goto lost fi;
#endif
       assert(st[l] != FREE && cell[l] == c);
       assert(st[l] != FREE && cell[l] == c);
       reads[me] = NOBODY;
       goto unpin;
  lost:
#if BUG == 2
       STORE(PIN(me), 0);
       goto next;
#endif
  unpin:
#if BUG == 4
       b = mem[LIST];
       STORE(PIN(me), 0);
       if :: b == 0 -> goto next :: else -> b = 0 fi;
#else
       STORE(PIN(me), 0);
#if BUG != 10
       FENCE;
#endif
#endif
#if BUG == 3
       if :: mem[LIST] && lk != NOBODY -> goto next :: else fi;
#endif
       sweep();
  next: s = 0; l = 0; b = 0
    :: else -> break
    od; fin[me] = 1 } unless { dead[me] }
}
proctype writer(byte me) {
  byte n, b, i, old, c;
  { c = me - 2;
    do
    :: i < WRITES ->
       i++;
       /* an unfinished block; with none free just now the writer goes away */
       d_step { n = 0; do :: n < NB && !(IS_FREE(n)) -> n++ :: else -> break od;
                if :: n < NB -> st[n] = LINKED; cell[n] = c :: else fi };
       if :: n == NB -> goto next :: else fi;
       LOCK;
       old = mem[LINK(c)];
       d_step { newlink[c] = n; newseq[c] = mem[SEQ(c)] + 1; mem[COMMIT(c)] = old + 1;
#if BUG != 5
                st[old] = RETIRED;
#endif
#if BUG == 9
                mem[LIST] = mem[LIST] | (1 << old)
#endif
              };                                                       /* commit */
       STORE(SEQ(c), newseq[c]);
       STORE(LINK(c), n);
#if BUG != 5 && BUG != 6 && BUG != 9
       STORE(LIST, mem[LIST] | (1 << old));
#endif
       STORE(SEQ(c), newseq[c] + 1);
       STORE(COMMIT(c), 0);
#if BUG == 5
       UNLOCK;
       LOCK;
       st[old] = RETIRED;
       STORE(LIST, mem[LIST] | (1 << old));
#endif
#if BUG == 6
       FENCE;
       if :: mem[PIN(0)] == old + 1 -> goto keep :: else fi;
       if :: mem[PIN(1)] == old + 1 -> goto keep :: else fi;
       d_step { assert(reads[0] != old && reads[1] != old); st[old] = FREE };
       goto unlock;
  keep: STORE(LIST, mem[LIST] | (1 << old));
  unlock: UNLOCK;
#elif BUG == 9
       /* frees at once, under the same lock, with no fence in between */
       if :: mem[PIN(0)] == old + 1 -> goto keep :: else fi;
       if :: mem[PIN(1)] == old + 1 -> goto keep :: else fi;
       d_step { assert(reads[0] != old && reads[1] != old); st[old] = FREE; mem[LIST] = mem[LIST] & (255 - (1 << old)) };
  keep: UNLOCK;
#else
       UNLOCK;
       old = 0; n = 0;
       sweep();
#endif
  next: old = 0; n = 0; b = 0
    :: else -> break
    od; fin[me] = 1 } unless { dead[me] }
}
/* recover::reap: what the dead had stored has arrived; replay; the lock is free */
#define CLAIM_LOCK(p) if :: lk == p -> lk = NOBODY :: else fi; replayed[p] = 1
inline replay(p) {
  if
  :: mem[COMMIT(p - 2)] ->
     mem[SEQ(p - 2)] = newseq[p - 2];
     mem[LINK(p - 2)] = newlink[p - 2];
#if BUG != 5
     mem[LIST] = mem[LIST] | (1 << (mem[COMMIT(p - 2)] - 1));
#endif
     mem[SEQ(p - 2)] = newseq[p - 2] + 1;
     mem[COMMIT(p - 2)] = 0
  :: else
  fi;
  d_step { CLAIM_LOCK(p) }
}
proctype reap() {
end:
  do
  :: d_step { dead[0] && !replayed[0] && DRY(0) -> CLAIM_LOCK(0) }
  :: d_step { dead[1] && !replayed[1] && DRY(1) -> CLAIM_LOCK(1) }
  :: dead[2] && !replayed[2] && DRY(2) -> replay(2)
  :: dead[3] && !replayed[3] && DRY(3) -> replay(3)
  od
}
/* drain: the pins, the rest, FREE; then the sweep.  It may die and be followed by another, whose
 * own list of the dead has the first one on it: so there is a sweep after the last death. */
inline clear_and_sweep(p) {
#if BUG == 11
  sweep(); mem[PIN(p & 1)] = (p < 2 -> 0 : mem[PIN(p & 1)]);
#else
  if :: p < 2 -> mem[PIN(p & 1)] = 0 :: else fi;
#endif
  /* an unfinished block that was never linked */
  d_step { b = 0; do
    :: b < NB -> if :: p >= 2 && st[b] == LINKED && cell[b] == p - 2 && mem[LINK(p - 2)] != b -> st[b] = FREE :: else fi; b++
    :: else -> break od; b = 0 };
  drained[p] = 1; sweep_due = 1
}
proctype drain() {
  byte b, me = 4;
again:
  { do
    :: replayed[0] && !drained[0] -> clear_and_sweep(0)
    :: replayed[1] && !drained[1] -> clear_and_sweep(1)
    :: replayed[2] && !drained[2] -> clear_and_sweep(2)
    :: replayed[3] && !drained[3] -> clear_and_sweep(3)
#if BUG != 11 && BUG != 12
    :: sweep_due -> sweep(); sweep_due = 0
#endif
    od } unless { dead[4] };
  d_step { dead[4] = 0; b = 0; if :: lk == 4 -> lk = NOBODY :: else fi; sweep_due = 1 };
  goto again
}
proctype killer() {
end:
  do
  :: atomic { ndead < DEATHS && !fin[0] && !dead[0] -> dead[0] = 1; ndead++; reads[0] = NOBODY }
  :: atomic { ndead < DEATHS && !fin[1] && !dead[1] -> dead[1] = 1; ndead++; reads[1] = NOBODY }
  :: atomic { ndead < DEATHS && !fin[2] && !dead[2] -> dead[2] = 1; ndead++ }
  :: atomic { ndead < DEATHS && !fin[3] && !dead[3] -> dead[3] = 1; ndead++ }
  :: atomic { ndead < DEATHS && ndead > 0 && !dead[4] && (replayed[0] || replayed[1] || replayed[2] || replayed[3]) && drainers < 1 -> dead[4] = 1; ndead++; drainers++ }
  od
}
proctype monitor() {
  byte b, n;
  timeout ->
  assert((dead[0] || fin[0]) && (dead[1] || fin[1]) && (dead[2] || fin[2]) && (dead[3] || fin[3]));
  assert(mem[LIST] == 0);            /* nothing is retired for ever */
  d_step {
    do :: b < NB -> assert(st[b] != RETIRED); if :: st[b] == LINKED -> n++ :: else fi; b++ :: else -> break od;
    assert(n == CELLS && st[mem[LINK(0)]] == LINKED && cell[mem[LINK(0)]] == 0) };
#if CELLS == 2
  assert(st[mem[LINK(1)]] == LINKED && cell[mem[LINK(1)]] == 1)
#endif
}
init { atomic {
  st[0] = LINKED;
  if :: CELLS == 2 -> st[1] = LINKED; cell[1] = 1; mem[LINK(1)] = 1; run writer(3) :: else -> fin[3] = 1 fi;
#ifndef SC
  run buffer(0); run buffer(1); run buffer(2);
  if :: CELLS == 2 -> run buffer(3) :: else fi;
#endif
  run reader(0); run reader(1); run writer(2);
#if DEATHS > 0
  run reap(); run drain(); run killer();
#endif
  run monitor() } }
