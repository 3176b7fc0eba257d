import subprocess
import sys
import unittest
from pathlib import Path

STUB = Path(__file__).with_name("stub_gateway.py")


class GatewayCase(unittest.TestCase):
    """Starts the stub gateway; self.base is its address."""

    def setUp(self):
        self.stub = subprocess.Popen(
            [sys.executable, str(STUB)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.base = f"http://127.0.0.1:{self.stub.stdout.readline().strip()}"

    def tearDown(self):
        self.stub.terminate()
        self.stub.wait()
        self.stub.stdout.close()
