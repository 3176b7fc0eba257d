"""A payment gateway that declines cards which begin with 4000."""
import http.server
import json
import signal


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        declined = body["card"].startswith("4000")
        self.send_response(402 if declined else 201)
        self.end_headers()
        self.wfile.write(json.dumps({"id": f"ch_{body['cents']}"}).encode())

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    signal.alarm(40)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
