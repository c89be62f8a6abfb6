// Every design constant of the allocator, with its unit and its reason.
//
// Words: an *OS page* is what the kernel uses (4, 16 or 64 KiB, read at run time); a *page* is
// always 64 KiB, the unit of the page map; a *SuperSlab* is an aligned region of pages.

#ifndef HAKMEM_CONFIG_H_
#define HAKMEM_CONFIG_H_

#include "hakmem/base/base.h"

#define HAK_KIB ((size_t)1024)
#define HAK_MIB (1024 * HAK_KIB)
#define HAK_GIB (1024 * HAK_MIB)

// ---- sizes ----

// glibc promises 16-byte alignment from the first byte on, and its own tests ask for it.
#define HAK_MIN_ALIGNMENT 16

// Live blocks of size 0 that have addresses of their own, which fault (zero_size.h): 1 MiB of them.
#define HAK_ZERO_SIZE_BLOCKS ((size_t)65536)

// Largest block that goes through magazines. Above it blocks are whole pages: see span_cache.h.
#define HAK_SMALL_MAX (32 * HAK_KIB)

// Classes 1..8 are 16 bytes apart up to 128; then 8 a doubling up to HAK_SMALL_MAX, so that the
// waste inside a block above 128 bytes is 12.5 % at the very most. Class 0 is none.
#define HAK_N_CLASSES 73

// Classes 1..3, of 16, 32 and 48 bytes: several of their blocks share a cache line. Each has a
// second number, its outgoing class (size_class.h).
#define HAK_N_LINE_CLASSES 3

// So a heap has so many stacks of blocks: of classes and of outgoing classes.
#define HAK_N_STACKS (HAK_N_CLASSES + HAK_N_LINE_CLASSES)

// For the heap profiler the page map has two kinds of numbers more, of which no heap has a stack: a
// watched class for each class, and one for slabs of sampled blocks, of any class. And so many
// numbers there are in all.
#define HAK_CLASS_SAMPLED (HAK_N_STACKS + HAK_N_CLASSES - 1)
#define HAK_N_ENTRIES (HAK_CLASS_SAMPLED + 1)

// ---- pages and SuperSlabs ----

// 64 KiB: the largest OS page of any Linux, and eight blocks of 8 KiB.
#define HAK_PAGE_SHIFT 16
#define HAK_PAGE_BYTES ((size_t)1 << HAK_PAGE_SHIFT)

// The smallest SuperSlab: the unit in which the page map knows SuperSlabs.
#define HAK_SUPER_MIN_SHIFT 19
#define HAK_SUPER_MAX_SHIFT 22
#define HAK_SUPER_DEFAULT_SHIFT \
  21  // 2 MiB: the huge page of x86-64 and of aarch64 with 4 KiB pages
#define HAK_SUPER_MAX_PAGES ((size_t)1 << (HAK_SUPER_MAX_SHIFT - HAK_PAGE_SHIFT))

// The smallest block takes 16 bytes, so a one-page slab has at most 4096 blocks. Classes with
// slabs of several pages have far fewer.
#define HAK_SLAB_MAX_BLOCKS (HAK_PAGE_BYTES / HAK_MIN_ALIGNMENT)
#define HAK_SLAB_MAX_WORDS (HAK_SLAB_MAX_BLOCKS / 64)

// Descriptors of pages (layout.h): two cache lines, one for a slab's owner and one for others.
// And their bitmaps: two for each slab, a bit a block, which for blocks of 64 bytes and more take
// 256 bytes together and for smaller ones up to 1024.
#define HAK_RUN_BYTES ((size_t)2 * HAK_CACHE_LINE)
#define HAK_BITMAP_BYTES ((size_t)256)
#define HAK_WIDE_BITMAP_BYTES (2 * HAK_SLAB_MAX_BLOCKS / 8)

// User addresses: 47 bits on x86-64, 48 on aarch64 (more only for programs that pass such hints
// to mmap, which the allocator never does).
#define HAK_ADDRESS_BITS 48

// No block can be larger, or aligned to more. Counts of SuperSlabs up to twice this fit 32 bits.
#define HAK_LARGE_MAX ((size_t)1 << HAK_ADDRESS_BITS)

// ---- reservations of address space ----

// The first reservation: small beside what a process maps anyway. The second is larger, and each
// later one doubles what there is, so that their number grows with the logarithm of the heap.
#define HAK_RESERVE_FIRST (8 * HAK_MIB)
#define HAK_RESERVE_SECOND (64 * HAK_MIB)
#define HAK_RESERVE_MAX (4 * HAK_GIB)
// Behind each lies address space without access: so much, or less behind one that is smaller than
// the first, as they are at a limit.
#define HAK_RESERVE_GUARD (2 * HAK_MIB)
#define HAK_RESERVE_GUARD_FRACTION 32
// Under RLIMIT_AS a reservation takes at most this fraction of the limit, to leave address space
// for stacks and libraries; and where a large one was refused, this fraction of what there is.
#define HAK_RESERVE_LIMIT_FRACTION 32
// Memory is made writable as it is needed, and ahead of the need this fraction of what is writable:
// what is charged for nothing is bounded by it, and the number of calls by a logarithm.
#define HAK_WRITABLE_FRACTION 8
// The first SuperSlab is made writable as it is cut, so that what runs past a block of a small
// process meets memory that cannot be touched: so much at first, then so many times as much.
#define HAK_WRITABLE_FIRST (512 * HAK_KIB)
#define HAK_WRITABLE_GROWTH 2
#define HAK_RESERVE_MAX_COUNT 1024

