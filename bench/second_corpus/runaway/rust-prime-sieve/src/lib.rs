//! Counts primes in parallel, one segment at a time.
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const SEGMENT: u64 = 1 << 15;

fn small_primes(limit: u64) -> Vec<u64> {
    let mut composite = vec![false; limit as usize + 1];
    let mut primes = Vec::new();
    for n in 2..=limit {
        if composite[n as usize] {
            continue;
        }
        primes.push(n);
        let mut multiple = n * n;
        while multiple <= limit {
            composite[multiple as usize] = true;
            multiple += n;
        }
    }
    primes
}

fn count_segment(start: u64, end: u64, primes: &[u64], marks: &mut [bool]) -> u64 {
    marks.fill(false);
    for &p in primes {
        if p * p >= end {
            break;
        }
        let mut multiple = (start.div_ceil(p) * p).max(p * p);
        while multiple < end {
            marks[(multiple - start) as usize] = true;
            multiple += p;
        }
    }
    (start..end).filter(|&n| n >= 2 && !marks[(n - start) as usize]).count() as u64
}

/// Number of primes below `limit`.
pub fn count_primes(limit: u64, workers: usize) -> u64 {
    let primes = small_primes((limit as f64).sqrt() as u64 + 1);
    let next = AtomicU64::new(0);
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut marks = vec![false; SEGMENT as usize];
                loop {
                    let start = next.fetch_add(SEGMENT, Ordering::Relaxed);
                    if start >= limit {
                        break;
                    }
                    let end = (start + SEGMENT).min(limit);
                    let found = count_segment(start, end, &primes, &mut marks);
                    total.fetch_add(found, Ordering::Relaxed);
                }
            });
        }
    });
    total.into_inner()
}
