"""Secrets in command lines and source, replaced before any model is told of them.

What hides a secret is its shape (a token of a known service, a private key, noise that nobody
would type), or what stands before it: a name, an option, a header. Only the value goes; names,
calls and the number of lines stay, so that code reads as before. When in doubt a value goes: code
with a hole in it is still useful, a secret that was sent is none any more.

Not here: who may be told what is left (`prompt`).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

HIDDEN = "‹redacted›"
# More is cut off before it is looked at; excerpts and command lines are far shorter.
MAX_CHARS = 100_000
MAX_VALUE_CHARS = 2_000

Span = tuple[int, int]

# In these a value without quotes is an expression. Elsewhere it is text: `PASSWORD=hunter2`.
_CODE = frozenset("python javascript typescript tsx java c c++ rust perl".split())

# -- shapes --------------------------------------------------------------------------------------

# Tokens that their services made recognisable, for this very purpose.
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{12,20}"  # AWS
    r"|gh[pousr]_\w{20,255}|github_pat_\w{20,255}"
    r"|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{16,255}|GR1348941[\w-]{16,64}"
    r"|xox[a-z]-[\w-]{8,255}|xapp-[\w-]{8,255}"  # Slack
    r"|AIza[\w-]{30,50}|ya29\.[\w.-]{20,400}|GOCSPX-[\w-]{16,64}"  # Google
    r"|sk-[\w-]{16,255}|[srp]k_(?:live|test)_\w{8,255}|whsec_\w{16,255}"  # OpenAI and kin, Stripe
    r"|hf_\w{20,64}|npm_\w{20,64}|pypi-[\w-]{16,255}|dop_v1_\w{32,128}|shpat_\w{16,64}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,64}|key-[0-9a-f]{32}|(?:AC|SK)[0-9a-f]{32}"  # SendGrid, Twilio
    r"|\d{8,10}:[\w-]{35}|hv[sbr]\.[\w-]{20,255}|dckr_pat_[\w-]{16,64}|AGE-SECRET-KEY-\w{20,100}"
    r"|eyJ[\w-]{8,4000}\.[\w-]{2,4000}(?:\.[\w-]{0,4000})?"  # JWT
    r")"
)
_WEBHOOK = re.compile(
    r"https://(?:hooks\.slack\.com/services|(?:\w{1,20}\.)?discord(?:app)?\.com/api/webhooks"
    r"|[\w-]{1,60}\.webhook\.office\.com)/([\w/@-]{8,400})"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}-----(.*?)(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)
_USERINFO = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://([^\s/@'\"<>]{1,300})@")
_NOISE = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_CLASSES = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# -- names ---------------------------------------------------------------------------------------

_NAME = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]{1,80}(?:[.-][A-Za-z0-9_]{1,80}){0,8}")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Within a word that is written together, too: dbpassword, apikey.
_STRONG = re.compile(
    r"passwor[dt]|passwd|passphrase|passcode|secret(?!ar)|credential|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|account[_-]?key"
    r"|shared[_-]?key|auth[_-]?token|access[_-]?token|bearer|connection[_-]?string|client[_-]?key",
    re.IGNORECASE,
)
_WORDS = frozenset(
    "pwd pass pw psw psk token tokens auth authorization cookie cookies session sessionid sessid"
    " apikey pin otp totp salt pepper jwt sas dsn creds cred csrf xsrf nonce signature sig hmac"
    " storepass keypass".split()
)
# What speaks of a secret and is none: token_type, PASSWORD_FILE, max_tokens, session_timeout.
_HARMLESS = frozenset(
    "type kind count counts name names len length size field fields file files filename path paths"
    " url uri endpoint env var variable timeout ttl expiry expires age prefix suffix pattern regex"
    " regexp re index idx pos position lock store manager class list limit limits policy min max"
    " num n line lines col column start end offset stream iter iterator parser lexer buffer queue"
    " error errors exception invalid missing required label prompt placeholder help hint message"
    " msg format encoding algorithm alg method mode status state enabled stdin rule rules char"
    " chars rate per id_field header headers dir handler factory provider service".split()
)
_WEAK = frozenset("token tokens session cookie cookies auth pass pin sig nonce salt".split())
_HEADERS = frozenset(
    "authorization proxy-authorization cookie set-cookie x-api-key x-auth-token"
    " x-amz-security-token x-csrf-token private-token x-vault-token x-access-token".split()
)

# -- values --------------------------------------------------------------------------------------

# Between a name and its value: `password: str = "…"`, `"password": "…"`, `password => '…'`,
# `char password[] = "…"`, `os.environ["PASSWORD"] = "…"`, `${PASSWORD:-…}`.
_ANNOTATION = r"(?:\[[^\]\n]{0,20}\])?(?:\s*:\s*[&\w.<>\[\], |'*]{1,60}?(?==))?"
_JOIN = re.compile(
    r"(?P<closed>\\?[\"'])?[\])}]{0,3}" + _ANNOTATION + r"[ \t]*"
    r"(?P<op>\?\?=|\|\|=|===|!==|==|!=|:=|:-|\?=|\+=|=>|->|=~|\|\||\?\?|or(?=[ \t])|=|:|,|\(|\{|>)"
    r"[ \t]*(?:\\?\r?\n[ \t]*)?"
)
_NEXT_LINE = re.compile(r"[\"']?[ \t]*\r?\n[ \t]*[\"']?value[\"']?[ \t]*:[ \t]*")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*\n((?:[ \t]+\S[^\n]*(?:\n|\Z)){1,100})")
_WRAPPER = re.compile(
    r"(?:(?:new\s+)?(?:String(?:::from)?|std::string|Some|Ok|Buffer\.from|atob|SecretStr|bytes"
    r"|(?:base64\.)?\w{0,12}b64decode|bytes\.fromhex|strdup|f|b|r|u|L|rb|br|fr|@|&|\\)"
    r"\s*\(?\s*|\(\s*){0,3}",
    re.IGNORECASE,
)
# Three quotes and backticks may go over lines, others only after a backslash.
_QUOTED = re.compile(
    r"\\?(?:(?P<long>\"\"\"|'''|`)|(?P<short>[\"']))"
    r"(?P<value>(?(long)(?:\\.|(?!(?P=long))[^\\]){0,2000}?"
    r"|(?:\\.|(?!(?P=short))[^\\\n]){0,2000}?))"
    r"\\?(?(long)(?P=long)|(?P=short))",
    re.DOTALL,
)
# A quote that is not closed on its line.
_OPENED = re.compile(r"(?:\"\"\"|'''|[\"'`])([^\n]*\w{3}[^\n]*)")
_BRACKET_OR_QUOTE = re.compile(r"[\[\](){}\"'`]")
_KEY = re.compile(r"\s{0,40}(?::(?!:)|=>)")
_BARE = re.compile(r"[^\s\"'`<>]{1,4000}")
_TO_LINE_END = re.compile(r"[^\"'`\n]{1,4000}")
_EXPRESSION = re.compile(r"[$({\[@*&%~<]|\w[\w.:>-]*[(\[{]|\$\{|\{\{")
_NO_VALUE = re.compile(
    r"(?:none|null|nil|true|false|undefined|str|string|bytes|int|integer|bool|boolean|float|any"
    r"|optional|object|number|char|self|this|u8|i32|u32|i64|u64|usize|\d{0,3}|[-=*.…]+)[,;)\]}:]*",
    re.IGNORECASE,
)
_HOLES = re.compile(
    r"\$?\{[^{}\n]{0,200}\}|\$\w+|\$\([^()\n]{0,200}\)|%\(?\w*\)?[sdr]|<[\w -]{1,60}>"
)
_SCHEMES = re.compile(r"\b(?:bearer|basic|token|digest|apikey)\b", re.IGNORECASE)
_COMMENT = re.compile(r"^\s*\*|#|//|/\*|--\s|;;")

_OPTION_OF_TEXT = re.compile(
    r"(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{1,60})(?:[ \t]+|[\"']\s*,\s*[\"'])(?![-\"'])"
    r"(?P<value>[^\s\"'`]{1,4000})"
)
_USER_OF_TEXT = re.compile(
    r"(?<![\w-])(?:-u|-U|--user|--proxy-user)(?:[ =]?[\"']?|[\"']\s*,\s*[\"'])"
    r"[^\s\"':%]{1,100}[:%]([^\s\"'`]{1,4000})"
)
_PASSWORD_OF_PROGRAM = re.compile(
    r"\b(?:mysql\w{0,10}|mariadb[\w-]{0,10}|sshpass|7z|unzip|zip|redis-cli|ldap\w{2,8})\b"
    r"[^\n|;&]{0,300}?[\s\"'](?:-p|-P|-a|-w)(?:[ =]?|[\"']\s*,\s*[\"'])"
    r"([^\s\"',`-][^\s\"'`]{0,400})"
)
_COOKIE_OF_CURL = re.compile(
    r"\bcurl\b[^\n|;&]{0,300}?[\s\"'](?:-b|--cookie)(?:[ =]?[\"']?|[\"']\s*,\s*[\"'])"
    r"([^\s\"']{1,400})"
)
_OPENSSL = re.compile(r"(?<![\w])pass:([^\s\"']{1,400})")
_DEFINE = re.compile(r"^[ \t]*(?:#[ \t]*define|ENV|ARG|setenv|set)[ \t]+$")


_OTHER_P = frozenset("pytest mkdir ssh cp make ps nc test read perf trace top".split())


def redacted(text: str, language: str | None = None) -> str:
    """The same text, of as many lines, without its secrets.

    Args:
        language: as `sources` calls it. It tells whether a word without quotes is a value or a
            variable; when unknown it is taken for a value.
    """
    text = text[:MAX_CHARS]
    spans: list[Span] = []
    for find in (_shapes, _options):
        spans += find(text)
    spans += _named(text, is_code=language in _CODE)
    return _without(text, spans)


def redacted_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line without secrets: values of options and variables, and what looks like one."""
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    hidden: list[str] = []
    for index, argument in enumerate(argv):
        option = argv[index - 1] if index > 1 else ""
        if _is_followed_by_secret(option, argument, program, argv):
            hidden.append(HIDDEN)
        elif option in ("-u", "-U", "--user", "--proxy-user"):
            hidden.append(re.sub(r"(?s)^([^:%]{1,100}[:%]).+$", rf"\1{HIDDEN}", redacted(argument)))
        elif _takes_password(program) and re.match(r"-[pPaw]\S", argument):
            hidden.append(argument[:2] + HIDDEN)
        else:
            hidden.append(redacted(argument))
    return tuple(hidden)


