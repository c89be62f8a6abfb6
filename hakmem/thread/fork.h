// Fork: the child repairs what the threads it does not have left behind.
//
// Nothing is done before a fork. Taking the allocator's locks there deadlocks: another thread may
// hold a lock of stdio's, wait for ours, and be waited for by fork itself; and a fork in a signal
// handler would wait for the very thread it interrupted. So the child finds memory as a snapshot
// taken while the other threads were running, which for each of them is a prefix of its stores.
//
// - A lock whose word names another thread was held: what it protects is derived anew from truths
//   that are one store each (states, bitmaps); a SuperSlab caught in change is given up.
// - A heap whose thread is gone gives its slabs up for adoption. If it was not between
//   hak_thread_enter and hak_thread_leave, the blocks in its magazines are returned too; if it
//   was, they are lost, at most a cache's worth.
// - A forking thread that was itself inside the allocator (a signal handler interrupted it) goes
//   on after the handler with its own structures and lists untouched; other threads' slabs are
//   then given up rather than adopted.
//
// On x86 the snapshot is a prefix of each thread's stores because stores become visible in order,
// and one to a page that is already copied faults and waits until the fork is over.

#ifndef HAKMEM_FORK_H_
#define HAKMEM_FORK_H_

// Registers the child's repair with pthread_atfork, once. Called when the library is loaded and by
// the first thread that begins, whichever comes first: as early as can be, since child handlers run
// in the order of registration, and others may allocate; and while no other thread can hold a lock.
void hak_fork_register(void);

#endif  // HAKMEM_FORK_H_
