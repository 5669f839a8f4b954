/* Event words, the bell, wakes owed and who gives them when a waker dies: crates/core/src/wait,
 * operation (store_owed, finish), recover (the owed words).
 *
 * A word is sequence * 4 + BELL * 2 + SLEEPER.  No sleep has a time limit here: what the model
 * proves, no time slice helps to reach.  A process dies by stopping between two steps.
 *
 *  flag     default  meaning
 *  WHO      15       who waits: 1 for one change of object 0, 2 for two, 4 for two of object 0 or one
 *                    of object 1 (on the bell), 8 for two, but may give up while asleep
 *  DEATHS   0        how many processes die: wakers, and reapers while they reap;
 *                    what a dead waiter leaves, its flag, the impatient one leaves too
 *  JOURNAL  -        a change is a record of two words under a lock; otherwise one store
 *  BUG      0        a seeded bug, see the table
 *
 *  BUG  1 the condition is tested before the word is read   2 bumped before the change
 *       3 woken before the flags are cleared                4 the bell is read after the objects
 *       5 all flags are cleared, also those not seen        6 owed is stored after the change
 *       7 owed is cleared before the wake                   8 the reaper wakes without a bump
 *       9 the reaper believes the flags                    10 the flags stay; a wake that finds nobody clears
 *      11 owed is cleared before the bell is rung          12 a waiter sets its flag whatever the word is now
 *      13 the reaper forgets the bell
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
byte owed[2];                        /* of each waker: object + 1, or 0 */
byte entry[2], to[2]; bool committed[2];
byte lk[2] = NOBODY, right = NOBODY; /* the objects' locks; the byte of the dead */
byte ndead;

#define HOLDS(i, o) (((i)==ONE && data[0]>=1) || ((i)==TWO && data[0]>=2) || ((i)==FICKLE && data[0]>=2) || \
                     ((i)==MANY && (((o)==0 && data[0]>=2) || ((o)==1 && data[1]>=1))))

inline wake_all(e, found) {          /* one futex call */
  d_step { found = 0; k = 0;
    do
    :: k < 4 -> if :: asleep[k] && on[k] == e -> asleep[k] = 0; found++ :: else fi; k++
    :: else -> k = 0; break
    od }
}
inline sleep(i, e, value) {          /* the kernel compares and sleeps in one step */
  atomic { if :: ev[e] == value -> asleep[i] = 1; on[i] = e :: else fi }
  if :: !asleep[i] fi
}
inline tell(e) {                     /* wait::notify, but for the bell */
  d_step { seen = ev[e] & (SLEEPER | BELL); ev[e] = ev[e] + STEP };
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
     ev[e] = CLEAR(ev[e], seen);
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
     owed[me - A] = 0;
#endif
     tell(2)
  :: else
  fi
}
inline repeat(e) {                   /* wait::repeat, of one word */
#if BUG != 8
  ev[e] = ev[e] + STEP;
  ev[e] = CLEAR(ev[e], SLEEPER | BELL);
#endif
  wake_all(e, n)
}
#define SET_FLAG(e, flag, again) \
  if :: w & (flag) \
     :: else -> atomic { if :: ev[e] == w -> ev[e] = w | (flag); w = w | (flag) :: else -> goto again fi } \
  fi

