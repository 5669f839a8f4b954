/* Locks, journal, two-phase recovery, registration and draining under SIGKILL: crates/core/src/
 * lock, journal, operation, space (run_as, stand, register), recover, drain, participant.
 *
 * Each atomic{} that is not marked otherwise is one store, compare-and-exchange or fcntl of the code.
 * At each of them the process may die instead (DIE); the kernel then drops its byte locks one by one,
 * in any order, and a new process comes in its place.
 *
 *  flag     default  meaning
 *  NP       2        processes
 *  NS       3        slots; the last one is the reserved slot
 *  OPS      10       what process i does, decimal digit i from the right:
 *                    0 T: object's lock, then a second one is tried; pair, link, magazine in one record
 *                    1 H: heap lock; refill of the magazine, or flush
 *                    2 K: object's lock, then the heap lock is tried; link and bitmap in one record
 *  MAXC     1        deaths anywhere
 *  MAXR     1        further deaths, only while reaping or draining
 *  ALIVE    1        1: all processes are registered at first; 0: they register
 *  GUEST    1        0: the reserved slot is an ordinary one that newcomers may not drain from
 *  LIVE     -        check that all gets done in the end (weak fairness), not only safety
 *  BUG      0        a seeded bug, see the table
 *
 *  BUG  1 generation advanced before replay      2 record cleared before it is applied
 *       3 bitmap written without the heap lock   4 slot published before its records are zeroed
 *       5 reaped without looking again           6 reaped without the byte
 *       7 replay leaves the sequence even        8 sequence even before the entries
 *       9 unlocked before apply                 10 registered without looking again
 *      11 DRAINING and generation in two stores 12 generation not advanced
 *      13 committed record forgotten            14 applied before commit
 *      15 slot freed without draining           16 a dead one's tables read before the drain lock
 *      17 a busy second lock's owner is never looked at (LIVE)
 *      18 a drained thing is given back and cleared in two records
 *      19 a past word is taken over by a store, not by compare-and-exchange
 *      20 a dead one's record is cleared before it is replayed (MAXR)
 *      21 a generation of one bit (two deaths)
 */
#ifndef NP
#define NP 2
#endif
#ifndef NS
#define NS 3
#endif
#ifndef OPS
#define OPS 10
#endif
#ifndef MAXC
#define MAXC 1
#endif
#ifndef MAXR
#define MAXR 1
#endif
#ifndef ALIVE
#define ALIVE 1
#endif
#ifndef GUEST
#define GUEST 1
#endif
#ifndef BUG
#define BUG 0
#endif

#define NO 9
#if BUG==21
#define GM 2
#else
#define GM 8                        /* generations: more than any run uses */
#endif
#define FREE 0
#define LIVING 1
#define DRAINING 2
#define RES (NS-1)
/* locks: the object's, a second one (say the retired list's), the heap's, and each slot's drain lock */
#define OBJECT 0
#define SECOND 1
#define HEAP 2
#define DRAIN(s) (3+(s))
#define NL (3+NS)
/* shared words: a pair and a link under the object's lock, one under the second, one bitmap, magazines */
#define X 0
#define Y 1
#define LINK 2
#define Z 3
#define BITMAP 4
#define MAG(s) (5+(s))
#define NM (5+NS)
#define BLOCKS 7                    /* three blocks, a bit each */

/* lock word: slot and generation; 0 is free.  Flags are left out: they only speed up sleepers. */
#define WORD(s,g) (1+(s)+4*(g))
#define SLOTOF(w) (((w)-1)&3)
#define GENOF(w) (((w)-1)>>2)
#define PAST(w) (gen[SLOTOF(w)]!=GENOF(w) || st[SLOTOF(w)]!=LIVING)
#define KIND(i) ((i)==0 -> (OPS)%10 : ((i)==1 -> ((OPS)/10)%10 : ((OPS)/100)%10))

