final class RingTest {
    static final long QUOTES = 150_000_000L;

    static long sumOf(long count) {
        Quotes quotes = new Quotes(42);
        long sum = 0;
        for (long i = 0; i < count; i++) {
            sum += quotes.next();
        }
        return sum;
    }

    public static void main(String[] args) throws Exception {
        Ring ring = new Ring(1024);
        Thread feed = new Thread(() -> {
            Quotes quotes = new Quotes(42);
            for (long i = 0; i < QUOTES; i++) {
                ring.put(quotes.next());
            }
        }, "feed");
        feed.start();
        long sum = 0;
        for (long i = 0; i < QUOTES; i++) {
            sum += ring.take();
            if (i == 999_999 && sum != sumOf(1_000_000)) {
                System.out.println("not ok first million");
                System.exit(1);
            }
        }
        feed.join();
        System.out.println("ok mean " + sum / QUOTES);
    }
}
