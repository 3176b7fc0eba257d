import java.util.ArrayList;
import java.util.List;

/** Fetches all items of a catalogue, page by page. */
final class CatalogClient {
    record Item(int id, String name, String shelf, double price) {
        static Item parse(String row) {
            String[] f = row.split(";");
            return new Item(Integer.parseInt(f[0]), f[1], f[2], Double.parseDouble(f[3]));
        }
    }

    private final CatalogServer server;

    CatalogClient(CatalogServer server) {
        this.server = server;
    }

    List<Item> fetchAll() {
        List<Item> items = new ArrayList<>();
        String token = "";
        do {
            CatalogServer.Page page = server.page(token);
            for (String row : page.rows()) {
                items.add(Item.parse(row));
            }
            token = page.next();
        } while (!token.isEmpty());
        return items;
    }
}
