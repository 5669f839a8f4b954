/* Pins and the space's list of retired blocks: crates/core/src/pin, object/stored, drain (pins, then sweep).
 *
 * Stores that race go through x86's store buffers (TSO); a fence or a locked instruction waits until
 * the buffer is empty.  A process may die at any step; what is in its buffer still arrives.
 *
 *  flag     default  meaning
 *  OBJECTS    1        1: one object, both readers read it; 2: two objects with a writer each, one list
 *  READS    2        how often each reader reads
 *  WRITES   2        how often each writer replaces its object's block
 *  DEATHS   0        how many readers and writers die
 *  REAPERS  0        how often whoever replays a record, drains or sweeps after the dead dies; another takes over
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
 *      13 REAPERS: nobody sweeps after a drainer that died before it swept: its slot was the reserved one
 *      14 REAPERS: the record is cleared before it is replayed
 */
#ifndef OBJECTS
#define OBJECTS 1
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
#ifndef REAPERS
#define REAPERS 0
#endif
#ifndef BUG
#define BUG 0
#endif
#define NB (OBJECTS+2)
#define NOBODY 255
#define FREE 0
#define LINKED 1
#define RETIRED 2

/* memory: pins of the readers 0 and 1 (block + 1), sequence and link of each object, the list, commit words */
#define PIN(i) (i)
#define SEQ(c) (2+(c))
#define LINK(c) (4+(c))
#define LIST 6
#define COMMIT(c) (7+(c))
byte mem[9];
byte st[NB], object[NB];                /* what a block is; ghost: which object's it was last */
byte reads[2] = NOBODY;              /* ghost: the block that a reader may read */
byte lk = NOBODY;                    /* the retired lock */
byte newlink[2], newseq[2], newlist[2]; /* the writers' records */
/* processes: readers 0, 1; writers 2, 3; the drainer 4 */
bool dead[4], fin[4], replayed[4], drained[4];
byte ndead, nreap;
bool sweep_due;                      /* whoever drained sweeps; or who comes next, as Space::may_reclaim says */

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
#define LOCK lk == NOBODY && DRY(me) -> lk = me
#define UNLOCK DRY(me) -> if :: lk == me -> lk = NOBODY :: else fi
#define FORGET(c) newlink[c] = 0; newseq[c] = 0; newlist[c] = 0

/* One may die before each of one's stores.  To die before a load is the same: nobody sees a load. */
#if DEATHS > 0
#define OR_DIE :: atomic { (me < 4 -> ndead < DEATHS : nreap < REAPERS) -> \
  if :: me < 4 -> ndead++; dead[me] = 1; if :: me < 2 -> reads[me & 1] = NOBODY :: else fi :: else -> nreap++ fi; goto gone }
#else
#define OR_DIE
#endif

