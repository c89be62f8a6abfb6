#!/usr/bin/env python3
"""Explores the protocol of idle.h in full: every interleaving of an owner, whose stores wait in a
FIFO store buffer (x86's TSO), with a visitor, in a model of one magazine.

The names of the steps are those of idle.c, magazine.c and heap.c. Time is modelled as what it
stands for: when the grace is over, the owner's stores from before its beginning have left the
buffer. What is checked: the visitor and a slow path of the owner are never both at work on the
heap, and in the end every block is in one place.
"""

import sys
import unittest
from collections import namedtuple

NONE, ASKED, FENCED, ACTING = range(4)

# Memory is a tuple: [0] busy, [1] top, [2] bottom, [3] the slot below the first, then the slots.
BUSY, TOP, BOTTOM, SLOT = 0, 1, 2, 3

State = namedtuple(
    "State", "memory buffer reclaim locked fence fenced owner at value ops held inside "
    "visitor old returned")


def with_item(memory, address, value):
    return memory[:address] + (value,) + memory[address + 1:]


class Model:
    """`grace`: whether the visitor waits."""

    def __init__(self, blocks, held, ops, grace=True):
        self.grace = grace
        self.ops = ops
        slots = (0,) + tuple(range(1, blocks + 1)) + (0,) * (held + 1)
        self.blocks = set(range(1, blocks + held + 1))
        self.start = State((0, SLOT + 1 + blocks, SLOT + 1) + slots, (), NONE, False, 0, 0, "idle",
                           0, 0, 0, frozenset(range(blocks + 1, blocks + held + 1)), False, "ask", 0,
                           frozenset())
        self.taken = 0

    # ---- the owner ----

    @staticmethod
    def load(s, address):
        for at, value in reversed(s.buffer):
            if at == address:
                return value
        return s.memory[address]

    @staticmethod
    def store(s, address, value):
        return s._replace(buffer=s.buffer + ((address, value),))

    def drain(self, s):
        if s.buffer:
            (address, value), rest = s.buffer[0], s.buffer[1:]
            yield s._replace(memory=with_item(s.memory, address, value), buffer=rest,
                             old=max(0, s.old - 1))

    def owner(self, s):
        step = s.owner
        if step == "idle" and s.ops < self.ops:
            more = s._replace(ops=s.ops + 1)
            yield more._replace(owner="pop", at=self.load(s, TOP) - 1)
            if self.load(s, TOP) < len(s.memory):
                for block in s.held:
                    yield more._replace(owner="push", at=self.load(s, TOP), value=block)
            yield self.store(more, BUSY, 1)._replace(owner="enter")
        elif step == "pop":
            block = self.load(s, s.at)
            if block == 0:  # hak_malloc_refill
                yield self.store(s, BUSY, 1)._replace(owner="enter")
            else:
                assert block not in s.held and block not in s.returned, "popped what is elsewhere"
                yield self.store(s, TOP, s.at)._replace(owner="idle", held=s.held | {block})
        elif step == "push":
            yield self.store(s, s.at, s.value)._replace(owner="push top")
        elif step == "push top":
            yield self.store(s, TOP, s.at + 1)._replace(owner="idle", held=s.held - {s.value})
        elif step == "enter":
            if s.reclaim == NONE:
                yield s._replace(owner="inside", inside=True)
            elif s.reclaim == ACTING:  # hak_heap_show_life
                yield self.store(s, BUSY, 0)._replace(owner="wait")
            elif not s.buffer:  # a compare-and-swap drains the buffer
                fenced = s.reclaim == FENCED
                yield s._replace(reclaim=NONE, owner="lower" if fenced else "inside", inside=True)
        elif step == "lower":
            yield self.lower(s)._replace(owner="inside")
        elif step == "wait" and not s.locked and not s.buffer:
            yield self.store(s, BUSY, 1)._replace(owner="enter")
        elif step == "inside":  # hak_heap_leave
            yield self.store(s, BUSY, 0)._replace(owner="idle", inside=False)

    # ---- the visitor: each visit holds the lock ----

    @staticmethod
    def lower(s):
        if s.fence == 0:
            return s
        memory = s.memory
        if memory[s.fence] == 0:
            memory = with_item(memory, s.fence, s.fenced)
        return s._replace(memory=memory, fence=0)

    def visitor(self, s):
        step = s.visitor
        is_late = s.old == 0 or not self.grace
        if step == "ask":
            if s.reclaim == NONE:
                yield s._replace(reclaim=ASKED, visitor="begin fences", old=len(s.buffer))
        elif step in ("begin fences", "begin take") and is_late:
            expected = ASKED if step == "begin fences" else FENCED
            if s.reclaim == expected:
                yield s._replace(reclaim=ACTING, locked=True, visitor=step[6:] + " if not busy")
            else:
                yield s._replace(visitor="over")
        elif step.endswith(" if not busy"):
            if s.memory[BUSY] == 0:
                yield s._replace(visitor=step.split()[0])
            else:
                yield self.lower(s)._replace(reclaim=NONE, locked=False, visitor="over")
        elif step == "fences":
            assert not s.inside, "both at work"
            top = s.memory[TOP]
            yield s._replace(visitor="raise" if top >= s.memory[BOTTOM] + 2 else "raised",
                             fence=top - 2 if top >= s.memory[BOTTOM] + 2 else 0)
        elif step == "raise":
            assert not s.inside, "both at work"
            yield s._replace(fenced=s.memory[s.fence], memory=with_item(s.memory, s.fence, 0),
                             visitor="raised")
        elif step == "raised":
            yield s._replace(reclaim=FENCED, locked=False, visitor="begin take",
                             old=len(s.buffer))
        elif step == "take":
            assert not s.inside, "both at work"
            is_above = s.fence != 0 and s.memory[TOP] > s.fence + 1
            yield s._replace(visitor="take above" if is_above else "give way")
        elif step == "take above":
            if s.memory[s.fence] != 0:
                yield s._replace(visitor="give way")
            else:
                gone = s.memory[s.memory[BOTTOM]:s.fence] + (s.fenced,)
                assert not set(gone) & (s.held | s.returned) and 0 not in gone, "took what is not there"
                self.taken += 1
                yield s._replace(memory=with_item(s.memory, BOTTOM, s.fence + 1), fence=0,
                                 returned=s.returned | set(gone), visitor="give way")
        elif step == "give way":
            assert not s.inside, "both at work"
            yield self.lower(s)._replace(reclaim=NONE, locked=False, visitor="over")

    # ---- all of it ----

    def explore(self):
        seen, waiting = set(), [self.start]
        while waiting:
            s = waiting.pop()
            if s in seen:
                continue
            seen.add(s)
            following = [*self.drain(s), *self.owner(s), *self.visitor(s)]
            if not following:
                assert s.owner == "idle" and s.visitor == "over", f"stuck: {s}"
                there = list(s.memory[s.memory[BOTTOM]:s.memory[TOP]]) + [*s.held, *s.returned]
                assert sorted(there) == sorted(self.blocks), f"a block is lost or twice: {s}"
            waiting += following
        return len(seen)


class IdleModelTest(unittest.TestCase):
    def test_every_block_is_in_one_place(self):
        for blocks, held, ops in ((2, 1, 4), (3, 1, 4), (3, 2, 4), (4, 0, 5), (2, 0, 5)):
            model = Model(blocks, held, ops)
            states = model.explore()
            print(f"{blocks} blocks, {held} held, {ops} operations: {states} states")
            self.assertGreater(model.taken, 0)

    def test_the_model_sees_what_happens_without_the_grace(self):
        with self.assertRaises(AssertionError):
            Model(3, 1, 4, grace=False).explore()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
