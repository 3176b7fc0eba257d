"""A model that says what a test wants, when it wants."""

import asyncio

from linnix_ls.explain.base import Answer


class ScriptedWriter:
    """Answers with `answers` in turn (an exception is raised), the last one again and again.

    Attributes:
        asked: the prompts so far.
        gate: cleared, it holds every answer back.
    """

    target = "Scripted, here"
    is_local = True

    def __init__(self, *answers, writes_prose=False):
        self.answers = list(answers)
        self.writes_prose = writes_prose
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.n_cancelled = 0
        self.is_closed = False

    async def write(self, prompt, on_text):
        self.asked.append(prompt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self.gate.wait()
            if isinstance(answer, Exception):
                raise answer
            for start in range(0, len(answer), 7):
                on_text(answer[start : start + 7])
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.n_cancelled += 1
            self.answers.insert(0, answer)
            raise
        return Answer(answer, "Scripted 1B")

    async def close(self):
        self.is_closed = True
