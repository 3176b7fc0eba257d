import java.util.ArrayList;
import java.util.List;

/** Moves amounts between accounts. Both locks or none: there is no order among accounts. */
final class Ledger {
    final List<Account> accounts = new ArrayList<>();

    Ledger(int count, long each) {
        for (int i = 0; i < count; i++) {
            accounts.add(new Account("account-" + i, each));
        }
    }

    boolean move(Account from, Account to, long amount) {
        lockBoth(from, to);
        try {
            if (from.balance() < amount) {
                return false;
            }
            from.add(-amount);
            to.add(amount);
            return true;
        } finally {
            to.lock.unlock();
            from.lock.unlock();
        }
    }

    private static void lockBoth(Account a, Account b) {
        while (true) {
            if (a.lock.tryLock()) {
                if (b.lock.tryLock()) {
                    return;
                }
                a.lock.unlock();
            }
            Thread.yield();
        }
    }

    long total() {
        return accounts.stream().mapToLong(Account::balance).sum();
    }
}
