import java.util.concurrent.locks.ReentrantLock;

final class Account {
    final ReentrantLock lock = new ReentrantLock();
    final String name;
    private long balance;
    private long seal;

    Account(String name, long balance) {
        this.name = name;
        this.balance = balance;
    }

    long balance() {
        return balance;
    }

    long seal() {
        return seal;
    }

    void add(long amount) {
        balance += amount;
        // Every entry is chained to the ones before it.
        long h = seal ^ amount;
        for (int i = 0; i < 24; i++) {
            h = (h ^ (h >>> 31)) * 0x9E3779B97F4A7C15L + i;
        }
        seal = h;
    }
}
