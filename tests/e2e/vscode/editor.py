"""VS Code's own server with our extension in it, as an unprivileged user, and Chromium before it.

`Editor` starts both. `call` does something inside VS Code by its API (`host/extension.js` has what
can be done), `page` is what a person sees. Waits are generous, because the machine may be loaded;
each is for a condition.
"""

import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from linnix_ls import procfs

ROOT = Path(__file__).parents[3]
HOST = Path(__file__).with_name("host")
PATIENCE_S = 90
NOBODY = 65534
# Of the group whose members may load probes: it need not be on this machine.
PROBES_GID = 64999
SIZE = {"width": 1280, "height": 800}

# What would distract, differ from day to day, or ask somebody else.
USER_SETTINGS = {
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.layoutControl.enabled": False,
    "window.commandCenter": False,
    "chat.disableAIFeatures": True,
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "git.enabled": False,
    "workbench.colorTheme": "Default Dark Modern",
    "terminal.integrated.defaultProfile.linux": "bash",
    "terminal.integrated.initialHint": False,
    "security.workspace.trust.startupPrompt": "never",
    "security.workspace.trust.banner": "never",
    "editor.minimap.enabled": False,
    "editor.hover.above": False,
    "files.exclude": {"**/__pycache__": True},
}

CONTENT_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="json" ContentType="application/json"/>
<Default Extension="js" ContentType="application/javascript"/>
<Default Extension="vsixmanifest" ContentType="text/xml"/></Types>
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
<Metadata><Identity Language="en-US" Id="{name}" Version="{version}" Publisher="{publisher}"/>
<DisplayName>{name}</DisplayName><Description>for tests</Description></Metadata>
<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation><Dependencies/>
<Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json"/></Assets>
</PackageManifest>
"""


def until(condition, what, patience_s=PATIENCE_S):
    """The first true value of it."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {patience_s} s still not: {what}"
        time.sleep(0.05)
    return value


def give_to_nobody(folder):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def with_groups(group_file):
    """What to put before a command, for which `group_file` is the machine's file of groups."""
    if group_file is None:
        return []
    return [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" /etc/group && exec "$@"',
        group_file,
    ]


def package_of_host(path):
    """An extension of two files needs no packager."""
    manifest = MANIFEST.format(**json.loads((HOST / "package.json").read_text()))
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", CONTENT_TYPES)
        package.writestr("extension.vsixmanifest", manifest)
        for file in HOST.iterdir():
            package.write(file, f"extension/{file.name}")


