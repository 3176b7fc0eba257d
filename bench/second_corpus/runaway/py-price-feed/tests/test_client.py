import asyncio
import unittest

from feed.client import FeedClient
from feed.server import FeedServer


class FeedClientTest(unittest.IsolatedAsyncioTestCase):
    async def connect(self, **options):
        server = FeedServer({"AAA": 12.5, "BBB": 7.25}, **options)
        client = FeedClient("127.0.0.1", await server.start())
        await client.start()
        self.addCleanup(server.close)
        self.addAsyncCleanup(client.stop)
        return client

    async def test_prices_arrive(self):
        client = await self.connect()
        await asyncio.sleep(0.2)
        self.assertEqual(client.prices, {"AAA": 12.5, "BBB": 7.25})

    async def test_restart_of_the_server_is_noticed(self):
        client = await self.connect(stay=False)
        await asyncio.wait_for(client.disconnected.wait(), timeout=11)
        self.assertEqual(client.prices["AAA"], 12.5)


if __name__ == "__main__":
    unittest.main()