// Live huge blocks whose memory mremap has moved: each takes a mapping or a few of its own, of
// which a process may have 65530 (vm.max_map_count). Beyond, growing blocks are copied.
#define HAK_MOVED_MAX 4096

// A heap asks for transparent huge pages once it has this much in slabs: then a huge page that is
// only partly touched is a few per cent at most, and the saved faults and TLB misses are many.
#define HAK_HUGE_PAGE_BYTES (2 * HAK_MIB)
#define HAK_THP_AUTO_BYTES (64 * HAK_MIB)
// Such slabs are of blocks no larger than this, an OS page: each touches all of its memory, or
// nearly.
#define HAK_THP_AUTO_BLOCK (4 * HAK_KIB)
// And this much more for each thread: a partly used slab of 64 KiB for each of some 60 classes.
#define HAK_THP_AUTO_HEAP_BYTES (4 * HAK_MIB)

// Metadata has its own mappings, so that an overflow in the program cannot reach it. Each is twice
// as large as the one before, so that thousands of heaps do not make thousands of mappings.
#define HAK_META_CHUNK (4 * HAK_MIB)
// What is made writable of it at once, at least: what a small program needs, so that it makes no
// call after its start.
#define HAK_META_PIECE (2 * HAK_MIB)
#define HAK_META_CHUNK_MAX (128 * HAK_MIB)

// ---- thread caches ----

// Blocks a magazine holds at first. A class in use by one thread for the first time takes 4, 8,
// 16 blocks from slabs that all threads share, so that thousands of threads with a few blocks
// each do not touch a page a class each.
#define HAK_MAGAZINE_FIRST 16
#define HAK_SLOW_START_REFILLS 3
// Slots of memory that a magazine of so many blocks takes: its two marks, room to move up in, and
// for tokens. And those of all magazines of the first size.
#define HAK_MAGAZINE_SLOTS(blocks) ((blocks) + (blocks) / 4 + 4)
#define HAK_FIRST_SLOTS                                     \
  (HAK_N_CLASSES * HAK_MAGAZINE_SLOTS(HAK_MAGAZINE_FIRST) + \
   HAK_N_LINE_CLASSES * HAK_MAGAZINE_SLOTS(HAK_OUTGOING_BLOCKS))
// Its second size: four words of a slab's bitmap, of which a refill takes one.
#define HAK_MAGAZINE_SECOND 256
#define HAK_MAGAZINE_SECOND_BYTES (64 * HAK_KIB)
// Largest magazine, and what the largest one holds at least.
#define HAK_MAGAZINE_MAX_BLOCKS 2048
#define HAK_MAGAZINE_MAX_BYTES (256 * HAK_KIB)
#define HAK_MAGAZINE_MIN_BLOCKS 64
// What the magazines of a thread may hold together: HAKMEM_THREAD_CACHE, and beyond it this share
// of the slabs the thread owns, so that a large heap is not starved of cache and the cost stays
// proportional.
#define HAK_THREAD_CACHE_SHARE 24

// A heap keeps empty slabs of a class in reserve: a quarter of those it has, up to this much, but
// one in any case.
#define HAK_RESERVE_SLAB_BYTES (512 * HAK_KIB)

// Rounds of visits to idle heaps, and of looks at slabs, begin no more often than this, whatever
// the purge delay. Milliseconds.
#define HAK_ROUND_LEAST_MS 100

// Holes in partly used slabs go back to the kernel from this length on at first, and a heap begins
// to look for them when its slabs take so much.
#define HAK_HOLE_BYTES (16 * HAK_KIB)
#define HAK_HOLES_FROM_BYTES (1 * HAK_MIB)
// Where slabs have become emptier by more than is worth its keep, holes go back at once from slabs
// of which no more than this share is live: before, they are short, and it may become empty yet.
#define HAK_THIN_SHARE 32

// Free memory that is kept without experience that it is wanted, beside a share of what is in use.
#define HAK_SPARE_LEAST_BYTES HAK_MIB