/* pin::sweep: under the lock, one record frees one block that nobody pins; until there is none */
inline sweep() {
  do
  :: mem[LIST] == 0 -> break
  :: mem[LIST] != 0 ->
     if :: atomic { LOCK; b = 0; list = mem[LIST] } OR_DIE fi;
     do
     :: b < NB ->
        if
        :: !(list & (1 << b)) -> b++
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
     list = 0;
     if
     :: b < NB ->
        if
        :: d_step {                  /* a record: one step for whoever looks */
             assert(st[b] == RETIRED); assert(reads[0] != b && reads[1] != b);
             st[b] = FREE; mem[LIST] = mem[LIST] & (255 - (1 << b)); b = 0 }
        OR_DIE
        fi;
        if :: atomic { UNLOCK } OR_DIE fi
     :: else ->
        b = 0;
        if :: atomic { UNLOCK } OR_DIE fi;
        break
     fi
  od
}
proctype reader(byte me) {
  byte s, l, b, i, c, list;
  c = (OBJECTS == 2 -> me : 0);
  do
  :: i < READS ->
     i++;
     s = mem[SEQ(c)];
     if :: s & 1 -> goto next :: else fi;
     l = mem[LINK(c)];
     if :: STORE(PIN(me), l + 1) OR_DIE fi;
#if BUG != 8
     FENCE;
#endif
#if BUG != 1
     if :: mem[LINK(c)] == l :: else -> goto lost fi;
     if :: mem[SEQ(c)] == s :: else -> goto lost fi;
#endif
     d_step { reads[me] = l; assert(st[l] != FREE && object[l] == c) };  /* `sweep` asserts that it stays so */
     goto unpin;
lost:
#if BUG == 2
     if :: STORE(PIN(me), 0) OR_DIE fi;
     goto next;
#endif
unpin:
#if BUG == 4
     b = mem[LIST];
#endif
     if :: atomic { STORE(PIN(me), 0); reads[me] = NOBODY } OR_DIE fi;
#if BUG == 4
     if :: b == 0 -> goto next :: else -> b = 0 fi;
#elif BUG != 10
     FENCE;
#endif
#if BUG == 3
     if :: mem[LIST] && lk != NOBODY -> goto next :: else fi;
#endif
     sweep();
next:
     atomic { s = 0; l = 0; b = 0 }
  :: else -> break
  od;
  fin[me] = 1;
gone:
  atomic { s = 0; l = 0; b = 0; i = 0; c = 0; list = 0 }
}
proctype writer(byte me) {
  byte n, b, i, old, c, list;
  c = me - 2;
  do
  :: i < WRITES ->
     i++;
     if
     :: d_step {                     /* an unfinished block; with none free just now the writer goes away */
          n = 0;
          do :: n < NB && st[n] != FREE -> n++ :: else -> break od;
          if :: n < NB -> st[n] = LINKED; object[n] = c :: else fi }
     OR_DIE
     fi;
     if :: n == NB -> goto next :: else fi;
     if :: atomic { LOCK } OR_DIE fi;
     if
     :: d_step {                     /* commit */
          old = mem[LINK(c)];
          newlink[c] = n; newseq[c] = mem[SEQ(c)] + 1; mem[COMMIT(c)] = 1;
#if BUG != 5
          st[old] = RETIRED;
#endif
#if BUG == 9
          mem[LIST] = mem[LIST] | (1 << old);
#endif
          newlist[c] = (BUG == 5 -> mem[LIST] : mem[LIST] | (1 << old)) }
     OR_DIE
     fi;
     if :: STORE(SEQ(c), newseq[c]) OR_DIE fi;
#if BUG != 5 && BUG != 6 && BUG != 9
     if :: STORE(LIST, newlist[c]) OR_DIE fi;        /* pin::retire wrote its entries first */
#endif
     if :: STORE(LINK(c), n) OR_DIE fi;
     if :: STORE(SEQ(c), newseq[c] + 1) OR_DIE fi;
     if :: STORE(COMMIT(c), 0) OR_DIE fi;
#if BUG == 5
     if :: atomic { UNLOCK } OR_DIE fi;
     if :: atomic { LOCK } OR_DIE fi;
     if :: atomic { st[old] = RETIRED; STORE(LIST, mem[LIST] | (1 << old)) } OR_DIE fi;
#endif
#if BUG == 6 || BUG == 9
     /* frees at once what nobody pins, under the same lock */
#if BUG == 6
     FENCE;
#endif
     if :: mem[PIN(0)] == old + 1 -> goto keep :: else fi;
     if :: mem[PIN(1)] == old + 1 -> goto keep :: else fi;
     d_step { assert(reads[0] != old && reads[1] != old); st[old] = FREE; mem[LIST] = mem[LIST] & (255 - (1 << old)) };
     goto unlock;
keep:
#if BUG == 6
     STORE(LIST, mem[LIST] | (1 << old));
#endif
unlock:
     atomic { UNLOCK };
#else
     if :: atomic { UNLOCK; old = 0; n = 0; FORGET(c) } OR_DIE fi;
     sweep();
#endif
next:
     atomic { old = 0; n = 0; b = 0 }
  :: else -> break
  od;
  fin[me] = 1;
gone:
  atomic { n = 0; b = 0; i = 0; old = 0; c = 0; list = 0 }
}
/* recover::reap: what the dead had stored has arrived; replay; the lock is free.  A reaper's own buffer
 * needs none here: a store that arrives late is a reaper that goes on late. */
