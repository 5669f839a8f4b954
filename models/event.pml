/* Event words, the bell, queued wakes and who gives them when a waker dies: crates/core/src/wait,
 * operation (store_wakes, finish), recover (the queued wakes).
 *
 * A word is sequence * 4 + BELL * 2 + SLEEPER.  No sleep has a time limit here: what the model
 * proves, no time slice helps to reach.  A process may die at any step.
 *
 *  flag     default  meaning
 *  WHO      15       who waits: 1 for one change of object 0, 2 for two, 4 for two of object 0 or one
 *                    of object 1 (on the bell), 8 for two, but may give up while asleep
 *  DEATHS   0        how many processes die, at most 2: waiters, wakers, and reapers while they reap
 *  JOURNAL  -        a change is a record of two words under a lock; otherwise one store
 *  BUG      0        a seeded bug, see the table
 *
 *  BUG  1 the condition is tested before the word is read   2 bumped before the change
 *       3 woken before the flags are cleared                4 the bell is read after the objects
 *       5 all flags are cleared, also those not seen        6 queued is stored after the change
 *       7 queued is cleared before the wake                   8 the reaper wakes without a bump
 *       9 the reaper believes the flags                    10 the flags stay; a wake that finds nobody clears
 *      11 queued is cleared before the bell is rung          12 a waiter sets its flag whatever the word is now
 *      13 the reaper forgets the bell
 *      14 the reaper clears queued before it repeats the wake
 *      15 JOURNAL: the reaper clears the record before it replays it
 */
#ifndef WHO
#define WHO 15
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef BUG
#define BUG 0
#endif
#define SLEEPER 1
#define BELL 2
#define STEP 4
/* One may die before each step that others can see; to die before any other is the same. */
#if DEATHS > 0
#define OR_DIE :: atomic { ndead < DEATHS -> ndead++; dead[me] = 1; \
  if :: me < 4 -> asleep[me & 3] = 0 :: else fi; if :: right == me -> right = NOBODY :: else fi; goto gone }
#else
#define OR_DIE
#endif
#define CLEAR(w, flags) w & (255 - (flags))

/* waiters 0..3: one change, two changes, the bell's, the impatient; wakers 4, 5; reapers 6, 7 */
#define ONE 0
#define TWO 1
#define MANY 2
#define FICKLE 3
#define A 4
#define B 5
#define NOBODY 255

byte ev[3];                          /* two objects' event words, and [2] the bell */
byte data[2], twin[2];               /* what is waited for; the second word of each record */
bool asleep[4]; byte on[4];
bool done[8], dead[8], reaped[8];
byte queued[2];                        /* of each waker: object + 1, or 0 */
byte entry[2], to[2]; bool committed[2];
byte lk[2] = NOBODY, right = NOBODY; /* the objects' locks; the byte of the dead */
byte ndead;

#define HOLDS(i, o) (((i)==ONE && data[0]>=1) || ((i)==TWO && data[0]>=2) || ((i)==FICKLE && data[0]>=2) || \
                     ((i)==MANY && (((o)==0 && data[0]>=2) || ((o)==1 && data[1]>=1))))