byte st[NS], gen[NS];               /* a slot's state word: both always change in one step */
byte byte_of[NS];                   /* the kernel's lock on the slot's byte: process + 1 */
byte lk[NL], M[NM], seq;            /* seq mod 4 */
bit  commit[NS]; byte jn[NS], jseq[NS]; bit js_[NS];  /* thread record: entries, sequence noted */
byte jt[NS*5], jv[NS*5];
/* ghosts */
byte G[NM];                         /* memory as the committed records say it is */
byte lives[NS], hd[NL];             /* who really lives in a slot, holds a lock: process + 1 */
byte nc, nr, idle;

#define DIE :: atomic { (x!=NO||d!=NO) && nr<MAXR -> nr++; goto dead } \
            :: atomic { !((x!=NO||d!=NO) && nr<MAXR) && nc<MAXC -> nc++; goto dead }
#define PAIR assert((seq&1) || M[X]==M[Y])   /* what a reader sees under an even sequence */
#define ENTRY(k,t,v) jt[me*5+k]=t; jv[me*5+k]=v
#define WIPE(s) jn[s]=0; js_[s]=0; jseq[s]=0; \
  jt[s*5]=0; jt[s*5+1]=0; jt[s*5+2]=0; jt[s*5+3]=0; jt[s*5+4]=0; \
  jv[s*5]=0; jv[s*5+1]=0; jv[s*5+2]=0; jv[s*5+3]=0; jv[s*5+4]=0
/* A FREE slot's record means nothing: here it is a lie. */
#define LIE(s) WIPE(s); commit[s]=1; jn[s]=1; jt[s*5]=BITMAP; jv[s*5]=BLOCKS; M[MAG(s)]=BLOCKS
#define LOWEST(b) ((b)&(~(b)+1)&BLOCKS)
#define UNLOCK(k) :: atomic { (h&(1<<(k))) && !(h>>((k)+1)) -> assert(hd[k]==id+1 && lk[k]==WORD(me,gen[me])); \
                     lk[k]=0; hd[k]=0; h=h&(~(1<<(k))) }
#if NS==4
#define EACH(F) F(0) F(1) F(2) F(3)
#define NONE_FREE (st[0]!=FREE && st[1]!=FREE && st[2]!=FREE)
#define ALL_LIVE (st[0]==LIVING && st[1]==LIVING && st[2]==LIVING)
#define ORDINARY(F) F(0) F(1) F(2)
#elif NS==3
#define EACH(F) F(0) F(1) F(2)
#define NONE_FREE (st[0]!=FREE && st[1]!=FREE)
#define ALL_LIVE (st[0]==LIVING && st[1]==LIVING)
#define ORDINARY(F) F(0) F(1)
#else
#define EACH(F) F(0) F(1)
#define NONE_FREE (st[0]!=FREE)
#define ALL_LIVE (st[0]==LIVING)
#define ORDINARY(F) F(0)
#endif
#define SEE_DEAD(s) :: atomic { st[s]==LIVING && byte_of[s]==0 -> x=s; xg=gen[s] }
#define SEE_DRAINING(s) :: atomic { st[s]==DRAINING && byte_of[s]==0 -> d=s }
#define SEE_FREE(s) :: atomic { st[s]==FREE && byte_of[s]==0 -> r=s }