def _is_followed_by_secret(option: str, value: str, program: str, argv: Sequence[str]) -> bool:
    match = re.fullmatch(r"--?([\w.-]{1,100})|/([A-Za-z]\w{1,60})", option)
    if match is None or not value or value.startswith("--"):
        return False
    if _is_secret(match[1] or match[2]) or (option, program) == ("-b", "curl"):
        return True
    if option in ("-P", "-a", "-w"):
        return _takes_password(program)
    if option != "-p" or _takes_password(program):
        return option == "-p"
    # A password for some, a port, a plugin or a path for others.
    words = {word.rsplit("/", 1)[-1] for word in argv[:4]}
    is_other = bool(words & _OTHER_P) or re.fullmatch(
        r"(?s)\d{1,5}(:\d{1,5})?|[./-].*|no:.*", value
    )
    return not is_other


def _takes_password(program: str) -> bool:
    return re.match(r"mysql|mariadb|sshpass|7z|unzip$|zip$|redis-cli|ldap", program) is not None


def _without(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if end <= done:
            continue
        start = max(start, done)  # noqa: PLW2901 - they may overlap
        pieces.append(text[done:start])
        if not (pieces[-1] == "" and len(pieces) > 1 and pieces[-2].endswith(HIDDEN)):
            pieces.append("\n".join(HIDDEN if line.strip() else line
                                    for line in text[start:end].split("\n")))  # fmt: skip
        else:
            pieces.append("\n" * text[start:end].count("\n"))
        done = end
    return "".join([*pieces, text[done:]])


def _shapes(text: str) -> Iterator[Span]:
    for match in _TOKENS.finditer(text):
        yield match.span()
    for pattern in (_WEBHOOK, _KEY_BLOCK, _OPENSSL):
        for match in pattern.finditer(text):
            yield match.span(1)
    for match in _USERINFO.finditer(text):
        if not _is_template(match[1]):
            yield match.span(1)
    for match in _NOISE.finditer(text):
        if _is_noise(match[0]):
            yield match.span()


def _is_noise(word: str) -> bool:
    """Whether nobody would type that: letters and digits in no order."""
    if _UUID.fullmatch(word) or "/" in word[:1]:
        return False
    core = word.strip("=-_")
    if _HEX.fullmatch(core):
        return len(core) >= 32 and re.search(r"\d", core) is not None and len(set(core)) > 6
    if len(core) < 24 or not re.search(r"\d", core) or not re.search(r"[A-Za-z]", core):
        return False
    runs = _CLASSES.findall(core)
    n_words = len(re.findall(r"[A-Z]?[a-z]{4,}|[A-Z]{4,}", core))
    counts = Counter(core)
    entropy = -sum(n / len(core) * math.log2(n / len(core)) for n in counts.values())
    mean_run = sum(map(len, runs)) / len(runs)
    n_separators = len(re.findall(r"[-_/]", core))
    if n_separators > len(core) / 8 and n_words > 1:
        return False
    return entropy >= 3.5 and mean_run <= 2.6 and n_words <= len(core) / 12


def _options(text: str) -> Iterator[Span]:
    for match in _OPTION_OF_TEXT.finditer(text):
        if _is_secret(match["name"]) and not _EXPRESSION.match(match["value"]):
            yield match.span("value")
    for pattern in (_USER_OF_TEXT, _PASSWORD_OF_PROGRAM, _COOKIE_OF_CURL):
        for match in pattern.finditer(text):
            if not _is_template(match[1]):
                yield match.span(1)


def _is_secret(name: str) -> bool:
    """Whether what is called so is likely to be a secret."""
    if name.lower() in _HEADERS:
        return True
    last = name.rsplit(".", 1)[-1]
    parts = [part.lower() for part in _PARTS.findall(last)]
    if not parts or parts[-1] in _HARMLESS or parts[0] in ("max", "min", "num", "n", "is", "has"):
        return False
    return _STRONG.search(last) is not None or bool(_WORDS & set(parts))


def _is_template(value: str) -> bool:
    """Whether nothing is left of it without the places where something is filled in."""
    if not _HOLES.search(value):
        return False
    rest = _SCHEMES.sub("", _HOLES.sub("", value))
    return len(re.findall(r"\w", rest)) <= 4


def _named(text: str, *, is_code: bool) -> Iterator[Span]:
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for match in _NAME.finditer(text):
        if not _is_secret(match[0]):
            continue
        line_start = line_starts[bisect_right(line_starts, match.start()) - 1]
        before = text[line_start : match.start()]
        is_text = not is_code or _COMMENT.search(before) is not None
        yield from _values_after(text, match.end(), match[0], before, is_text=is_text)


def _values_after(text: str, end: int, name: str, before: str, *, is_text: bool) -> Iterator[Span]:
    is_header = name.lower() in _HEADERS
    parts = {part.lower() for part in _PARTS.findall(name.rsplit(".", 1)[-1])}
    is_weak = not is_header and _STRONG.search(name) is None and bool(parts & _WEAK)
    if _DEFINE.match(before):
        if define := re.compile(r"[ \t]+(?:\"([^\"\n]*)\"|(\S+))").match(text, end):
            yield define.span(1 if define[1] is not None else 2)
        return
    join = _NEXT_LINE.match(text, end) or _JOIN.match(text, end)
    if join is None:
        return
    op = join.groupdict().get("op", ":")
    at = join.end()
    if op == ">":
        if before.endswith("<") and (inner := re.compile(r"[^<\n]{1,4000}").match(text, at)):
            yield inner.span()
        return
    if op == "," and not join["closed"]:
        return
    is_comparison = op in ("==", "!=", "===", "!==", "=~")
    is_call = op in ("(", "{")
    if is_call and is_weak and not re.match(r"(?:set|with)|.*auth", name, re.IGNORECASE):
        return
    if op in (":", "=") and (block := _BLOCK.match(text, at)):
        yield block.span(1)
        return
    if op != "(" and text[at : at + 1] in "[{(" and op != "{":
        yield from _within_brackets(text, at, is_strict=not is_weak or "auth" in parts)
        return
    literal_at = _WRAPPER.match(text, at)
    at_quote = literal_at.end() if literal_at else at
    if quoted := _QUOTED.match(text, at_quote):
        yield from _literals(text, quoted, op, is_weak=is_weak and is_comparison)
        return
    if opened := _OPENED.match(text, at_quote):
        yield opened.span(1)
        return
    if is_comparison or is_call or op in (",", "->"):
        return
    bare = (_TO_LINE_END if is_header else _BARE).match(text, at)
    if bare is None or _NO_VALUE.fullmatch(bare[0]) or _is_template(bare[0]):
        return
    if is_header:
        if is_text or join["closed"] is None:
            yield bare.span()
        return
    value = bare[0].rstrip(",;)}]")
    if _EXPRESSION.match(value) or not value:
        return
    if is_text:
        is_variable = _NAME.fullmatch(value) is not None and _is_secret(value)
        if not is_variable:
            yield at, at + len(value)
    elif re.fullmatch(r"\d{4,}", value):
        yield at, at + len(value)


def _literals(text: str, quoted: re.Match[str] | None, op: str, *, is_weak: bool) -> Iterator[Span]:
    """A quoted value, and those beside it: parts of one string, and of `user, password = …`."""
    for _ in range(50):
        if quoted is None:
            return
        value = quoted["value"]
        is_name = re.fullmatch(r"[A-Z][A-Z0-9_]*", value) is not None and _is_secret(value)
        is_hidden = bool(value.strip()) and not is_name and not _is_template(value)
        if is_weak and len(value) < 16 and not re.search(r"\d", value):
            is_hidden = False
        if is_hidden:
            yield quoted.span("value")
        between = re.compile(r"\s*(?:[+.]\s*)?" if op not in ("=", "(") else r"\s*[,+.]?\s*").match(
            text, quoted.end()
        )
        quoted = _QUOTED.match(text, between.end()) if between else None
        if quoted and re.compile(r"\s*:(?!:)").match(text, quoted.end()):
            return  # the next key of a dictionary


def _within_brackets(text: str, start: int, *, is_strict: bool) -> Iterator[Span]:
    """The literals of a list, a tuple or a dictionary's values."""
    depth = 0
    at = start
    stop = min(len(text), start + MAX_VALUE_CHARS)
    while (mark := _BRACKET_OR_QUOTE.search(text, at, stop)) is not None:
        at = mark.end()
        if mark[0] in "([{":
            depth += 1
        elif mark[0] in ")]}":
            depth -= 1
            if depth == 0:
                return
        elif quoted := _QUOTED.match(text, mark.start()):
            at = quoted.end()
            value = quoted["value"]
            is_key = _KEY.match(text, at) or (text[mark.start() - 1] == "[" and depth > 1)
            is_long = is_strict or (len(value) >= 8 and re.search(r"\d", value))
            if value.strip() and not is_key and is_long and not _is_template(value):
                yield quoted.span("value")
