"""A feed server for local use; says its prices once to everybody who connects."""
import asyncio
import json


class FeedServer:
    def __init__(self, prices, stay=True):
        self.prices = prices
        self.stay = stay

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        for symbol, value in self.prices.items():
            message = {"op": "price", "symbol": symbol, "value": value}
            writer.write(json.dumps(message).encode() + b"\n")
        await writer.drain()
        if self.stay:
            await reader.read()
        writer.close()

    def close(self):
        self._server.close()