proctype P(byte id) {
  /* me: slot; x, xg: who is reaped; d: slot being drained; r: slot to register in; l, w: lock, word seen;
   * h: locks held; js: slot whose record is applied; rp: it is a replay; m: scratch; then: see UNLOCKED */
  byte me=NO, x=NO, xg=0, l=0, w=0, d=NO, r=NO, h=0, js=NO, i=0, m=0, then=0, back=0;
  bit rp=0, did=0;
#if ALIVE
  me=id; goto AGAIN;
#endif
REGISTER: /* space::register: reap, then claim; else be the guest that drains */
  if
  EACH(SEE_DEAD)
  ORDINARY(SEE_FREE)
#if GUEST
  :: atomic { NONE_FREE && !ALL_LIVE && st[RES]==FREE && byte_of[RES]==0 -> r=RES }
#endif
  DIE
  fi;
  if :: x!=NO -> back=1; goto REAP :: else fi;
  if                                           /* participant::claim: the byte, then look again */
  :: atomic { byte_of[r]==0 -> byte_of[r]=id+1 }
  :: atomic { byte_of[r]!=0 -> r=NO; goto REGISTER }
  fi;
  if
  :: atomic { st[r]==FREE || BUG==10 }
  :: atomic { !(st[r]==FREE || BUG==10) -> byte_of[r]=0; r=NO; goto REGISTER }
  DIE
  fi;
#if BUG==4
  if :: atomic { st[r]=LIVING; lives[r]=id+1; me=r } DIE fi;
#endif
  if :: atomic { commit[r]=0; WIPE(r) } DIE fi;
  if :: atomic { M[MAG(r)]=0; G[MAG(r)]=0 } DIE fi;
  if :: atomic { st[r]=LIVING; lives[r]=id+1; me=r; r=NO } DIE fi;

AGAIN: /* nothing held: begin, or begin again */
  if
#if GUEST
  :: me==RES -> goto AS_GUEST
#endif
  :: d!=NO -> goto DRAIN2
  :: did && d==NO -> goto IDLE
  :: else
  fi;
  if
#if BUG==3
  :: atomic { KIND(id)==1 -> goto H1 }
#else
  :: atomic { KIND(id)==1 -> l=HEAP; then=3; goto LOCK }
#endif
  :: atomic { KIND(id)!=1 -> l=OBJECT; then=(KIND(id)==0 -> 1 : 4); goto LOCK }
  EACH(SEE_DRAINING)                           /* growth sweeps first */
  DIE
  fi;
  goto DRAIN1;

IDLE: /* done; recovers the dead as anybody does who comes by */
  atomic { idle++ };
end_idle:
  if
  :: atomic { st[0]==LIVING && byte_of[0]==0 -> x=0; xg=gen[0]; idle-- }
  :: atomic { st[0]==DRAINING && byte_of[0]==0 -> d=0; idle-- }
  :: atomic { st[1]==LIVING && byte_of[1]==0 -> x=1; xg=gen[1]; idle-- }
  :: atomic { st[1]==DRAINING && byte_of[1]==0 -> d=1; idle-- }
#if NS>2
  :: atomic { st[2]==LIVING && byte_of[2]==0 -> x=2; xg=gen[2]; idle-- }
  :: atomic { st[2]==DRAINING && byte_of[2]==0 -> d=2; idle-- }
#endif
#if NS>3
  :: atomic { st[3]==LIVING && byte_of[3]==0 -> x=3; xg=gen[3]; idle-- }
  :: atomic { st[3]==DRAINING && byte_of[3]==0 -> d=3; idle-- }
#endif
  :: atomic { nc<MAXC -> nc++; idle--; goto dead }
  fi;
  if :: x!=NO -> back=2; goto REAP :: else -> goto DRAIN1 fi;

AS_GUEST: /* space::drain_as: sweep, let the byte go, reap the reserved slot, register anew */
#if GUEST
  if
  :: d!=NO -> goto DRAIN2
  :: else
  fi;
  if
  ORDINARY(SEE_DEAD)
  ORDINARY(SEE_DRAINING)
  :: atomic { did || !NONE_FREE || ALL_LIVE -> assert(M[MAG(me)]==0 && !commit[me] && h==0);
       lives[me]=0; byte_of[me]=0; x=me; xg=gen[me]; me=NO; did=0; back=1; goto REAP }
  DIE
  fi;
  if :: x!=NO -> back=2; goto REAP :: else -> goto DRAIN1 fi;
#endif

/* ---- the operations ---- */
T1: l=SECOND; then=2; goto LOCK;
T2:
  if
  :: atomic {
       assert(M[X]==G[X] && M[Y]==G[Y] && M[LINK]==G[LINK] && M[Z]==G[Z] && M[MAG(me)]==G[MAG(me)]);
       assert(M[X]==M[Y] && !(seq&1) && !commit[me]);
       ENTRY(0,X,(M[X]+1)&3); ENTRY(1,Y,(M[Y]+1)&3);
       m=LOWEST(M[MAG(me)]);
       ENTRY(2,LINK,m); ENTRY(3,MAG(me),(M[MAG(me)]&(~m))|M[LINK]); ENTRY(4,Z,(M[Z]+1)&3);
       jn[me]=5; js_[me]=1; jseq[me]=seq; m=0; then=11; goto COMMIT }
  DIE
  fi;
H1:
  if
  :: atomic {
       if :: BUG!=3 -> assert(M[BITMAP]==G[BITMAP]) :: else fi;
       assert(M[MAG(me)]==G[MAG(me)] && !commit[me]);
       if
       :: M[MAG(me)]==0 -> m=LOWEST(M[BITMAP]); ENTRY(0,BITMAP,M[BITMAP]&(~m)); ENTRY(1,MAG(me),m)
       :: else -> ENTRY(0,BITMAP,M[BITMAP]|M[MAG(me)]); ENTRY(1,MAG(me),0)
       fi;
       jn[me]=2; m=0; then=11; goto COMMIT }
  DIE
  fi;
K1: l=HEAP; then=5; goto LOCK;
K2:
  if
  :: atomic {
       assert(M[X]==G[X] && M[LINK]==G[LINK] && M[BITMAP]==G[BITMAP] && !(seq&1) && !commit[me]);
       ENTRY(0,X,(M[X]+1)&3); ENTRY(1,Y,(M[Y]+1)&3);
       m=LOWEST(M[BITMAP]);
       ENTRY(2,LINK,m); ENTRY(3,BITMAP,(M[BITMAP]&(~m))|M[LINK]);
       jn[me]=4; js_[me]=1; jseq[me]=seq; m=0; then=11; goto COMMIT }
  DIE
  fi;

/* ---- journal: commit, odd, apply, even, clear; our own record, or (rp) a dead one's ---- */
COMMIT:
#if BUG==14
  js=me; goto APPLY;
COMMIT_LATE:
#endif
  if
  :: atomic { js=me; commit[me]=1;
       do :: i<jn[me] -> G[jt[me*5+i]]=jv[me*5+i]; i++ :: else -> break od; i=0 }
  DIE
  fi;
#if BUG==14
  goto CLEAR;
#endif
#if BUG==2
  if :: atomic { commit[me]=0 } DIE fi;
#endif
#if BUG==9
  goto UNLOCKING;
#endif
ODD:
#if BUG==7
  if :: rp -> goto APPLY :: else fi;
#endif
  if
  :: atomic { !js_[js] -> goto APPLY }
  :: atomic { js_[js] -> seq=(jseq[js]+1)&3; PAIR }
  DIE
  fi;
#if BUG==8
  if :: atomic { seq=(jseq[js]+2)&3; PAIR } DIE fi;
#endif
APPLY:
  do
  :: atomic { i<jn[js] -> M[jt[js*5+i]]=jv[js*5+i];
       assert(jv[js*5+i]==G[jt[js*5+i]]);     /* what is stored is committed, and nothing newer is */
       assert(!rp || lives[js]==0);
       PAIR; i++ }
  :: atomic { i>=jn[js] -> i=0; break }
  DIE
  od;
  if
  :: atomic { !js_[js] }
  :: atomic { js_[js] -> seq=(jseq[js]+2)&3; PAIR }
  DIE
  fi;
#if BUG==14
  if :: !rp && !commit[me] -> goto COMMIT_LATE :: else fi;
#endif
CLEAR:
  if :: atomic { commit[js]=0; WIPE(js); js=NO } DIE fi;
  if :: rp -> rp=0; goto ADVANCE :: else fi;
#if BUG==9
  goto UNLOCKED;
#endif

/* ---- unlock: the last one taken first ---- */
UNLOCKING:
  if :: h==0 -> goto UNLOCKED :: else fi;
  if
  UNLOCK(0)
  UNLOCK(1)
  UNLOCK(2)
  UNLOCK(3)
  UNLOCK(4)
#if NS>2
  UNLOCK(5)
#endif
#if NS>3
  UNLOCK(6)
#endif
  DIE
  fi;
  goto UNLOCKING;
UNLOCKED:
#if BUG==9
  if :: js!=NO -> goto ODD :: else fi;
#endif
  atomic { if
  :: then==11 -> then=0; did=1; goto AGAIN
  :: then==12 -> then=0; goto DRAIN2          /* one thing given back: the next */
  :: then==13 -> then=0; goto DRAINED
  :: then==14 -> then=0; goto STAND           /* Busy */
  fi };

/* ---- lock::try_acquire; what is held makes the operation drop all and stand there ---- */
LOCK:
  if
  :: atomic { lk[l]==0 -> assert(hd[l]==0); lk[l]=WORD(me,gen[me]); hd[l]=id+1; h=h|(1<<l); l=0; goto LOCKED }
  :: atomic { lk[l]!=0 -> w=lk[l] }
  DIE
  fi;
  if                                           /* is_past: a load of the owner's state word */
  :: atomic { !PAST(w) -> w=0; then=14; goto UNLOCKING }
  :: atomic { PAST(w) }
  fi;
  if
#if BUG==19
  :: atomic { assert(hd[l]==0); lk[l]=WORD(me,gen[me]); hd[l]=id+1; h=h|(1<<l); w=0; l=0; goto LOCKED }
#else
  :: atomic { lk[l]==w -> assert(hd[l]==0); lk[l]=WORD(me,gen[me]); hd[l]=id+1; h=h|(1<<l); w=0; l=0; goto LOCKED }
  :: atomic { lk[l]!=w -> w=0; then=14; goto UNLOCKING }
#endif
  DIE
  fi;
LOCKED:
  atomic { if
  :: then==1 -> then=0; goto T1
  :: then==2 -> then=0; goto T2
  :: then==3 -> then=0; goto H1
  :: then==4 -> then=0; goto K1
  :: then==5 -> then=0; goto K2
  :: then==6 -> then=0; goto DRAIN3
  :: then==7 -> then=0; goto GIVE
  fi };

/* ---- lock::stand, with nothing held: until the word changes, or its owner is dead ---- */
STAND:
#if BUG==17
  w=lk[l]; l=0; w=0; goto AGAIN;
#endif
  atomic { w=lk[l] };
  if
  :: atomic { w==0 || PAST(w) -> l=0; w=0; goto AGAIN }
  :: atomic { w!=0 && !PAST(w) && byte_of[SLOTOF(w)]==0 -> x=SLOTOF(w); xg=GENOF(w); l=0; w=0; back=2; goto REAP }
  :: atomic { w!=0 && lk[l]!=w -> l=0; w=0; goto AGAIN }
  fi;

/* ---- recover::reap of slot x, generation xg ---- */
REAP:
#if BUG==6
  if :: atomic { st[x]==LIVING && gen[x]==xg && byte_of[x]==0 }
     :: atomic { !(st[x]==LIVING && gen[x]==xg && byte_of[x]==0) -> goto REAPED } DIE fi;
#else
  if
  :: atomic { byte_of[x]==0 -> byte_of[x]=id+1 }
  :: atomic { byte_of[x]!=0 -> goto REAPED }
  DIE
  fi;
#if BUG!=5
  if
  :: atomic { st[x]==LIVING && gen[x]==xg }
  :: atomic { !(st[x]==LIVING && gen[x]==xg) -> goto LET_GO }
  DIE
  fi;
#endif
#endif
#if BUG==1
  if :: atomic { gen[x]=(gen[x]+1)%GM } DIE fi;
#endif
#if BUG!=13
  if
  :: atomic { commit[x] -> js=x; rp=1; i=0; commit[x]=(BUG!=20); goto ODD }
  :: atomic { !commit[x] -> WIPE(x) }          /* not a store: what was not committed means nothing */
  DIE
  fi;
#endif
ADVANCE:
#if BUG==1
  if :: atomic { st[x]=(x==RES && GUEST -> FREE : DRAINING) } DIE fi;
#elif BUG==11
  if :: atomic { st[x]=(x==RES && GUEST -> FREE : DRAINING) } DIE fi;
  if :: atomic { gen[x]=(gen[x]+1)%GM } DIE fi;
#elif BUG==12
  if :: atomic { st[x]=(x==RES && GUEST -> FREE : DRAINING) } DIE fi;
#else
  if
  :: atomic { assert(lives[x]==0); gen[x]=(gen[x]+1)%GM;
       if
       :: GUEST && x==RES -> assert(M[MAG(x)]==0); st[x]=FREE; LIE(x)
       :: else -> st[x]=DRAINING
       fi }
  DIE
  fi;
#endif
LET_GO:
#if BUG!=6
  if :: atomic { byte_of[x]=0 } DIE fi;
#endif
REAPED:
  atomic { x=NO; xg=0; if :: back==1 -> back=0; goto REGISTER :: back==2 -> back=0; goto AGAIN fi };

/* ---- drain::drain of slot d; the byte is held throughout, the drain lock in each operation ---- */
DRAIN1:
  if
  :: atomic { byte_of[d]==0 -> byte_of[d]=id+1 }
  :: atomic { byte_of[d]!=0 -> d=NO; did=(did || me==RES); goto AGAIN }
  DIE
  fi;
  if
  :: atomic { st[d]==DRAINING }
  :: atomic { st[d]!=DRAINING -> goto DRAINED }
  DIE
  fi;
DRAIN2:
#if BUG==15
  goto STORE_FREE;
#endif
#if BUG==16
  if
  :: atomic { M[MAG(d)]==0 -> l=DRAIN(d); then=6; goto LOCK }
  :: atomic { M[MAG(d)]!=0 -> m=M[MAG(d)]; l=HEAP; then=7; goto LOCK }
  DIE
  fi;

#endif
  l=DRAIN(d); then=6; goto LOCK;
DRAIN3: /* the drain lock is held: whoever drained before and died has been replayed */
  if
#if BUG==16
  :: atomic { goto STORE_FREE }
#else
  :: atomic { M[MAG(d)]==0 -> assert(G[MAG(d)]==0); goto STORE_FREE }
  :: atomic { M[MAG(d)]!=0 -> assert(M[MAG(d)]==G[MAG(d)]); l=HEAP; then=7; goto LOCK }
#endif
  fi;
GIVE:
  if
  :: atomic {
#if BUG!=16
       m=M[MAG(d)];
#endif
       assert(M[BITMAP]==G[BITMAP]);
#if BUG==18
       if :: (M[BITMAP]&m)==0 -> ENTRY(0,BITMAP,M[BITMAP]|m); jn[me]=1
          :: else -> ENTRY(0,MAG(d),0); jn[me]=1 fi;
#else
       m=LOWEST(m);                             /* one block a record */
       ENTRY(0,MAG(d),M[MAG(d)]&(~m)); ENTRY(1,BITMAP,M[BITMAP]|m); jn[me]=2;
#endif
       m=0; then=12; goto COMMIT }
  DIE
  fi;
STORE_FREE:
  if :: atomic { st[d]=FREE; LIE(d); then=13; goto UNLOCKING } DIE fi;
DRAINED:
  if :: atomic { byte_of[d]=0; d=NO; did=(did || me==RES); goto AGAIN } DIE fi;

/* ---- SIGKILL ---- */
dead: skip;
  d_step {
    if :: me!=NO -> lives[me]=0 :: else fi;
    i=0; do :: i<NL -> if :: hd[i]==id+1 -> hd[i]=0 :: else fi; i++ :: else -> break od;
    me=NO; x=NO; xg=0; l=0; w=0; d=NO; r=NO; h=0; js=NO; i=0; m=0; then=0; back=0; rp=0; did=0 };
  do
  :: atomic { byte_of[0]==id+1 -> byte_of[0]=0 }
  :: atomic { byte_of[1]==id+1 -> byte_of[1]=0 }
#if NS>2
  :: atomic { byte_of[2]==id+1 -> byte_of[2]=0 }
#endif
#if NS>3
  :: atomic { byte_of[3]==id+1 -> byte_of[3]=0 }
#endif
  :: else -> break
  od;
  goto REGISTER
}

