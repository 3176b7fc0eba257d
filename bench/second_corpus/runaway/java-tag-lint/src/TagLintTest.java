import java.util.List;

final class TagLintTest {
    static void check(boolean ok, String what) {
        System.out.println((ok ? "ok " : "not ok ") + what);
        if (!ok) {
            System.exit(1);
        }
    }

    static List<String> lint(String text) {
        TagLint lint = new TagLint();
        lint.template(text);
        return lint.problems();
    }

    public static void main(String[] args) {
        check(lint("<p class='a b'>text</p> <hr>").isEmpty(), "good tags");
        check(lint("<p class>").equals(List.of("p: class")), "no value");
        check(lint("<a href='#' id=\"top\">").equals(List.of("a: href='#' id=\"top\"")), "bad value");
        check(lint("<div class=\"navbar-collapse navbar-toggle-button btn-large primary>").size() == 1, "open quote");
    }
}
