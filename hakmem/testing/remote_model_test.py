#!/usr/bin/env python3
"""Explores in full how blocks that others freed come home to their slab (slab.h, flush.c, central.c):
every interleaving of threads that free blocks of one slab, of its owner, and of a thread that adopts it.

The names of the steps are those of the functions. Each thread's stores wait in a FIFO store buffer
(x86's TSO); an atomic operation that also reads, and taking a lock, drain it. What only the owner
touches needs no buffer: whoever comes next has seen a later store of its. What is checked:
nobody touches the slab once its pages have been given away; it waits in one stack, once; what only
the owner may touch is touched by nobody else; and in the end every freed block has come home and a slab
without live blocks has been given away.
"""

import sys
import unittest
from collections import namedtuple

NONE, WAITS, CLOSED = "none", "waits", "closed"  # a heap's `pending`: hak_flush_pending, _close

# Shared memory. `owner`: a heap, or None. `remote`: the bits; `count`: remote_count.
Memory = namedtuple("Memory", "owner pending remote count lock")
# What is the owner's, or of whoever holds the class's lock; and whether the slab is gone.
Slab = namedtuple("Slab", "free uncounted gone")
# A thread: where it is, what it holds in registers, its store buffer, and what it will still do.
Thread = namedtuple("Thread", "at register buffer todo")
State = namedtuple("State", "memory slab threads")

# What a thread may have to do, and the step that begins it.
PLANS = {
    "free": "bits",  # a block of the slab: hak_slab_free_remote
    "free and purge": "bits",  # the same, with hak_slab_purge_remote
    "free own": "put",  # its owner's: hak_slab_put
    "collect": "collect",  # a refill: hak_slab_collect
    "take news": "pending",  # hak_flush_pending
    "end": "abandon lock",  # the thread ends: hak_central_abandon, then hak_flush_close
    "adopt": "adopt lock",  # hak_central_adopt
}