#define DUE(s) (st[s]!=FREE && byte_of[s]==0)
/* A lock word that names a living participant that does not hold the lock. */
#define STALE(k) (lk[k]!=0 && !PAST(lk[k]) && lives[SLOTOF(lk[k])]!=0 && hd[k]!=lives[SLOTOF(lk[k])])
#define IN(s) (st[s]==FREE -> 0 : M[MAG(s)])
#define SAME(s) (st[s]==FREE || M[MAG(s)]==G[MAG(s)])
#if NS==2
#define ANY_DUE (DUE(0)||DUE(1))
#define SUM (IN(0)+IN(1))
#define SAMES (SAME(0)&&SAME(1))
#define STALES (STALE(3)||STALE(4))
#elif NS==3
#define ANY_DUE (DUE(0)||DUE(1)||DUE(2))
#define SUM (IN(0)+IN(1)+IN(2))
#define SAMES (SAME(0)&&SAME(1)&&SAME(2))
#define STALES (STALE(3)||STALE(4)||STALE(5))
#else
#define ANY_DUE (DUE(0)||DUE(1)||DUE(2)||DUE(3))
#define SUM (IN(0)+IN(1)+IN(2)+IN(3))
#define SAMES (SAME(0)&&SAME(1)&&SAME(2)&&SAME(3))
#define STALES (STALE(3)||STALE(4)||STALE(5)||STALE(6))
#endif
#define QUIET (idle==NP && !ANY_DUE)

