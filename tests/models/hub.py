"""A hub on loopback that speaks as much of the real one's HTTP as its client asks for."""

import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves `files` of the repository who/what.

    Attributes:
        breaks_after: so many bytes of a file are sent, and from then on it is down.
        status: what it answers to everything; None while it is up.
        etags: of files whose own SHA-256 is not told.
        ranges: which was asked for, of each GET of a file.
    """

    def __init__(self, files):
        self.files = files
        self.breaks_after = None
        self.etags = {}
        self.ranges = []
        self.tags = ["license:mit"]
        self.status = None

    def answer(self, request):
        if self.status:
            return request.reply(self.status, b"<html>no</html>", {})
        if request.path.split("?")[0].rstrip("/").startswith("/api/models/who/what"):
            about = {
                "id": "who/what",
                "sha": COMMIT,
                "tags": self.tags,
                "siblings": [{"rfilename": name} for name in self.files],
            }
            return request.reply(200, json.dumps(about).encode(), {})
        match = re.fullmatch(rf"/who/what/resolve/{COMMIT}/(.+)", request.path)
        if not match or match[1] not in self.files:
            return request.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
        content = self.files[match[1]]
        etag = self.etags.get(match[1], hashlib.sha256(content).hexdigest())
        headers = {
            "ETag": f'"{etag}"',
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": COMMIT,
        }
        if request.command == "HEAD":
            return request.reply(200, content, headers)
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.breaks_after is not None:
            self.status = 500
        if asked is None:
            return request.reply(200, content, headers, breaks_after=self.breaks_after)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return request.reply(206, content[start:], headers, breaks_after=self.breaks_after)


@contextlib.contextmanager
def serving(hub):
    """Its address, while it runs."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            hub.answer(self)

        def do_HEAD(self):
            hub.answer(self)

        def reply(self, status, body, headers, *, breaks_after=None):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body[:breaks_after])
            self.close_connection = breaks_after is not None

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
