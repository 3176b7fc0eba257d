import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks for tags of a template that are not well formed. */
final class TagLint {
    private static final Pattern TAG = Pattern.compile("<([a-z][a-z0-9]*)([^<>]*)>");
    private static final Pattern ATTRIBUTE = Pattern.compile("\\s+[a-z-]+=(['\"])(?:[\\w-]+\\s*)*\\1");

    private final List<String> problems = new ArrayList<>();

    List<String> problems() {
        return problems;
    }

    void template(String text) {
        Matcher tag = TAG.matcher(text);
        while (tag.find()) {
            attributes(tag.group(1), tag.group(2));
        }
    }

    private void attributes(String name, String rest) {
        Matcher attribute = ATTRIBUTE.matcher(rest);
        int at = 0;
        while (attribute.find() && attribute.start() == at) {
            at = attribute.end();
        }
        if (!rest.substring(at).isBlank()) {
            problems.add(name + ": " + rest.substring(at).strip());
        }
    }
}
