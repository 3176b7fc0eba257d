"""The shop's API: GET /products and GET /health on the port of its settings."""
import http.server
import json
from pathlib import Path

settings = json.loads(Path(__file__).with_name("settings.json").read_text())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = settings["products"] if self.path == "/products" else "fine"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


http.server.HTTPServer(("127.0.0.1", settings["port"]), Handler).serve_forever()
