"""The supervisor's end of the control socket, for a gateway that is tested alone."""

import asyncio
import json
import queue
from dataclasses import asdict

from procman.snapshot import Findings


class SupervisorSide:
    """The control socket as the supervisor serves it: `watch`, `logs`, `start`."""

    def __init__(self, stage, path, snapshot):
        self.stage, self.path, self.snapshot = stage, path, snapshot
        self.ready = queue.Queue()
        self.asked = queue.Queue()
        self.logs = {}
        self.findings = {}
        self.on_start = None
        self.on_sleep = None
        self.followers = {}
        self.left = queue.Queue()
        self._watchers = set()
        self._server = None
        self.open()

    def open(self):
        self._server = self.stage.do(asyncio.start_unix_server(self._serve, str(self.path)))

    def vanish(self):
        """Ends as a killed supervisor does."""

        async def end():
            self._server.close()
            for writer in list(self._watchers):
                writer.transport.abort()
            await asyncio.sleep(0)

        self.stage.do(end())
        self.path.unlink(missing_ok=True)

    def tell(self, snapshot):
        self.snapshot = snapshot

        async def write():
            for writer in self._watchers:
                writer.write(self._line())

        self.stage.do(write())

    async def _follow(self, name, reader, writer):
        writer.write(b'{"begins": {}}\n')
        self.followers.setdefault(name, set()).add(writer)
        await reader.read()
        self.followers[name].discard(writer)
        self.left.put(name)

    def say(self, name, text):
        """The service writes a line: whoever follows its output hears it."""

        async def write():
            for writer in self.followers.get(name, ()):
                writer.write(json.dumps({"line": {"name": f"{name}.web", "text": text}}).encode() + b"\n")

        self.stage.do(write())

    def _line(self):
        return json.dumps({"snapshot": self.snapshot.to_json()}).encode() + b"\n"

    async def _serve(self, reader, writer):
        try:
            question = json.loads(await reader.readline())
            self.asked.put(question)
            if question["verb"] == "watch":
                self._watchers.add(writer)
                writer.write(self._line())
                while line := await reader.readline():
                    self.ready.put(json.loads(line))
            elif question["verb"] == "logs":
                name = question["targets"][0]
                if question.get("follow"):
                    await self._follow(name, reader, writer)
                    return
                for text in self.logs.get(name, [])[-question["n"] :]:
                    writer.write(json.dumps({"line": {"name": f"{name}.web", "text": text}}).encode() + b"\n")
                writer.write(b'{"ok": true}\n')
            elif question["verb"] == "examine":
                name = question["targets"][0]
                findings = asdict(self.findings.get(name, Findings()))
                writer.write(json.dumps({"ok": {name: findings}}).encode() + b"\n")
            elif question["verb"] == "sleep" and self.on_sleep is not None:
                stays = await self.on_sleep(question["targets"][0])
                writer.write(json.dumps({"ok": {question["targets"][0]: stays}}).encode() + b"\n")
            elif question["verb"] in {"start", "restart"} and self.on_start is not None:
                await self.on_start(question)
                writer.write(b'{"ok": true}\n')
            else:
                writer.write(b'{"error": {"message": "no", "hint": "never"}}\n')
        finally:
            self._watchers.discard(writer)
            writer.close()
