import java.util.ArrayList;
import java.util.List;

/** A room with seats; guests can be moved to another room. */
final class Room {
    private final String name;
    private final int seats;
    private final List<String> guests = new ArrayList<>();

    Room(String name, int seats) {
        this.name = name;
        this.seats = seats;
    }

    synchronized boolean add(String guest) {
        if (guests.size() >= seats) {
            return false;
        }
        return guests.add(guest);
    }

    synchronized int count() {
        return guests.size();
    }

    /** Moves the guest that came first, if there is one and the other room has a seat. */
    synchronized boolean moveFirstTo(Room other) {
        if (guests.isEmpty()) {
            return false;
        }
        String guest = guests.get(0);
        if (!other.add(guest)) {
            return false;
        }
        guests.remove(0);
        return true;
    }

    @Override
    public String toString() {
        return name + " (" + count() + "/" + seats + ")";
    }
}