class Model:
    """`plans`: what each thread has to do, in order: pairs of a name and the blocks. The first thread is
    the owner. `faults`: what is done wrongly, to see that the model notices."""

    def __init__(self, n_blocks, live, plans, faults=()):
        self.all = frozenset(range(n_blocks))
        self.faults = faults
        pending = tuple(NONE for _ in plans)
        memory = Memory(0, pending, frozenset(), 0, None)
        self.start = State(memory, Slab(self.all - live, 0, False),
                           tuple(Thread("idle", None, (), tuple(todo)) for todo in plans))

    # ---- memory ----

    @staticmethod
    def with_thread(s, t, **changes):
        thread = s.threads[t]._replace(**changes)
        return s._replace(threads=s.threads[:t] + (thread,) + s.threads[t + 1:])

    @staticmethod
    def store(s, t, field, value):
        buffer = s.threads[t].buffer + ((field, value),)
        return Model.with_thread(s, t, buffer=buffer)

    @staticmethod
    def load(s, t, field):
        for at, value in reversed(s.threads[t].buffer):
            if at == field:
                return value
        return getattr(s.memory, field)

    def drain(self, s, t):
        buffer = s.threads[t].buffer
        if buffer:
            (field, value), rest = buffer[0], buffer[1:]
            yield self.with_thread(s._replace(memory=s.memory._replace(**{field: value})), t,
                                   buffer=rest)

    @staticmethod
    def set_pending(s, t, value):
        pending = s.memory.pending
        return s._replace(memory=s.memory._replace(pending=pending[:t] + (value,) + pending[t + 1:]))

    # ---- the slab ----

    @staticmethod
    def touch(s):
        assert not s.slab.gone, f"touched after it was given away: {s}"

    def touch_as_owner(self, s, t):
        self.touch(s)
        holds = s.memory.lock == t and self.load(s, t, "owner") is None
        assert holds or self.load(s, t, "owner") == t, f"touched by another than its owner: {s}"

    def take_bits(self, s, t):
        """hak_slab_collect."""
        self.touch_as_owner(s, t)
        bits = self.load(s, t, "remote")
        if bits == self.all and "plain take" in self.faults:
            s = self.store(s, t, "remote", frozenset())
        elif bits:
            if s.threads[t].buffer:
                return None
            s = s._replace(memory=s.memory._replace(remote=frozenset()))
        assert not bits & s.slab.free, "a block came home twice"
        counted = "count untold" in self.faults
        return s._replace(slab=s.slab._replace(
            free=s.slab.free | bits, uncounted=s.slab.uncounted + (0 if counted else len(bits))))

    def take_count(self, s, t):
        self.touch_as_owner(s, t)
        if s.threads[t].buffer:
            return None
        return s._replace(memory=s.memory._replace(count=0), slab=s.slab._replace(
            uncounted=s.slab.uncounted - s.memory.count))

    def gained(self, s, t):
        """own_gained and unowned_gained: an idle slab's pages are given away."""
        self.touch_as_owner(s, t)
        if s.slab.free == self.all and s.slab.uncounted == 0:
            s = s._replace(slab=s.slab._replace(gone=True))
        return s

    # ---- the threads ----

    def acquire(self, s, t, then):
        if s.memory.lock is None and not s.threads[t].buffer:
            yield self.with_thread(s._replace(memory=s.memory._replace(lock=t)), t, at=then)

    def release(self, s, t, then, **changes):
        return self.with_thread(self.store(s, t, "lock", None), t, at=then, **changes)

    def go(self, s, t, then, **changes):
        if s is not None:
            yield self.with_thread(s, t, at=then, **changes)

    def step(self, s, t):
        """What a thread may do next: states."""
        me = s.threads[t]
        name = me.at.replace(" ", "_")
        if me.at == "idle":
            yield from self.begin(s, t)
        else:
            yield from getattr(self, name)(s, t, me)

    def begin(self, s, t):
        todo = s.threads[t].todo
        if not todo:
            return
        (plan, argument), rest = todo[0], todo[1:]
        owns = not s.slab.gone and self.load(s, t, "owner") == t
        if plan in ("free own", "collect", "end") and not owns:
            # It has lost it, or never had it: then its own blocks are as others'.
            plan = "free" if plan == "free own" else "close" if plan == "end" else "nothing"
        purges = plan == "free and purge"
        if purges:
            plan = "free"
        at = {"nothing": "idle", "close": "close"}.get(plan) or PLANS[plan]
        if plan == "free":
            at = "announce" if "count first" in self.faults else "bits"
            argument = (argument, None, purges)
        yield self.with_thread(s, t, at=at, register=argument, todo=rest)

    # A thread that frees: step 1, step 2, and telling. The register: the blocks' bits, and whether
    # the owner is to be told (None: not known yet).

    def bits(self, s, t, me):
        self.touch(s)
        bits, tells, purges = me.register
        if bits == self.all:
            assert not self.load(s, t, "remote"), "freed twice"
            s = self.store(s, t, "remote", bits)
        elif me.buffer:
            return
        else:
            assert not s.memory.remote & bits, "freed twice"
            s = s._replace(memory=s.memory._replace(remote=s.memory.remote | bits))
        then = "hold" if purges else {None: "announce", True: "tell", False: "idle"}[tells]
        yield self.with_thread(s, t, at=then)

    # hak_slab_purge_remote: all bits are taken, the memory goes back, they are set again.

    def hold(self, s, t, me):
        self.touch(s)
        if self.load(s, t, "remote") != self.all:
            yield self.with_thread(s, t, at="announce")
        elif not me.buffer:
            s = s._replace(memory=s.memory._replace(remote=frozenset()))
            yield self.with_thread(s, t, at="purge")

    def purge(self, s, t, me):
        self.touch(s)
        assert not s.slab.free, f"the owner may use what is given back: {s}"
        assert not self.load(s, t, "remote"), f"freed twice: {s}"
        yield self.with_thread(self.store(s, t, "remote", self.all), t, at="announce")

    def announce(self, s, t, me):
        self.touch(s)
        if me.buffer:
            return
        bits, _, purges = me.register
        tells = s.memory.count == 0
        s = s._replace(memory=s.memory._replace(count=s.memory.count + len(bits)))
        then = "bits" if "count first" in self.faults else "tell" if tells else "idle"
        yield self.with_thread(s, t, at=then, register=(bits, tells, purges))

    def tell(self, s, t, me):
        self.touch(s)
        owner = self.load(s, t, "owner")
        if owner is None:
            yield self.with_thread(s, t, at="absorb lock")
        else:
            yield self.with_thread(s, t, at="push", register=owner)

    def push(self, s, t, me):
        owner = me.register
        if me.buffer:
            return
        pending = s.memory.pending[owner]
        if pending == CLOSED:  # the owner is looked at anew
            yield self.with_thread(s, t, at="tell")
            return
        self.touch(s)
        assert pending == NONE, f"waits twice: {s}"
        assert WAITS not in s.memory.pending, f"waits in two stacks: {s}"
        yield self.with_thread(self.set_pending(s, owner, WAITS), t, at="idle")

    # hak_central_absorb

    def absorb_lock(self, s, t, me):
        self.touch(s)
        yield from self.acquire(s, t, "absorb")

    def absorb(self, s, t, me):
        self.touch(s)
        if s.memory.owner is not None:
            yield self.release(s, t, "tell")
        else:
            yield from self.go(self.take_count(s, t), t, "absorb bits")

    def absorb_bits(self, s, t, me):
        yield from self.go(self.take_bits(s, t), t, "absorb gained")

    def absorb_gained(self, s, t, me):
        yield self.release(self.gained(s, t), t, "idle")

    # The owner: blocks of its own, refills, news.

    def put(self, s, t, me):
        self.touch_as_owner(s, t)
        s = s._replace(slab=s.slab._replace(free=s.slab.free | me.register))
        yield self.with_thread(self.gained(s, t), t, at="idle")

    def collect(self, s, t, me):
        yield from self.go(self.take_bits(s, t), t, "idle")

    def pending(self, s, t, me, replacement=NONE):
        if me.buffer:
            return
        waits = s.memory.pending[t] == WAITS
        s = self.set_pending(s, t, replacement)
        yield self.with_thread(s, t, at="stack" if waits else "idle")

    def stack(self, s, t, me):
        self.touch(s)
        yield self.with_thread(s, t, at="news" if self.load(s, t, "owner") == t else "tell")

    def news(self, s, t, me):
        yield from self.go(self.take_count(s, t), t, "news bits")

    def news_bits(self, s, t, me):
        yield from self.go(self.take_bits(s, t), t, "news gained")

    def news_gained(self, s, t, me):
        yield self.with_thread(self.gained(s, t), t, at="idle")

    # The thread ends: hak_central_abandon, hak_flush_close.

    def abandon_lock(self, s, t, me):
        yield from self.acquire(s, t, "abandon")

    def abandon(self, s, t, me):
        self.touch_as_owner(s, t)
        yield self.with_thread(self.store(s, t, "owner", None), t, at="abandon bits")

    def abandon_bits(self, s, t, me):
        yield from self.go(self.take_bits(s, t), t, "abandon gained")

    def abandon_gained(self, s, t, me):
        yield self.release(self.gained(s, t), t, "close")

    def close(self, s, t, me):
        if "no close" in self.faults:
            yield self.with_thread(s, t, at="idle")
            return
        yield from self.pending(s, t, me, CLOSED)

    # hak_central_adopt: only what has free blocks is in the list.

    def adopt_lock(self, s, t, me):
        yield from self.acquire(s, t, "adopt")

    def adopt(self, s, t, me):
        if not s.slab.gone and s.memory.owner is None and s.slab.free:
            s = self.store(s, t, "owner", t)
        yield self.release(s, t, "idle")

    # ---- all of it ----

    def at_end(self, s):
        assert all(thread.at == "idle" and not thread.todo for thread in s.threads), f"stuck: {s}"
        if s.slab.gone:
            self.gone += 1
            return
        # Whoever is the owner takes what waits for it, sooner or later.
        owner = s.memory.owner
        if owner is not None and s.memory.pending[owner] == WAITS:
            s = self.set_pending(s, owner, NONE)
            for step in (self.take_count, self.take_bits, self.gained):
                s = step(s, owner)
            s = next(self.drain(s, owner), s)
        assert WAITS not in s.memory.pending, f"waits where nobody looks: {s}"
        assert s.memory.count == 0 and s.slab.uncounted == 0, f"news that nobody was told of: {s}"
        assert not s.memory.remote, f"a block has not come home: {s}"
        assert s.slab.gone or s.slab.free != self.all, f"kept though nothing is live: {s}"

    def explore(self):
        self.gone = 0
        seen, waiting = set(), [self.start]
        while waiting:
            s = waiting.pop()
            if s in seen:
                continue
            seen.add(s)
            following = []
            for t in range(len(s.threads)):
                following += self.drain(s, t)
                following += self.step(s, t)
            if not following:
                self.at_end(s)
            waiting += following
        return len(seen)


