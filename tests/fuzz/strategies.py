"""What hostile input is made of. A strategy here is for several tests."""

from hypothesis import strategies as st

# What parsers stumble over: signs that mean something somewhere, numbers at the edges of types, and
# digits that only some functions take for digits.
PIECES = (
    *"{}()[]<>;,:\"'`\\#\n\r\t /*-+&=%@$!|~^?._0",
    *(
        "\0",
        "\x1b[2J",
        "\x85",
        "\u2028",
        "\ud800",
        "\udcff",
        "\ufeff",
        "\u202e",
        "²",
        "٣",
        "é",
        "🦊",
    ),
    *("-1", "0x", "0x0", "00", "1e999", "NaN", "Infinity", "nan", "9" * 19, "9" * 21, "9" * 5000),
    *("f" * 17, "true", "null", "\r\n", "\n\n", "../", "://", "::", "..", "[[", "${", "%s", "{0}"),
)

any_text = st.text(max_size=200)
small = st.integers(0, 300)


def pieces(*own: str) -> st.SearchStrategy[str]:
    """Text of such pieces, and of the words of the format that is tried."""
    piece = st.sampled_from((*own, *own, *PIECES)) | st.text(max_size=6)
    return st.lists(piece, max_size=40).map("".join)


# Where a number is expected: what some of Python's functions take for one, and what only looks so.
numerals = st.sampled_from(
    (
        "0",
        "7",
        "007",
        "-1",
        "+3",
        "1.2.3",
        ".",
        "1_0",
        "0x",
        "0x1f",
        "²",
        "٣",
        "1e999",
        "9" * 20,
        "9" * 5000,
    )
) | st.integers(0, 2**70).map(str)


@st.composite
def damaged(draw, sample, own=()):
    """A good `sample` in which some places are others' or missing."""
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(sample)))
        n_lost = draw(st.integers(0, 12))
        if isinstance(sample, bytes):
            new = draw(st.binary(max_size=9))
        else:
            new = draw(st.sampled_from((*own, *PIECES)))
        sample = sample[:at] + new + sample[at + n_lost :]
    return sample


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def damaged_json(draw, sample):
    """A good JSON `sample` with values of another kind, or nothing, in some places."""
    return draw(_changed(sample))


@st.composite
def _changed(draw, value):
    if draw(st.integers(0, 9)) == 0:
        return draw(json_values)
    if isinstance(value, dict):
        return {
            name: draw(_changed(inner))
            for name, inner in value.items()
            if draw(st.integers(0, 15)) != 0
        }
    if isinstance(value, list):
        return [draw(_changed(inner)) for inner in value]
    return value


# What kernels and clocks can say; not here: what JSON alone can.
st.register_type_strategy(int, st.integers(-(2**63), 2**64 - 1))
st.register_type_strategy(float, st.floats(-1e18, 1e18))
