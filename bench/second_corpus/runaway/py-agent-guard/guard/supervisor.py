"""Keeps a helper program running."""
import subprocess
import threading


class Supervisor(threading.Thread):
    def __init__(self, argv, env=None):
        super().__init__(name="supervisor", daemon=True)
        self.argv = argv
        self.env = env
        self.ready = threading.Event()
        self.stopping = threading.Event()
        self.starts = 0
        self.proc = None

    def stop(self):
        self.stopping.set()
        if self.proc is not None:
            self.proc.terminate()
        self.join()

    def run(self):
        while not self.stopping.is_set():
            self.starts += 1
            self.proc = subprocess.Popen(
                self.argv, env=self.env, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for line in self.proc.stdout:
                if line.strip() == "ready":
                    self.ready.set()
            self.proc.wait()
            self.ready.clear()