#if REAPERS > 0
#define REAPER_DIES :: atomic { nreap < REAPERS -> nreap++; goto again }
#else
#define REAPER_DIES
#endif
#define PAST(p) if :: lk == p -> lk = NOBODY :: else fi; replayed[p] = 1
inline replay(p) {
  if
  :: mem[COMMIT(p - 2)] ->
#if BUG == 14
     mem[COMMIT(p - 2)] = 0;
#endif
     if :: mem[SEQ(p - 2)] = newseq[p - 2] REAPER_DIES fi;
     if :: mem[LIST] = newlist[p - 2] REAPER_DIES fi;
     if :: mem[LINK(p - 2)] = newlink[p - 2] REAPER_DIES fi;
     if :: mem[SEQ(p - 2)] = newseq[p - 2] + 1 REAPER_DIES fi;
     if :: mem[COMMIT(p - 2)] = 0 REAPER_DIES fi
  :: else
  fi;
  if :: d_step { PAST(p); FORGET(p - 2) } REAPER_DIES fi
}
proctype reap() {
again:
end:
  do
  :: d_step { dead[0] && !replayed[0] && DRY(0) -> PAST(0) }
  :: d_step { dead[1] && !replayed[1] && DRY(1) -> PAST(1) }
  :: dead[2] && !replayed[2] && DRY(2) -> replay(2)
  :: dead[3] && !replayed[3] && DRY(3) -> replay(3)
  od
}
/* drain: the pins, the rest, FREE; then the sweep.  Whoever does so may die and be followed by another,
 * who sweeps in any case: because the slot of the first is to be drained, or, if that was the reserved
 * one, because the list is not empty. */
inline clear(p) {
#if BUG == 11
  sweep();
#endif
  if
  :: d_step {
       if :: p < 2 -> mem[PIN(p & 1)] = 0 :: else fi;
       b = 0;                        /* an unfinished block that was never linked */
       do
       :: b < NB -> if :: p >= 2 && st[b] == LINKED && object[b] == p - 2 && mem[LINK(p & 1)] != b -> st[b] = FREE :: else fi; b++
       :: else -> break
       od;
       b = 0 }
  OR_DIE
  fi;
  if :: d_step { drained[p] = 1; sweep_due = 1 } OR_DIE fi
}
proctype drain() {
  byte b, list, me = 4;
again:
  do
  :: replayed[0] && !drained[0] -> clear(0)
  :: replayed[1] && !drained[1] -> clear(1)
  :: replayed[2] && !drained[2] -> clear(2)
  :: replayed[3] && !drained[3] -> clear(3)
#if BUG != 11 && BUG != 12
  :: sweep_due -> sweep(); if :: sweep_due = 0 OR_DIE fi
#endif
  od;
gone:
  atomic { b = 0; list = 0; if :: lk == me -> lk = NOBODY :: else fi; sweep_due = (BUG != 13) };
  goto again
}
proctype monitor() {
  byte b, n;
  timeout ->
  assert((dead[0] || fin[0]) && (dead[1] || fin[1]) && (dead[2] || fin[2]) && (dead[3] || fin[3]));
  assert(mem[LIST] == 0);            /* nothing is retired for ever */
  d_step {
    do :: b < NB -> assert(st[b] != RETIRED); if :: st[b] == LINKED -> n++ :: else fi; b++ :: else -> break od;
    assert(n == OBJECTS && st[mem[LINK(0)]] == LINKED && object[mem[LINK(0)]] == 0) };
#if OBJECTS == 2
  assert(st[mem[LINK(1)]] == LINKED && object[mem[LINK(1)]] == 1)
#endif
}
init { atomic {
  st[0] = LINKED;
  if :: OBJECTS == 2 -> st[1] = LINKED; object[1] = 1; mem[LINK(1)] = 1; run writer(3) :: else -> fin[3] = 1 fi;
#ifndef SC
  run buffer(0); run buffer(1); run buffer(2);
  if :: OBJECTS == 2 -> run buffer(3) :: else fi;
#endif
  run reader(0); run reader(1); run writer(2);
#if DEATHS > 0
  run reap(); run drain();
#endif
  run monitor() } }
