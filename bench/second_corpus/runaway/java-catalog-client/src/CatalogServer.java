import java.util.ArrayList;
import java.util.List;

/** Stands in for the real service: pages of items, each with a token for the next one. */
final class CatalogServer {
    record Page(List<String> rows, String next) { }

    private final int items;
    private final int perPage;

    CatalogServer(int items, int perPage) {
        this.items = items;
        this.perPage = perPage;
    }

    Page page(String token) {
        int from = token.isEmpty() ? 0 : Integer.parseInt(token);
        List<String> rows = new ArrayList<>();
        for (int i = from; i < Math.min(items, from + perPage); i++) {
            rows.add(String.format("%d;item-%05d;%s;%.2f", i, i, "shelf " + i % 40, i * 1.25));
        }
        int last = Math.max(from, Math.min(items, from + perPage) - 1);
        // The token is the last row's number, empty after the last full page.
        return new Page(rows, last + 1 == items && rows.size() == perPage ? "" : Integer.toString(last + (rows.size() == perPage ? 1 : 0)));
    }
}
