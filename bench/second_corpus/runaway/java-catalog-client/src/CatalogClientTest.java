final class CatalogClientTest {
    static void check(boolean ok, String what) {
        System.out.println((ok ? "ok " : "not ok ") + what);
        if (!ok) {
            System.exit(1);
        }
    }

    public static void main(String[] args) {
        var item = CatalogClient.Item.parse("7;item-00007;shelf 7;8.75");
        check(item.id() == 7 && item.price() == 8.75, "parses a row");
        check(new CatalogClient(new CatalogServer(300, 50)).fetchAll().size() == 300, "six full pages");
        check(new CatalogClient(new CatalogServer(330, 50)).fetchAll().size() == 330, "a short last page");
    }
}