proctype waiter(byte me) {
  byte w;
  { do
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
  again: w = 0
    od;
    done[me] = 1
  } unless { dead[me] }
}
proctype fickle() {                  /* gives up: its flag stays */
  byte w;
  { w = ev[0];
    if :: HOLDS(FICKLE, 0) -> goto out :: else fi;
    SET_FLAG(0, SLEEPER, out);
    atomic { if :: ev[0] == w -> asleep[FICKLE] = 1; on[FICKLE] = 0 :: else fi };
    asleep[FICKLE] = 0;
  out: done[FICKLE] = 1
  } unless { dead[FICKLE] }
}
proctype many() {                    /* on two objects: the bell is read before the first of them */
  byte b, w, o;
  { skip;
  again: o = 0;
    d_step { b = ev[2]; w = 0 };
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
  out: done[MANY] = 1
  } unless { dead[MANY] }
}
inline change(o) {
#ifdef JOURNAL
  atomic { lk[o] == NOBODY -> lk[o] = me };
  d_step { entry[me - A] = o; to[me - A] = data[o] + 1 };
#if BUG != 6
  owed[me - A] = 1 + o;
#endif
  committed[me - A] = 1;
  twin[o] = to[me - A];
  data[o] = to[me - A];
  committed[me - A] = 0;
#if BUG == 7
  owed[me - A] = 0;
#elif BUG == 6
  owed[me - A] = 1 + o;
#endif
  lk[o] = NOBODY;
  notify(o);
#else
#if BUG == 2
  owed[me - A] = 1 + o; notify(o); d_step { data[o]++; twin[o]++ };
#elif BUG == 6
  d_step { data[o]++; twin[o]++ }; owed[me - A] = 1 + o; notify(o);
#elif BUG == 7
  owed[me - A] = 1 + o; d_step { data[o]++; twin[o]++ }; owed[me - A] = 0; notify(o);
#else
  owed[me - A] = 1 + o; d_step { data[o]++; twin[o]++ }; notify(o);
#endif
#endif
  d_step { owed[me - A] = 0; seen = 0; n = 0; old = 0 }
}
proctype waker(byte me) {
  byte seen, n, k, old;
  { change(0);
    if :: me == B -> change(1) :: else fi;
    done[me] = 1
  } unless { dead[me] }
}
proctype reaper(byte me) {           /* recover::reap of a dead waker; the right frees itself */
  byte seen, n, k, old, v, o;
  { do
    :: atomic { (right == NOBODY || dead[right]) && ((dead[A] && !reaped[A]) || (dead[B] && !reaped[B])) ->
                right = me;
                if :: dead[A] && !reaped[A] -> v = A :: dead[B] && !reaped[B] -> v = B fi };
#ifdef JOURNAL
       if
       :: committed[v - A] -> twin[entry[v - A]] = to[v - A]; data[entry[v - A]] = to[v - A]; committed[v - A] = 0
       :: else
       fi;
#endif
       if
       :: owed[v - A] -> o = owed[v - A] - 1;
#if BUG == 9
          tell(o);
          if :: seen & BELL -> tell(2) :: else fi;
#elif BUG == 13
          repeat(o);
#else
          repeat(o);
          repeat(2);
#endif
          owed[v - A] = 0
       :: else
       fi;
       d_step { if :: lk[0] == v -> lk[0] = NOBODY :: else fi;       /* the generation advances */
                if :: lk[1] == v -> lk[1] = NOBODY :: else fi; reaped[v] = 1 };
       d_step { if :: right == me -> right = NOBODY :: else fi; seen = 0; n = 0; old = 0; v = 0; o = 0 }
    od } unless { dead[me] }
}
#define KILL(v) ndead < DEATHS && !dead[v] && (v < 6 && !done[v] || right == v) -> dead[v] = 1; ndead++
proctype killer() {                  /* a waker anywhere, a reaper while it reaps */
end_killer:
  do
  :: atomic { KILL(A) }
  :: atomic { KILL(B) }
  :: atomic { KILL(6) }
  :: atomic { KILL(7) }
  od
}
proctype monitor() {                 /* nothing can move any more: nobody sleeps whose condition holds */
  timeout ->
  assert(!(asleep[ONE] && HOLDS(ONE, 0)));
  assert(!(asleep[TWO] && HOLDS(TWO, 0)));
  assert(!(asleep[MANY] && (HOLDS(MANY, 0) || HOLDS(MANY, 1))));
  assert(data[0] == twin[0] && data[1] == twin[1]);
  assert(dead[ONE] || done[ONE] || asleep[ONE]);
  assert(dead[MANY] || done[MANY] || asleep[MANY]);
  assert(!dead[A] || dead[6] || dead[7] || reaped[A]);
  assert(!dead[B] || dead[6] || dead[7] || reaped[B]);
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
  run reaper(6); run reaper(7); run killer();
#endif
  run monitor() } }
