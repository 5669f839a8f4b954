/* An object's life: membership rows of each handle, tickets, child reservations, pending blocks:
 * crates/core/src/directory, pending_block, drain, fork, membership_cache; the hooks of crates/python/src/process.
 *
 * Every record is one step here, for recovery.pml shows that it is; processes die between any two.
 * With REAPERS a drainer's record of a membership row is taken apart: the directory's lock, commit, each
 * word, clear, unlock; the drainer may die at each, and so may whoever replays the record.
 *
 *  flag     default  meaning
 *  DEATHS   0        how many of parent, two receivers and child are killed
 *  REAPERS  0        how often whoever drains dies; another takes over
 *  RECEIVE  2        receivers; the parent sends to each that there is
 *  LOADS    1        how often each receiver loads
 *  EXCHANGE -        the parent also replaces the object's block through its pending row
 *  THREAD   -        a second thread of the parent drops or makes a handle while the first forks,
 *                    whenever another library's fork hook lets the GIL go; the reservation is then reconciled
 *                    with what the fork really copied
 *  BUG      0        a seeded bug, see the table
 *
 *  BUG  1 the ticket is closed, then the membership written   2 a load does not compare serials
 *       3 the sender drops before it writes the ticket        4 tickets die with their sender at once
 *       5 a second load closes a ticket that is closed        6 the reservation's rows are written after the fork
 *       7 the parent drops the page before the fork           8 the child's page is not inherited
 *       9 a drained row is emptied after its reference went   10 the new block is linked, then the row set
 *      11 THREAD: nobody waits, nothing is reconciled         12 THREAD: the membership cache is frozen, GIL held
 *      13 REAPERS: a dead drainer's record is forgotten       14 REAPERS: the directory is unlocked before the record is cleared
 */
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef REAPERS
#define REAPERS 0
#endif
#ifndef RECEIVE
#define RECEIVE 2
#endif
#ifndef LOADS
#define LOADS 1
#endif
#ifndef BUG
#define BUG 0
#endif
#define ROWS 2
#define ROW(p, r) member[(p)*ROWS+(r)]

/* one object row; serial 1 is ours, 2 is another's after it.  Slots: 0 parent, 1 2 receivers, 3 child */
byte serial = 1, refs = 1;
bool member[8];                      /* a row names the object */
bool ticket[2];                      /* open tickets, id = index + 1 */
bool msg[2], loaded[2], expired[2];  /* a pickle under way; ghosts */
/* blocks: a bit each; in exactly one place: heap, pending row of the parent, link */
byte heap = 2, pending, link = 1;
/* private to processes, copied by fork */
bool has[8];                         /* the handle of this row */
bool dead[4], reaped[4];             /* killed or at its end; drained */
bool reserved, page_p, page_c, forked, gil, window, frozen, t_done = 1;
byte ndead, nreap;
/* the directory's lock, held by a drainer; its record: row + 1, the references that remain */
bool dir; byte record, remain;

#define COUNT (member[0]+member[1]+member[2]+member[3]+member[4]+member[5]+member[6]+member[7]+ticket[0]+ticket[1])
#define SOUND assert(dir || serial != 1 || refs == COUNT); assert((heap ^ pending ^ link) == 3 && (heap & pending) == 0 && (heap & link) == 0 && (pending & link) == 0)
#define UNREF refs--; if :: refs == 0 -> serial = 0; heap = heap | link; link = 0 :: else fi
#define USE(p) assert(dead[p] || !(has[(p)*ROWS] || has[(p)*ROWS+1]) || serial == 1)
#define GIL atomic { !gil -> gil = 1 }
/* One may die before each step that others can see; to die before any other is the same. */
#define ENDS(p) dead[p] = 1; has[(p)*ROWS] = 0; has[(p)*ROWS+1] = 0; if :: p == 0 -> page_p = 0 :: else -> if :: p == 3 -> page_c = 0 :: else fi fi
#if DEATHS > 0
#define OR_DIE(p) :: atomic { ndead < DEATHS -> ndead++; ENDS(p); goto gone }
#else
#define OR_DIE(p)
#endif
#define UNLOCKED !dir                /* a record of one step takes and gives the directory's lock in it */

