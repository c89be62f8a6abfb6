// A Rust program that knows nothing of hakmem, to preload it into: it grows and shrinks on all threads
// and prints a sum.

use std::collections::HashMap;
use std::thread;

fn main() {
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            thread::spawn(move || {
                let mut words: HashMap<String, Vec<u64>> = HashMap::new();
                for n in 0..100_000u64 {
                    words
                        .entry(format!("{}", (n * 7 + worker) % 1000))
                        .or_default()
                        .push(n);
                }
                words.values().map(Vec::len).sum::<usize>()
            })
        })
        .collect();
    let total: usize = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum();
    println!("{total}");
}
