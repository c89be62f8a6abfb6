// A program whose allocator is hakmem: everything it allocates is hakmem's, aligned as asked, zero
// where asked, and keeps its contents when it grows.

use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};

#[global_allocator]
static ALLOCATOR: hakmem::Hakmem = hakmem::Hakmem;

#[test]
fn collections_are_served() {
    let mut numbers = Vec::new();
    for n in 0..1_000_000u64 {
        numbers.push(n);
    }
    assert!(hakmem::owns(numbers.as_ptr()));
    assert_eq!(numbers.iter().sum::<u64>(), 499_999_500_000);
    assert!(hakmem::owns(String::from("text").as_ptr()));
    assert!(!hakmem::owns(&ALLOCATOR));
}

#[test]
fn alignments_and_sizes_of_all_kinds() {
    for alignment in (0..=21).map(|shift| 1usize << shift) {
        for size in [1, 7, 16, 100, 1024, 40_000, 1 << 20] {
            let layout = Layout::from_size_align(size, alignment).unwrap();
            unsafe {
                let block = alloc(layout);
                assert!(hakmem::owns(block), "{layout:?}");
                assert_eq!(block as usize % alignment, 0, "{layout:?}");
                block.write_bytes(0xa5, size);
                let grown = realloc(block, layout, size * 2);
                assert_eq!(grown as usize % alignment, 0, "{layout:?}");
                assert!((0..size).all(|i| *grown.add(i) == 0xa5), "{layout:?}");
                let shrunk = realloc(
                    grown,
                    Layout::from_size_align(size * 2, alignment).unwrap(),
                    size,
                );
                assert!((0..size).all(|i| *shrunk.add(i) == 0xa5), "{layout:?}");
                dealloc(shrunk, layout);

                let zeros = alloc_zeroed(layout);
                assert_eq!(zeros as usize % alignment, 0, "{layout:?}");
                assert!((0..size).all(|i| *zeros.add(i) == 0), "{layout:?}");
                dealloc(zeros, layout);
            }
        }
    }
}

#[test]
fn threads_free_what_others_allocated() {
    let made = std::thread::spawn(|| (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>());
    let texts = made.join().unwrap();
    let lengths = std::thread::spawn(move || texts.iter().map(String::len).sum::<usize>());
    assert_eq!(lengths.join().unwrap(), 38_890);
}

#[test]
fn a_request_that_cannot_be_served_is_an_error() {
    let mut bytes = Vec::<u8>::new();
    assert!(bytes.try_reserve_exact(isize::MAX as usize).is_err());
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(hakmem::version(), env!("CARGO_PKG_VERSION"));
}
