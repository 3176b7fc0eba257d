import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

final class LedgerTest {
    static final int THREADS = 4;
    static final int MOVES = 30_000_000;

    static void check(boolean ok, String what) {
        System.out.println((ok ? "ok " : "not ok ") + what);
        if (!ok) {
            System.exit(1);
        }
    }

    public static void main(String[] args) throws Exception {
        Ledger ledger = new Ledger(5, 1000);
        check(ledger.move(ledger.accounts.get(0), ledger.accounts.get(1), 10), "one move");
        check(ledger.accounts.get(0).seal() != ledger.accounts.get(1).seal(), "seals differ");
        check(!ledger.move(ledger.accounts.get(0), ledger.accounts.get(1), 5000), "no overdraft");

        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < THREADS; t++) {
            SplittableRandom random = new SplittableRandom(t);
            Thread thread = new Thread(() -> {
                for (int i = 0; i < MOVES; i++) {
                    int from = random.nextInt(5);
                    int to = (from + 1 + random.nextInt(4)) % 5;
                    ledger.move(ledger.accounts.get(from), ledger.accounts.get(to), random.nextInt(20));
                }
            }, "teller-" + t);
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        check(ledger.total() == 5000, "nothing is lost in " + (long) THREADS * MOVES + " moves");
    }
}
