"""Client of the price feed: one JSON object a line, over TCP."""
import asyncio
import json


class FeedClient:
    def __init__(self, host, port, idle=5.0):
        self.host = host
        self.port = port
        self.idle = idle
        self.prices = {}
        self.disconnected = asyncio.Event()
        self._task = None

    async def start(self):
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        self._task = asyncio.create_task(self._receive())

    async def stop(self):
        self._task.cancel()
        self._writer.close()

    async def _receive(self):
        try:
            while True:
                try:
                    line = await asyncio.wait_for(self._reader.readline(), self.idle)
                except asyncio.TimeoutError:
                    self._writer.write(b'{"op": "ping"}\n')
                    continue
                line = line.strip()
                if line:
                    self._apply(json.loads(line))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.disconnected.set()

    def _apply(self, message):
        if message["op"] == "price":
            self.prices[message["symbol"]] = message["value"]