// What one overflow returns at the very most, so that no single free pays for many: as many groups
// of blocks, of which each takes a write to a slab's bitmap, and at most so many blocks. For who
// frees mostly others' blocks that write is atomic, and more groups find more blocks to share it.
#define HAK_FLUSH_GROUPS 16
#define HAK_FLUSH_REMOTE_GROUPS 64
#define HAK_FLUSH_BLOCKS 512
// Off the fastest path, a pointer that is passed is looked for among so many of the blocks that the
// thread freed last.
#define HAK_DOUBLE_FREE_LOOK 8
// What an outgoing magazine holds.
#define HAK_OUTGOING_BLOCKS 256

// A heap keeps spans of up to so many pages that its thread has freed: of this many pages together
// at first, and of up to HAKMEM_THREAD_CACHE once it has to fetch again what it has returned.
#define HAK_SPAN_CACHE_MAX_PAGES 16
#define HAK_SPAN_CACHE_FIRST_PAGES 16
// Of one size it keeps no more than this many pages.
#define HAK_SPAN_CACHE_SIZE_PAGES 64
#define HAK_SPAN_CACHE_SLOTS 211  // 64 / n for each n from 1 to 16
// Work that is due is looked for once in so many spans kept: reading the clock takes as long as to
// keep one.
#define HAK_SPAN_CACHE_TICK 16

// Unowned slabs that are looked through for whole free lines before one more is made: where many
// threads have ended there may be thousands, each with a free block here and there.
#define HAK_CENTRAL_TRIES 8

// When its thread ends, a heap is parked if it holds no more than the first of these, as that of a
// thread which did little does; where threads come and go it may come to the second in time.
#define HAK_PARKED_HEAPS 16
#define HAK_PARKED_FIRST_BYTES (128 * HAK_KIB)
#define HAK_PARKED_BYTES (5 * HAK_MIB)

// ---- a hardened process ----

// Freed blocks of a class that wait: so many bytes of them, but not fewer blocks than the first,
// for chance to choose from, and not more than the second.
#define HAK_QUARANTINE_BYTES (32 * HAK_KIB)
#define HAK_QUARANTINE_MIN_BLOCKS ((size_t)16)
#define HAK_QUARANTINE_MAX_BLOCKS ((size_t)1024)
// And freed large blocks, which wait without memory, so that it is address space that they take:
// each up to so much.
#define HAK_FREED_LARGE_BLOCKS 64
#define HAK_FREED_LARGE_BYTES (256 * HAK_MIB)

// Places of samples, see sample.h: a page and a guard each; and of the stacks that are kept of each
// the frames nearest to the call.
#define HAK_SAMPLES ((size_t)128)
#define HAK_SAMPLE_FRAMES 16

// ---- the heap profiler ----

// Buckets of its tables of stacks and of live samples. Of its samples, stacks and the addresses in
// them there are no more than this; tables are touched as they fill.
#define HAK_PROFILE_BUCKETS ((size_t)1 << 14)
#define HAK_PROFILE_SAMPLES ((size_t)1 << 20)
#define HAK_PROFILE_STACK_BYTES (32 * HAK_MIB)
#define HAK_PROFILE_ADDRESSES ((size_t)1 << 16)
// Of the pages of slabs one in so many is watched at least; and so many frees that come to the slow
// path for that there are to each that gives a token, unless all do: a quarter of what a sample
// costs, each. How long it is until it is drawn anew which pages those are: milliseconds at least,
// and so many times what it takes.
#define HAK_WATCHED_PAGES 256
#define HAK_WATCHED_FREES 4
#define HAK_WATCH_LEAST_MS 10
#define HAK_WATCH_SHARE 512
// Rows of stacks' frames that are kept.
#define HAK_PROFILE_ROWS ((size_t)1 << 13)
// Counts of sampled large blocks, by a hash of the address.
#define HAK_PROFILE_LARGE_COUNTS ((size_t)1 << 10)
// Mapped files that a profile can name, and the bytes of their names.
#define HAK_PROFILE_MODULES ((size_t)1 << 10)
#define HAK_PROFILE_NAME_BYTES (128 * HAK_KIB)

// Adoptions are events no more often than this.
#define HAK_ADOPTION_EVENT_MS 1000

static_assert(HAK_N_ENTRIES <= UINT8_MAX, "a class must fit a byte of the page map");
static_assert(HAK_PAGE_BYTES >= 64 * HAK_KIB, "a page must hold a whole OS page of any kernel");
static_assert(HAK_SUPER_MAX_PAGES <= 64, "the pages of a SuperSlab must fit one 64-bit mask");
static_assert(HAK_ADDRESS_BITS - HAK_SUPER_MIN_SHIFT + 1 < 32, "see HAK_LARGE_MAX");
static_assert(HAK_MAGAZINE_FIRST <= HAK_MAGAZINE_MAX_BLOCKS, "magazines grow");
static_assert(HAK_RESERVE_FIRST >= ((size_t)1 << HAK_SUPER_MAX_SHIFT), "holds a SuperSlab");
static_assert(HAK_WRITABLE_FIRST <= ((size_t)1 << HAK_SUPER_MIN_SHIFT), "no more than a SuperSlab");

#endif  // HAKMEM_CONFIG_H_