inline drop(p, r) {                  /* directory::leave, then the handle is gone */
  if
  :: d_step { UNLOCKED; assert(ROW(p, r)); ROW(p, r) = 0; has[(p)*ROWS+(r)] = 0; UNREF; SOUND }
  OR_DIE(p)
  fi
}
inline receive(p, t, ok) {
#if BUG == 1
  d_step { UNLOCKED; ok = (serial == 1);
           if :: ok && ticket[t] -> ticket[t] = 0; UNREF :: else fi; loaded[t] = 1 };
  if :: ok -> d_step { UNLOCKED; ROW(p, 0) = 1; refs++; has[(p)*ROWS] = 1 } :: else fi;
#elif BUG == 5
  d_step { UNLOCKED; ok = (serial == 1);
           if :: ok -> ROW(p, 0) = 1; has[(p)*ROWS] = 1;
                       if :: loaded[t] && ticket[1 - t] -> ticket[1 - t] = 0
                          :: else -> if :: ticket[t] -> ticket[t] = 0 :: else -> refs++ fi fi; loaded[t] = 1
              :: else fi;
           assert(ok || loaded[t] || expired[t]) };
#else
  if
  :: d_step {
       UNLOCKED;
       ok = (BUG == 2 -> serial != 0 : serial == 1);
       assert(ok || loaded[t] || expired[t]);           /* the first load of an open ticket succeeds */
       if
       :: ok -> ROW(p, 0) = 1; has[(p)*ROWS] = 1; if :: ticket[t] -> ticket[t] = 0 :: else -> refs++ fi; loaded[t] = 1; SOUND
       :: else
       fi }
  OR_DIE(p)
  fi
#endif
}
inline send(t) {
  if :: d_step { UNLOCKED; if :: serial == 1 -> ticket[t] = 1; refs++ :: else fi } OR_DIE(0) fi;
  if :: msg[t] = 1 OR_DIE(0) fi
}
proctype parent() {
  GIL;
#if BUG == 3
  drop(0, 0); send(0); goto out;
#endif
#if RECEIVE > 0
  send(0);
#endif
#if RECEIVE > 1
  if :: send(1) :: skip fi;
#endif
#ifdef EXCHANGE
  if :: d_step { heap = 0; pending = 2; SOUND } OR_DIE(0) fi;         /* allocate into the row; fill it with nothing held */
#if BUG == 10
  if :: link = 2 OR_DIE(0) fi;
  if :: pending = 1 OR_DIE(0) fi;
#else
  if
  :: d_step { link = 2; pending = 1; SOUND }        /* the exchange */
  :: skip                                              /* given up before: the row still names the new one */
  OR_DIE(0)
  fi;
#endif
  if :: d_step { heap = pending; pending = 0; SOUND } OR_DIE(0) fi; /* free what the row names */
#endif
  if
  :: /* fork::before: a slot for the child, rows at the same numbers, one record each */
     if :: d_step { reserved = 1; page_p = 1 } OR_DIE(0) fi;
#if BUG != 6
     if :: d_step { UNLOCKED; if :: has[0] -> ROW(3, 0) = 1; refs++; SOUND :: else fi } OR_DIE(0) fi;
     if :: d_step { UNLOCKED; if :: has[1] -> ROW(3, 1) = 1; refs++; SOUND :: else fi } OR_DIE(0) fi;
#endif
#if BUG == 12
     frozen = 1;
#endif
#ifdef THREAD
     /* another library's hook lets the GIL go */
     if :: d_step { gil = 0; window = 1 } OR_DIE(0) fi;
     if :: d_step { !gil -> gil = 1; window = 0 } OR_DIE(0) fi;
#endif
#if BUG == 7
     page_p = 0;
#endif
     if
     :: d_step { has[6] = has[0]; has[7] = has[1]; forked = 1;           /* fork */
#if BUG != 8
                 page_c = page_p
#endif
               }
     OR_DIE(0)
     fi;
#if BUG == 12
     frozen = 0;
#endif
#if BUG == 6
     d_step { UNLOCKED; if :: has[0] && serial == 1 -> ROW(3, 0) = 1; refs++ :: else fi };
#endif
     if :: page_p = 0 OR_DIE(0) fi
  :: skip
  fi;
  USE(0);
  if :: has[0] -> drop(0, 0) :: else fi;
  if :: gil = 0 OR_DIE(0) fi;
  if :: t_done OR_DIE(0) fi;
  if :: has[1] -> drop(0, 1) :: else fi;
out:
  atomic { ENDS(0) };
gone:
  skip
}
proctype thread() {                  /* in the window it makes a second handle, or drops the first */
  { GIL;
    if
    :: !frozen
    fi;                              /* membership cache: spins, the GIL held */
    if
    :: window && has[0] -> d_step { UNLOCKED; assert(ROW(0, 0)); ROW(0, 0) = 0; has[0] = 0; UNREF; SOUND }
    :: has[0] -> d_step { UNLOCKED; ROW(0, 1) = 1; refs++; has[1] = 1; SOUND }
    :: skip
    fi;
    d_step { t_done = 1; gil = 0 } } unless { dead[0] }
}
proctype receiver(byte me) {
  bool ok; byte n;
  do
  :: n < LOADS && msg[0] -> n++; receive(me, 0, ok); USE(me); if :: ok -> drop(me, 0) :: else fi
  :: n < LOADS && me == 2 && msg[1] -> n++; receive(me, 1, ok); USE(me); if :: ok -> drop(me, 0) :: else fi
  :: break
  od;
  atomic { ENDS(me) };
gone:
  atomic { ok = 0; n = 0 }
}
proctype child() {
  forked;
#if defined(THREAD) && BUG != 11 && BUG != 12
  /* directory::settle_members: the reservation's rows against the handles that the fork really copied */
  if :: d_step { UNLOCKED; if :: ROW(3, 0) && !has[6] -> ROW(3, 0) = 0; UNREF; SOUND :: else fi } OR_DIE(3) fi;
  if
  :: d_step { UNLOCKED; if :: has[7] && !ROW(3, 1) -> if :: serial == 1 -> ROW(3, 1) = 1; refs++ :: else -> has[7] = 0 fi
                           :: else fi }
  OR_DIE(3)
  fi;
#endif
  /* is_member asks before the first use of each handle, by its row */
  d_step { assert(!has[6] || ROW(3, 0));               /* so `p.start(); del v` is safe */
           if :: has[7] && !ROW(3, 1) -> has[7] = 0 :: else fi };
  USE(3);
  USE(3);
  /* a new handle takes the first row that the membership cache takes for free: here it is the same object's */
  if :: d_step { UNLOCKED; if :: !has[6] && serial == 1 -> ROW(3, 0) = 1; refs++; has[6] = 1; SOUND :: else fi } OR_DIE(3) fi;
  if :: has[6] -> drop(3, 0) :: else fi;
  if :: has[7] -> drop(3, 1) :: else fi;
  atomic { ENDS(3) };
gone:
  skip
}
/* drain: a row, a record */
#if REAPERS > 0
#define OR_DIES :: atomic { nreap < REAPERS -> nreap++; goto again }
#else
#define OR_DIES
#endif
inline apply() {                     /* in the order of drop_member's entries; again, it changes nothing */
  if :: refs = remain OR_DIES fi;
  if :: d_step { remain == 0 -> serial = 0; heap = heap | link; link = 0 } :: remain != 0 OR_DIES fi;
  if :: member[record - 1] = 0 OR_DIES fi;
#if BUG == 14
  if :: dir = 0 OR_DIES fi;
#endif
  if :: d_step { record = 0; remain = 0 } OR_DIES fi
}
inline drain_row(k) {
  if
  :: member[k] ->
#if BUG == 9
     d_step { UNREF }; member[k] = 0
#elif REAPERS > 0
     if :: dir = 1 OR_DIES fi;
     if :: d_step { record = k + 1; remain = refs - 1 } OR_DIES fi;      /* commit */
     apply();
     if :: d_step { dir = 0; SOUND } OR_DIES fi
#else
     d_step { member[k] = 0; UNREF; SOUND }
#endif
  :: else
  fi
}
inline drain(p) {
  if :: d_step { p == 0 -> heap = heap | pending; pending = 0; SOUND } :: p != 0 OR_DIES fi;
  drain_row(2 * p);
  drain_row(2 * p + 1);
  if :: reaped[p] = 1 OR_DIES fi
}
proctype drainer() {
again:
#if REAPERS > 0
  /* recover::reap of the drainer before this one: what was committed is done, then its locks are free */
#if BUG == 13
  record = 0; remain = 0;
#else
  if :: record -> apply() :: else fi;
#endif
  dir = 0;
#endif
  do
  :: dead[0] && !reaped[0] -> drain(0)
  :: dead[1] && !reaped[1] -> drain(1)
  :: dead[2] && !reaped[2] -> drain(2)
  :: reserved && !reaped[3] && !page_p && !page_c -> drain(3)
#if BUG == 4
  :: d_step { dead[0] && ticket[0] -> ticket[0] = 0; UNREF }
#endif
  :: d_step { dead[0] && ticket[0] -> ticket[0] = 0; expired[0] = 1; UNREF; SOUND }   /* a minute later */
  :: d_step { dead[0] && ticket[1] -> ticket[1] = 0; expired[1] = 1; UNREF; SOUND }
  od
}
proctype other() { if :: d_step { UNLOCKED && serial == 0 -> serial = 2 } :: skip fi }   /* the row lives again */
proctype monitor() {
  timeout ->
  assert(dead[0] && dead[1] && dead[2]);              /* nobody hangs */
  assert(!forked || dead[3]);
  assert(!reserved || reaped[3]);
  assert(serial != 1);                                /* nothing is kept for ever */
  assert(heap == 3)
}
init { atomic {
  ROW(0, 0) = 1; has[0] = 1;
  run parent(); run child();
  if :: RECEIVE > 0 -> run receiver(1) :: else -> dead[1] = 1; reaped[1] = 1 fi;
  if :: RECEIVE > 1 -> run receiver(2) :: else -> dead[2] = 1; reaped[2] = 1 fi;
  run other(); run drainer();
#ifdef THREAD
  t_done = 0; run thread();
#endif
  run monitor() } }
