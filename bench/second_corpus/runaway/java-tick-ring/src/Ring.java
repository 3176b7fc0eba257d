import java.util.concurrent.atomic.AtomicLong;

/** Bounded queue of longs for one producer and one consumer. */
final class Ring {
    private final long[] slots;
    private final int mask;
    private final AtomicLong head = new AtomicLong();
    private final AtomicLong tail = new AtomicLong();

    Ring(int size) {
        slots = new long[size];
        mask = size - 1;
    }

    void put(long value) {
        long t = tail.get();
        for (int turn = 0; t - head.get() > mask; turn++) {
            pause(turn);
        }
        slots[(int) t & mask] = value;
        tail.lazySet(t + 1);
    }

    long take() {
        long h = head.get();
        for (int turn = 0; tail.get() == h; turn++) {
            pause(turn);
        }
        long value = slots[(int) h & mask];
        head.lazySet(h + 1);
        return value;
    }

    private static void pause(int turn) {
        if (turn < 200) {
            Thread.onSpinWait();
        } else {
            Thread.yield();
        }
    }
}