inline wake_all(e, found) {          /* one futex call */
  if
  :: d_step { found = 0; k = 0;
       do
       :: k < 4 -> if :: asleep[k] && on[k] == e -> asleep[k] = 0; found++ :: else fi; k++
       :: else -> k = 0; break
       od }
  OR_DIE
  fi
}
inline sleep(i, e, value) {          /* the kernel compares and sleeps in one step */
  if :: atomic { if :: ev[e] == value -> asleep[i] = 1; on[i] = e :: else fi } OR_DIE fi;
  if :: !asleep[i] OR_DIE fi
}
inline tell(e) {                     /* wait::notify, but for the bell */
  if :: d_step { seen = ev[e] & (SLEEPER | BELL); ev[e] = ev[e] + STEP } OR_DIE fi;
  if
  :: seen ->
#if BUG == 3
     if :: seen & SLEEPER -> wake_all(e, n) :: else fi;
     ev[e] = CLEAR(ev[e], seen)
#elif BUG == 5
     ev[e] = CLEAR(ev[e], SLEEPER | BELL);
     if :: seen & SLEEPER -> wake_all(e, n) :: else fi
#elif BUG == 10
     d_step { old = ev[e] };
     wake_all(e, n);
     if :: n == 0 -> d_step { if :: ev[e] == old -> ev[e] = CLEAR(ev[e], seen) :: else fi } :: else fi
#else
     if :: ev[e] = CLEAR(ev[e], seen) OR_DIE fi;
     if :: seen & SLEEPER -> wake_all(e, n) :: else fi
#endif
  :: else
  fi
}
inline notify(e) {
  tell(e);
  if
  :: seen & BELL ->
#if BUG == 11
     queued[me - A] = 0;
#endif
     tell(2)
  :: else
  fi
}
inline repeat(e) {                   /* wait::repeat, of one word */
#if BUG != 8
  if :: ev[e] = ev[e] + STEP OR_DIE fi;
  if :: ev[e] = CLEAR(ev[e], SLEEPER | BELL) OR_DIE fi;
#endif
  wake_all(e, n)
}
#define SET_FLAG(e, flag, again) \
  if :: w & (flag) \
     :: atomic { !(w & (flag)) -> if :: ev[e] == w -> ev[e] = w | (flag); w = w | (flag) :: else -> goto again fi } \
     OR_DIE \
  fi

