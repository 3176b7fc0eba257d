"""Runs several commands at once and merges their output line by line."""
import os
import select
import subprocess


class Source:
    def __init__(self, name, argv):
        self.name = name
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.fd = self.proc.stdout.fileno()
        self.rest = b""

    def running(self):
        return self.proc.poll() is None


class Console:
    def __init__(self, emit):
        self.emit = emit
        self.poller = select.poll()
        self.sources = {}

    def add(self, name, argv):
        source = Source(name, argv)
        self.sources[source.fd] = source
        self.poller.register(source.fd, select.POLLIN)

    def run(self):
        """Returns the worst exit status once every command has ended."""
        while any(source.running() for source in self.sources.values()):
            for fd, event in self.poller.poll(1000):
                if event & select.POLLIN:
                    self._read(self.sources[fd])
        for source in self.sources.values():
            self._flush(source)
        return max(source.proc.returncode for source in self.sources.values())

    def _read(self, source):
        *lines, source.rest = (source.rest + os.read(source.fd, 4096)).split(b"\n")
        for line in lines:
            self.emit(source.name, line.decode())

    def _flush(self, source):
        for line in (source.rest + source.proc.stdout.read()).splitlines():
            self.emit(source.name, line.decode())
