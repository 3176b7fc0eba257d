import os
import signal
import socketserver
import threading

FLUSH_S = 0.7


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            with self.server.guard:
                self.server.spool.append(line)
                number = len(self.server.spool)
            self.wfile.write(b"queued %d\n" % number)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(run):
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Server(("127.0.0.1", 0), Handler) as server:
        server.spool, server.guard = [], threading.Lock()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (run / "pid").write_text(str(os.getpid()))
        (run / "port.new").write_text(str(server.server_address[1]))
        (run / "port.new").rename(run / "port")
        stopping.wait()
        server.shutdown()
        # What arrived last is written out; late acknowledgements get a moment.
        (run / "spool").write_bytes(b"".join(server.spool))
        threading.Event().wait(FLUSH_S)
    (run / "pid").unlink()