proctype waiter(byte me) {
  byte w;
  do
  ::
#if BUG == 1
     if :: HOLDS(me, 0) -> break :: else fi;
     w = ev[0];
#else
     w = ev[0];
     if :: HOLDS(me, 0) -> break :: else fi;
#endif
#if BUG == 12
     d_step { ev[0] = ev[0] | SLEEPER; w = ev[0] };
#else
     SET_FLAG(0, SLEEPER, again);
#endif
     sleep(me, 0, w);
again:
     w = 0
  od;
  done[me] = 1;
gone:
  w = 0
}
proctype fickle() {                  /* gives up: its flag stays */
  byte w, me = FICKLE;
  w = ev[0];
  if :: HOLDS(FICKLE, 0) -> goto out :: else fi;
  SET_FLAG(0, SLEEPER, out);
  atomic { if :: ev[0] == w -> asleep[FICKLE] = 1; on[FICKLE] = 0 :: else fi };
  if :: asleep[FICKLE] = 0 OR_DIE fi;
out:
  done[FICKLE] = 1;
gone:
  w = 0
}
proctype many() {                    /* on two objects: the bell is read before the first of them */
  byte b, w, o, me = MANY;
again:
  atomic { o = 0; b = ev[2]; w = 0 };
  do
  :: o < 2 ->
     w = ev[o];
     if :: HOLDS(MANY, o) -> goto out :: else fi;
     SET_FLAG(o, BELL, again);
     o++
  :: else -> break
  od;
#if BUG == 4
  b = ev[2];
#endif
  w = b;
  SET_FLAG(2, SLEEPER, again);
  sleep(MANY, 2, w);
  goto again;
out:
  done[MANY] = 1;
gone:
  atomic { b = 0; w = 0; o = 0 }
}
inline change(o) {
#ifdef JOURNAL
  if :: atomic { lk[o] == NOBODY -> lk[o] = me; entry[me - A] = o; to[me - A] = data[o] + 1 } OR_DIE fi;
#if BUG != 6
  if :: queued[me - A] = 1 + o OR_DIE fi;
#endif
  if :: committed[me - A] = 1 OR_DIE fi;
  if :: twin[o] = to[me - A] OR_DIE fi;
  if :: data[o] = to[me - A] OR_DIE fi;
  if :: d_step { committed[me - A] = 0; entry[me - A] = 0; to[me - A] = 0 } OR_DIE fi;
#if BUG == 7
  queued[me - A] = 0;
#elif BUG == 6
  if :: queued[me - A] = 1 + o OR_DIE fi;
#endif
  if :: lk[o] = NOBODY OR_DIE fi;
  notify(o);
#elif BUG == 2
  queued[me - A] = 1 + o;
  notify(o);
  d_step { data[o]++; twin[o]++ };
#elif BUG == 6
  d_step { data[o]++; twin[o]++ };
  if :: queued[me - A] = 1 + o OR_DIE fi;
  notify(o);
#else
  if :: queued[me - A] = 1 + o OR_DIE fi;
  if :: d_step { data[o]++; twin[o]++ } OR_DIE fi;
#if BUG == 7
  if :: queued[me - A] = 0 OR_DIE fi;
#endif
  notify(o);
#endif
  if :: d_step { queued[me - A] = 0; seen = 0; n = 0; old = 0 } OR_DIE fi
}
proctype waker(byte me) {
  byte seen, n, k, old;
  change(0);
  if :: me == B -> change(1) :: else fi;
  done[me] = 1;
gone:
  atomic { seen = 0; n = 0; k = 0; old = 0 }
}
proctype reaper(byte me) {           /* recover::reap of a dead waker; the right frees itself */
  byte seen, n, k, old, v, o;
  do
  :: atomic { right == NOBODY && ((dead[A] && !reaped[A]) || (dead[B] && !reaped[B])) ->
              right = me;
              if :: dead[A] && !reaped[A] -> v = A :: dead[B] && !reaped[B] -> v = B fi };
#ifdef JOURNAL
     if
     :: committed[v - A] ->
#if BUG == 15
        committed[v - A] = 0;
#endif
        if :: twin[entry[v - A]] = to[v - A] OR_DIE fi;
        if :: data[entry[v - A]] = to[v - A] OR_DIE fi;
        if :: committed[v - A] = 0 OR_DIE fi
     :: else
     fi;
#endif
     if
     :: queued[v - A] ->
        o = queued[v - A] - 1;
#if BUG == 14
        queued[v - A] = 0;
#endif
#if BUG == 9
        tell(o);
        if :: seen & BELL -> tell(2) :: else fi;
#else
        repeat(o);
#if BUG != 13
        repeat(2);
#endif
#endif
        if :: queued[v - A] = 0 OR_DIE fi
     :: else
     fi;
     if
     :: d_step { if :: lk[0] == v -> lk[0] = NOBODY :: else fi;       /* the generation advances */
                 if :: lk[1] == v -> lk[1] = NOBODY :: else fi;
                 entry[v - A] = 0; to[v - A] = 0; reaped[v] = 1 }
     OR_DIE
     fi;
     d_step { right = NOBODY; seen = 0; n = 0; old = 0; v = 0; o = 0 }
  od;
gone:
  atomic { seen = 0; n = 0; k = 0; old = 0; v = 0; o = 0 }
}
proctype monitor() {                 /* nothing can move any more: nobody sleeps whose condition holds */
  timeout ->
  assert(!(asleep[ONE] && HOLDS(ONE, 0)));
  assert(!(asleep[TWO] && HOLDS(TWO, 0)));
  assert(!(asleep[MANY] && (HOLDS(MANY, 0) || HOLDS(MANY, 1))));
  assert(data[0] == twin[0] && data[1] == twin[1]);
  assert(dead[ONE] || done[ONE] || asleep[ONE]);
  assert(dead[MANY] || done[MANY] || asleep[MANY]);
  assert(dead[TWO] || done[TWO] || asleep[TWO]);
  assert(!dead[A] || reaped[A]);
  assert(!dead[B] || reaped[B]);
#if DEATHS == 0
  assert(data[0] == 2 && data[1] == 1 && done[ONE] && done[TWO] && done[MANY]);
#endif
}
init { atomic {
  if :: WHO & 1 -> run waiter(ONE) :: else -> done[ONE] = 1 fi;
  if :: WHO & 2 -> run waiter(TWO) :: else -> done[TWO] = 1 fi;
  if :: WHO & 4 -> run many() :: else -> done[MANY] = 1 fi;
  if :: WHO & 8 -> run fickle() :: else -> done[FICKLE] = 1 fi;
  run waker(A); run waker(B);
#if DEATHS > 0
  run reaper(6); run reaper(7);
#endif
  run monitor() } }
