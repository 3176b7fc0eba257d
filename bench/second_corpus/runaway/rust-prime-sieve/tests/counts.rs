use prime_sieve::count_primes;

#[test]
fn small_limits() {
    assert_eq!(count_primes(10, 1), 4);
    assert_eq!(count_primes(100_000, 3), 9_592);
}

#[test]
fn four_billion() {
    assert_eq!(count_primes(4_000_000_000, 2), 189_961_812);
}

#[test]
fn two_billion() {
    assert_eq!(count_primes(2_000_000_000, 2), 98_222_287);
}