class Editor:
    """One server with a data folder of its own, and one window.

    Attributes:
        home: the folder of its user, who can read nothing that is not everybody's.
        page: the window.
        said: what the window has written to its console.
    """

    def __init__(self, home, *, path, machine_settings, options=(), group_file=None):
        self.home = home
        self.said = []
        self._ids = itertools.count()
        self._answers = {}
        self._connection = None
        node = Path(tool("node.sh"), "node")
        server = [node, Path(tool("vscode.sh"), "out/server-main.js")]
        self._data = home / "data"
        folders = ["--server-data-dir", self._data, "--extensions-dir", home / "extensions"]
        self._socket_path = home / "inside.sock"
        for name, values in (("User", USER_SETTINGS), ("Machine", machine_settings)):
            file = self._data / "data" / name / "settings.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(values))
        package_of_host(home / "inside.vsix")
        shutil.copy(ROOT / "vscode-extension/dist/linnix-ls.vsix", home)
        give_to_nobody(home)
        environment = {
            "HOME": str(home),
            "PATH": path,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "LINNIX_TEST_SOCKET": str(self._socket_path),
        }
        groups = f"--groups={PROBES_GID}" if group_file else "--clear-groups"
        as_nobody = [
            *with_groups(group_file),
            "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", groups, "--no-new-privs"
        ]  # fmt: skip
        install = [
            f"--install-extension={home / name}" for name in ("linnix-ls.vsix", "inside.vsix")
        ]
        subprocess.run(
            [*as_nobody, *server, *folders, *install],
            env=environment, cwd=home, check=True, capture_output=True,
        )  # fmt: skip
        self._log = home / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*as_nobody, *server, *folders, "--host=127.0.0.1", "--port=0",
                 "--without-connection-token", "--accept-server-license-terms",
                 "--telemetry-level=off", *options],
                env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._address = until(self._announced, "VS Code's server listens")

    def _announced(self):
        assert self._process.poll() is None, self._log.read_text()
        lines = self._log.read_text().splitlines()
        if not any("Extension host agent started" in line for line in lines):
            return None
        port = next(line.rsplit(" ", 1)[1] for line in lines if "listening on" in line)
        return f"http://127.0.0.1:{port}"

    def show(self, browser, folder):
        """Open the window, and wait for what is in it."""
        context = browser.new_context(
            viewport=SIZE, permissions=["clipboard-read", "clipboard-write"], color_scheme="dark"
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        self.page = context.new_page()
        self.page.on(
            "console",
            lambda said: self.said.append(f"{said.type}: {said.text} ({said.location['url']})"),
        )
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error.stack}"))
        self.page.goto(f"{self._address}/?folder={folder}")
        self.page.wait_for_selector(".monaco-workbench .statusbar-item")
        self._connection = until(self._connected, "the extension for tests answers")
        threading.Thread(target=self._read, daemon=True).start()

    def _connected(self):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._socket_path))
        except OSError:
            connection.close()
            return None
        return connection

    def _read(self):
        with contextlib.suppress(OSError), self._connection.makefile() as lines:
            for line in lines:
                answer = json.loads(line)
                waiting = self._answers.pop(answer["id"])
                if "problem" in answer:
                    waiting.set_exception(AssertionError(answer["problem"]))
                else:
                    waiting.set_result(answer["result"])

    def until(self, condition, what, patience_s=PATIENCE_S):
        """Like the function; the last that was seen is kept."""
        try:
            return until(condition, what, patience_s)
        except AssertionError as error:
            picture = Path(tempfile.gettempdir(), "linnix-vscode-failed.png")
            self.page.screenshot(path=picture)
            raise AssertionError(f"{error}; the window is in {picture}") from None

    def begin(self, ability, *args):
        """What takes until somebody has answered a question; its `result` may be waited for."""
        number = next(self._ids)
        waiting = self._answers[number] = concurrent.futures.Future()
        message = {"id": number, "ability": ability, "args": args}
        self._connection.sendall(json.dumps(message).encode() + b"\n")
        return waiting

    def call(self, ability, *args):
        return self.begin(ability, *args).result(PATIENCE_S)

    def report(self):
        """The extension's status report, as a dict."""
        self.call("command", "linnix.copyStatusReport")
        lines = self.call("clipboard").splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def notifications(self):
        return self.page.locator(".notification-list-item-message").all_inner_texts()

    def server_pids(self):
        """Of the language server."""
        return [
            pid
            for pid in procfs.descendants(self._process.pid)
            if any(word.endswith("bin/linnix-ls") for word in procfs.read_argv(pid) or ())
        ]

    def logs(self):
        """What VS Code and all extensions have written, by file."""
        files = sorted((self._data / "data" / "logs").rglob("*.log"))
        return {file.name: file.read_text(errors="replace") for file in files}

    def end_tests(self):
        """Those that `runTests` has started."""
        self._kill(b"LINNIX_TEST_ADAPTER")
        self.call("disposeTests")

    def close(self):
        if self._connection:
            self._connection.close()
        self._kill(b"LINNIX_TEST_SOCKET")
        self._process.wait()

    def _kill(self, variable):
        """What has our mark there, also if it has lost its parents."""
        mark = os.fsencode(self._socket_path)
        for pid in procfs.all_pids():
            if procfs.read_variable(pid, variable) == mark:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def tool(script):
    """The folder that a script of deploy/ installs, if need be, and prints."""
    done = subprocess.run([ROOT / "deploy" / script], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.strip()
