import java.util.concurrent.CountDownLatch;

final class SeatPlannerTest {
    static void check(boolean ok, String what) {
        System.out.println((ok ? "ok " : "not ok ") + what);
        if (!ok) {
            System.exit(1);
        }
    }

    static Thread mover(Room from, Room to, CountDownLatch go, String name) {
        Thread thread = new Thread(() -> {
            try {
                go.await();
            } catch (InterruptedException e) {
                return;
            }
            for (int i = 0; i < 5_000_000; i++) {
                from.moveFirstTo(to);
            }
        }, name);
        thread.start();
        return thread;
    }

    public static void main(String[] args) throws Exception {
        Room hall = new Room("hall", 60);
        Room loft = new Room("loft", 60);
        for (int i = 0; i < 30; i++) {
            hall.add("guest " + i);
            loft.add("guest " + (100 + i));
        }
        check(hall.moveFirstTo(loft) && loft.count() == 31, "moves a guest");

        CountDownLatch go = new CountDownLatch(1);
        Thread up = mover(hall, loft, go, "mover-up");
        Thread down = mover(loft, hall, go, "mover-down");
        go.countDown();
        up.join(15_000);
        down.join(1_000);
        check(!up.isAlive() && !down.isAlive() && hall.count() + loft.count() == 60, "moves both ways at once");
    }
}