def blocks(*numbers):
    return frozenset(numbers)


# Each: blocks of the slab, those that are live, and what each thread has to do.
CASES = {
    "two threads free what the owner takes": (2, blocks(0, 1), [
        [("collect", None), ("take news", None)],
        [("free", blocks(0))],
        [("free", blocks(1))]]),
    "the owner frees too": (3, blocks(0, 1, 2), [
        [("free own", blocks(2)), ("collect", None), ("take news", None)],
        [("free", blocks(0))],
        [("free", blocks(1))]]),
    "the owner ends": (4, blocks(0, 1, 2), [
        [("collect", None), ("take news", None), ("end", None)],
        [("free", blocks(0)), ("free", blocks(2))],
        [("free", blocks(1))]]),
    "the owner ends, another adopts": (4, blocks(0, 1, 2), [
        [("collect", None), ("end", None)],
        [("adopt", None), ("take news", None), ("collect", None)],
        [("free", blocks(0)), ("free", blocks(1))],
        [("free", blocks(2))]]),
    "it is abandoned, adopted and abandoned again": (3, blocks(0, 1), [
        [("end", None)],
        [("adopt", None), ("end", None)],
        [("free", blocks(0))],
        [("free", blocks(1))]]),
    "all blocks at once, by plain stores": (2, blocks(0, 1), [
        [("collect", None), ("take news", None), ("end", None)],
        [("adopt", None), ("collect", None)],
        [("free", blocks(0, 1))]]),
    "what others have freed is given back meanwhile": (2, blocks(0, 1), [
        [("collect", None), ("take news", None), ("end", None)],
        [("free and purge", blocks(0))],
        [("free and purge", blocks(1))]]),
    "the same, all at once, and another adopts": (2, blocks(0, 1), [
        [("collect", None), ("end", None)],
        [("adopt", None), ("collect", None)],
        [("free and purge", blocks(0, 1))]]),
}


class RemoteModelTest(unittest.TestCase):
    def test_every_block_comes_home(self):
        for name, case in CASES.items():
            with self.subTest(name):
                model = Model(*case)
                states = model.explore()
                print(f"{name}: {states} states")
                self.assertGreater(model.gone, 0)

    def test_the_model_sees_faults(self):
        for fault, name in (("count untold", "two threads free what the owner takes"),
                            ("count first", "the owner ends"),
                            ("no close", "the owner ends, another adopts"),
                            ("plain take", "the same, all at once, and another adopts")):
            with self.subTest(fault), self.assertRaises(AssertionError):
                Model(*CASES[name], faults=(fault,)).explore()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
