"""What is secret goes, wherever it stands; what is not stays, and so do the lines."""

import random

import pytest

from linnix_ls.explain.redaction import HIDDEN, redacted, redacted_argv

# A value that no shape gives away: only what stands before it.
PLAIN = "hunter2horse"
AWS_KEY, AWS_SECRET = "AKIA" + "IOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
RANDOM = "q8Zr2LkX0vTn5WbY" + "7mHc3JpD9sGfA4eU"

# (language, text with {} where the secret is, the secret)
PLANTED = [
    # by their shape, wherever they are
    (None, "key {} here", AWS_KEY),
    (None, 'x = "{}"', AWS_SECRET),
    ("python", 'client(["{}"])', "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("python", "# old: {}", "github_pat_" + "11ABCDEFG0abcdefghijkl_ABCDEFGHIJKLMNOP"),
    ("shell", "git clone {}", "glpat-" + "xxYYzz11223344556677"),
    ("javascript", "post('{}')", "xoxb-" + "123456789012-abcdefABCDEF"),
    ("java", 'f("{}");', JWT),
    ("c", 'char *x = "{}";', "AIza" + "SyA1234567890abcdefghijklmnopqrstuv"),
    ("python", 'f("{}")', "sk-" + "proj-abcdEFGH1234ijklMNOP5678"),
    ("python", 'f("{}")', "sk-ant-" + "api03-abcdEFGH1234ijklMNOP5678"),
    ("python", 'f("{}")', "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    ("shell", "x {}", "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEF"),
    ("shell", "x {}", "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789"),
    ("python", 'f("{}")', "SG." + "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmb"),
    ("python", 'x = f("{}")', RANDOM),
    ("python", 'x = bytes.fromhex("{}")', "9f86d081884c7d659a2feaa0c55ad015"),
    ("python", 'url = "https://hooks.slack.com/services/{}"', "T00000000/B00000000/XXXXXXXXXXXX"),
    # by their name, in all languages
    ("python", 'password = "{}"', PLAIN),
    ("python", "password: str = '{}'", PLAIN),
    ("python", 'DB_PASSWORD = b"{}"', PLAIN),
    ("python", 'api_key = (\n    "{}"\n)', PLAIN),
    ("python", 'SECRET = """\n{}\n"""', PLAIN),
    ("python", 'settings["client_secret"] = "{}"', PLAIN),
    ("python", '{{"user": "bob", "password": "{}"}}', PLAIN),
    ("python", 'connect(host, user="bob", passwd="{}")', PLAIN),
    ("python", 'token = os.environ.get("API_TOKEN", "{}")', PLAIN),
    ("python", 'user, password = "bob", "{}"', PLAIN),
    ("python", 'if password == "{}":', PLAIN),
    ("python", 'requests.get(url, auth=("bob", "{}"))', PLAIN),
    ("python", 'requests.get(url, auth=HTTPBasicAuth("bob", "{}"))', PLAIN),
    ("python", 'headers = {{"Authorization": "Bearer {}"}}', PLAIN),
    ("python", 'headers = {{"Cookie": "sid={}; a=b"}}', PLAIN),
    ("python", "# password: {}", PLAIN),
    ("python", 'subprocess.run(["curl", "-u", "bob:{}", url])', PLAIN),
    ("python", 'subprocess.run(["tool", "--api-key", "{}"])', PLAIN),
    ("python", 'os.system("mysql -u root -p{} db")', PLAIN),
    ("python", 'DSN = "postgresql://bob:{}@db/app"', PLAIN),
    ("python", 'get("https://x.example/?token={}&page=2")', PLAIN),
    ("python", 'SECRETS = [\n    "one",\n    "{}",\n]', PLAIN),
    ("javascript", "const apiKey = '{}';", PLAIN),
    ("javascript", "const accessToken = `{}`;", PLAIN),
    ("javascript", 'auth: {{ username: "bob", password: "{}" }}', PLAIN),
    ("javascript", "process.env.AUTH_TOKEN = '{}'", PLAIN),
    ("javascript", "process.env.AUTH_TOKEN || '{}'", PLAIN),
    ("javascript", "process.env.AUTH_TOKEN ?? '{}'", PLAIN),
    ("typescript", 'const password: string = "{}";', PLAIN),
    ("java", 'private static final String PASSWORD = "{}";', PLAIN),
    ("java", 'config.setPassword("{}");', PLAIN),
    ("java", 'map.put("password", "{}");', PLAIN),
    ("c", '#define API_KEY "{}"', PLAIN),
    ("c", 'static const char password[] = "{}";', PLAIN),
    ("c", 'setenv("DB_PASSWORD", "{}", 1);', PLAIN),
    ("c++", 'std::string secret{{"{}"}};', PLAIN),
    ("rust", 'let token: &str = "{}";', PLAIN),
    ("rust", 'let password = String::from("{}");', PLAIN),
    ("rust", 'command.env("API_TOKEN", "{}")', PLAIN),
    ("perl", "my $password = '{}';", PLAIN),
    ("perl", "password => '{}',", PLAIN),
    ("shell", "export AWS_SECRET_ACCESS_KEY={}", PLAIN),
    ("shell", "PASSWORD='{}' ./run", PLAIN),
    ("shell", 'token="${{API_TOKEN:-{}}}"', PLAIN),
    ("shell", "curl -u bob:{} x.example", PLAIN),
    ("shell", "curl -H 'Authorization: Bearer {}' x.example", PLAIN),
    ("shell", 'curl -H "X-Api-Key: {}" x.example', PLAIN),
    ("shell", "tool --token {} --verbose", PLAIN),
    ("shell", "tool --token={} --verbose", PLAIN),
    ("shell", "sshpass -p {} ssh host", PLAIN),
    ("shell", "openssl enc -pass pass:{}", PLAIN),
    ("shell", "PASSWORD='{} and\nmore' ./run", PLAIN),
    ("python", 'password = "{}', PLAIN),
    ("make", "DEPLOY_TOKEN ?= {}", PLAIN),
    (None, "password: {}", PLAIN),
    (None, "- name: DB_PASSWORD\n  value: {}", PLAIN),
    (None, "private_key: |\n  {}\n  more\nnext: 1", PLAIN),
    (None, '"password": "{}"', PLAIN),
    (None, "<password>{}</password>", PLAIN),
    (None, "ENV API_TOKEN {}", PLAIN),
    (None, "-----BEGIN RSA PRIVATE KEY-----\nabc\n{}\n-----END RSA PRIVATE KEY-----", PLAIN),
    (None, "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\ncut off", PLAIN),
]  # fmt: skip

INNOCENT = [
    ("python", "password = get_password()"),
    ("python", "password = getpass.getpass('Password: ')"),
    ("python", "def login(user: str, password: str) -> Token:"),
    ("python", "token = next_token(stream)"),
    ("python", "token = tokens[position]"),
    ("python", 'if token == "+":'),
    ("python", 'if token.kind == "STRING":'),
    ("python", 'TOKEN_TYPES = ["NUMBER", "STRING", "IDENT"]'),
    ("python", 'token = os.environ["API_TOKEN"]'),
    ("python", 'headers = {"Authorization": f"Bearer {token}"}'),
    ("python", "max_tokens = 4096"),
    ("python", "session_timeout = 30"),
    ("python", "n_tokens: int = 12345"),
    ("python", "self.password = password"),
    ("python", "connect(password=self._password)"),
    ("python", "password = None"),
    ("python", "def test_that_a_long_name_of_a_function_with_2_digits_is_kept_as_it_is_13():"),
    ("python", "from package.some_module.deeper_module import AnExceptionWithAVeryLongName"),
    ("python", 'ALPHABET = "abcdefghijklmnopqrstuvwxyz"'),
    ("python", "        item = self._queue.get_nowait()"),
    ("python", 'PATTERN = re.compile(r"^(?:[a-z]+\\s?)+$")'),
    ("python", 'request_id = "123e4567-e89b-12d3-a456-426614174000"'),
    ("python", "author = 'Ann'"),
    ("python", "while not sock.recv(4096): pass"),
    ("javascript", "const password = await prompt();"),
    ("javascript", "const { token } = await login();"),
    ("javascript", "for (const token of tokens) {"),
    ("typescript", "constructor(private readonly token: string) {}"),
    ("java", "String password = config.getPassword();"),
    ("java", "throw new InvalidTokenException(token);"),
    ("c", "char *token = strtok(line, delimiters);"),
    ("c", "while (atomic_load(&ring->head) == ring->tail) { }"),
    ("rust", "let token = self.tokens.next()?;"),
    ("shell", "PASSWORD=$(cat /run/secrets/db)"),
    ("shell", 'curl -u "$USER:$PASSWORD" localhost'),
    ("shell", "mkdir -p /var/lib/app"),
    ("shell", "while ! nc -z localhost 5432; do :; done"),
    ("shell", "exec 3<>/dev/tcp/127.0.0.1/5432"),
    ("make", "$(MAKE) -C docs html"),
    (None, "/usr/lib/python3/dist-packages/some_long_package_name_1/module_2.py"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "secret"), PLANTED)
def test_a_secret_goes_and_the_lines_stay(language, text, secret):
    text = text.format(secret)
    hidden = redacted(text, language)
    assert secret not in hidden
    assert secret[:8] not in hidden
    assert HIDDEN in hidden
    assert hidden.count("\n") == text.count("\n")


@pytest.mark.parametrize(("language", "text", "secret"), PLANTED)
def test_a_secret_goes_where_the_language_is_not_known(language, text, secret):
    assert secret not in redacted(text.format(secret))


@pytest.mark.parametrize(("language", "text"), INNOCENT)
def test_what_is_no_secret_stays_as_it_is(language, text):
    assert redacted(text, language) == text


def test_secrets_go_from_the_midst_of_code():
    chance = random.Random(4)
    for _ in range(60):
        language, text, secret = chance.choice(PLANTED)
        planted = text.format(secret)
        before = "\n".join(line for _, line in chance.sample(INNOCENT, 5))
        after = "\n".join(line for _, line in chance.sample(INNOCENT, 5))
        hidden = redacted(f"{before}\n{planted}\n\n{after}", language)
        assert secret not in hidden
        assert hidden.count("\n") == f"{before}\n{planted}\n\n{after}".count("\n")


@pytest.mark.parametrize(("_", "text", "secret"), PLANTED)
def test_nothing_is_left_to_hide_in_what_was_hidden(_, text, secret):
    once = redacted(text.format(secret))
    assert redacted(once).count("\n") == once.count("\n")
    assert secret not in redacted(once)


ARGV = [
    ["tool", "--password", PLAIN],
    ["tool", f"--password={PLAIN}"],
    ["tool", "--token", PLAIN, "--verbose"],
    ["tool", "-p", PLAIN],
    ["mysql", "-u", "root", f"-p{PLAIN}"],
    ["curl", "-u", f"bob:{PLAIN}", "http://localhost"],
    ["curl", f"--user=bob:{PLAIN}", "http://localhost"],
    ["curl", "-H", f"Authorization: Bearer {PLAIN}"],
    ["curl", "-b", f"sid={PLAIN}", "http://localhost"],
    ["curl", f"http://bob:{PLAIN}@localhost/"],
    ["curl", f"http://localhost/?api_key={PLAIN}"],
    ["env", f"DB_PASSWORD={PLAIN}", "./run"],
    ["java", f"-Dspring.datasource.password={PLAIN}", "Main"],
    ["bash", "-c", f"export SECRET_KEY={PLAIN}; ./run"],
    ["make", f"DEPLOY_TOKEN={PLAIN}"],
    ["sshpass", "-p", PLAIN, "ssh", "host"],
    ["redis-cli", "-a", PLAIN],
    ["docker", "run", "-e", f"API_TOKEN={PLAIN}", "image"],
    ["openssl", "enc", "-pass", f"pass:{PLAIN}"],
    ["node", "-e", f"const apiKey = '{PLAIN}'"],
    ["keytool", "-storepass", PLAIN],
]


@pytest.mark.parametrize("argv", ARGV, ids=" ".join)
def test_a_command_line_tells_no_secret(argv):
    hidden = redacted_argv(argv)
    assert len(hidden) == len(argv)
    assert hidden[0] == argv[0]
    assert PLAIN not in " ".join(hidden)


@pytest.mark.parametrize(
    "line",
    [
        "python3 -m pytest -q -p no:cacheprovider tests/test_pump.py",
        "mkdir -p build/objects",
        "ssh -p 2222 host",
        "make -j8 docs",
        "node scripts/build.js --watch --token-file token.txt",
        "bash scripts/wait-for-db.sh 127.0.0.1 5432",
        "cc1 -O2 -o /tmp/ccAbC123.s unit_1.c",
        "python3 -m tool --max-tokens 100",
    ],
)
def test_an_ordinary_command_line_stays(line):
    assert redacted_argv(line.split()) == tuple(line.split())


ENDLESS = [
    "".join(random.Random(7).choices("password=:\"'`({[\n ab1$\\-|>x, ", k=20_000)),
    "password" * 10_000,
    "password=" * 10_000,
    "password = (" * 8_000,
    'password = "' + "\\" * 50_000,
    "password: |\n" + " x\n" * 20_000,
    "a" * 100_000,
    "aB3" * 30_000,
    "eyJ" * 30_000,
    "-----BEGIN KEY-----" * 4_000,
    "mysql " * 15_000,
    "--a " * 20_000,
    "x://" + "a" * 90_000,
    "\x00\ud800\u202e" * 1000,
]


@pytest.mark.timeout(30)  # a pattern that goes back and forth would take days
@pytest.mark.parametrize("text", ENDLESS, ids=range(len(ENDLESS)))
def test_anything_may_be_given_and_it_comes_to_an_end(text):
    assert redacted(text).count("\n") == text.count("\n")
    assert len(redacted_argv([text[:2000], text[:2000]])) == 2
