import os
import tempfile
import unittest
from pathlib import Path

from guard.supervisor import Supervisor

AGENT = Path(__file__).resolve().parents[1] / "helpers" / "metrics-agent"


class SupervisorTest(unittest.TestCase):
    def supervise(self, folder):
        guard = Supervisor([str(AGENT)], env={**os.environ, "AGENT_DIR": str(folder)})
        guard.start()
        self.addCleanup(guard.stop)
        return guard

    def test_agent_comes_up(self):
        with tempfile.TemporaryDirectory() as folder:
            guard = self.supervise(folder)
            self.assertTrue(guard.ready.wait(5))
            self.assertEqual(guard.starts, 1)

    def test_folder_that_is_made_later(self):
        with tempfile.TemporaryDirectory() as folder:
            guard = self.supervise(Path(folder, "metrics"))
            self.assertTrue(guard.ready.wait(11), "the agent never came up")