active proctype Monitor() {
end_monitor:
  do
  :: atomic { QUIET ->                         /* all done, all the dead recovered */
       assert(M[X]==G[X] && M[Y]==G[Y] && M[LINK]==G[LINK] && M[Z]==G[Z] && M[BITMAP]==G[BITMAP] && SAMES);
       assert(M[X]==M[Y] && !(seq&1));
       assert(M[LINK]+M[BITMAP]+SUM==BLOCKS);  /* with the next line: each block in one place */
       assert((M[LINK]&M[BITMAP])==0);
       assert(lk[OBJECT]==0 || PAST(lk[OBJECT]));
       assert(lk[SECOND]==0 || PAST(lk[SECOND]));
       assert(lk[HEAP]==0 || PAST(lk[HEAP])) }
  :: atomic { STALE(OBJECT)||STALE(SECOND)||STALE(HEAP)||STALES -> assert(false) }
  od
}

init {
  byte s=0;
  atomic {
    do
    :: s<NS ->
       if
       :: ALIVE && s<NP -> st[s]=LIVING; lives[s]=s+1; byte_of[s]=s+1
       :: else -> LIE(s)
       fi; s++
    :: else -> break
    od;
    M[LINK]=1;
    if :: ALIVE -> M[MAG(0)]=2; G[MAG(0)]=2; M[BITMAP]=4 :: else -> M[BITMAP]=6 fi;
    G[LINK]=M[LINK]; G[BITMAP]=M[BITMAP];
    s=0; do :: s<NP -> run P(s); s++ :: else -> break od;
    s=0
  }
}
#ifdef LIVE
ltl done { <>[] QUIET }
#endif
