from chatfmt import render


def test_emphasis():
    assert render("that is _really good_ news") == "<p>that is <em>really good</em> news</p>"


def test_list():
    assert render("- one\n- `two`") == "<ul><li>one</li><li><code>two</code></li></ul>"


def test_lone_underscore():
    text = "call it _private and see the documentation of the internationalisation package"
    assert render(text) == f"<p>{text}</p>"
