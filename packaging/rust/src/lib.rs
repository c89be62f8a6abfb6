//! hakmem as the allocator of a Rust program:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: hakmem::Hakmem = hakmem::Hakmem;
//!
//! let numbers = vec![1, 2, 3];
//! assert!(hakmem::owns(numbers.as_ptr()));
//! ```
//!
//! Sizes and alignments are passed on, so that freeing need not look them up. C code in the same
//! program is served too: the library that this crate links is the process's malloc.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::ptr;

mod c {
    use std::os::raw::{c_char, c_void};

    extern "C" {
        pub fn hak_malloc(size: usize) -> *mut c_void;
        pub fn hak_calloc(count: usize, size: usize) -> *mut c_void;
        pub fn hak_realloc(block: *mut c_void, size: usize) -> *mut c_void;
        pub fn hak_aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
        pub fn hak_free_sized(block: *mut c_void, size: usize);
        pub fn hak_free_aligned_sized(block: *mut c_void, alignment: usize, size: usize);
        pub fn hak_owns(address: *const c_void) -> bool;
        pub fn hak_version() -> *const c_char;
    }
}

/// The allocator. It has no state: all values are the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hakmem;

/// What every block of hak_malloc, hak_calloc and hak_realloc is aligned to, in bytes, whatever its
/// size: C's max_align_t on the 64-bit machines that hakmem runs on.
const MALLOC_ALIGNMENT: usize = 16;

// Safety: blocks of hakmem are valid until freed, do not overlap, and are aligned as asked. A null
// pointer means that there is no memory, as GlobalAlloc has it. No function unwinds.
unsafe impl GlobalAlloc for Hakmem {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGNMENT {
            c::hak_malloc(layout.size()).cast()
        } else {
            c::hak_aligned_alloc(layout.align(), layout.size()).cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.align() <= MALLOC_ALIGNMENT {
            c::hak_free_sized(block.cast(), layout.size());
        } else {
            c::hak_free_aligned_sized(block.cast(), layout.align(), layout.size());
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGNMENT {
            // Pages that are fresh from the kernel are not written again.
            return c::hak_calloc(1, layout.size()).cast();
        }
        let block = self.alloc(layout);
        if !block.is_null() {
            ptr::write_bytes(block, 0, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGNMENT {
            return c::hak_realloc(block.cast(), size).cast();
        }
        // C has no realloc that keeps an alignment.
        let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
        if !moved.is_null() {
            ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
            self.dealloc(block, layout);
        }
        moved
    }
}

/// Whether the address lies in a block, live or free, that hakmem manages.
pub fn owns<T>(address: *const T) -> bool {
    unsafe { c::hak_owns(address.cast()) }
}

/// "MAJOR.MINOR.PATCH" of the library that is running.
pub fn version() -> &'static str {
    unsafe { CStr::from_ptr(c::hak_version()) }
        .to_str()
        .unwrap_or("")
}
