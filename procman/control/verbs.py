"""What may be asked over the control socket: a method for each verb, whose result is the last line of the answer."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from procman import log_reading, workspace
from procman.control.attachment import Attachment
from procman.control.conversation import Conversation
from procman.control.following import Following, as_text
from procman.control.progress import Progress
from procman.errors import StoresError
from procman.process import plans
from procman.process.supervised import Supervised
from procman.supervisor import examination
from procman.supervisor.roster import GATEWAY
from procman.supervisor.supervisor import Supervisor
from procman.update.build import Build

#: Seconds between the answer to `hand-over` and the exec that ends all conversations.
_FAREWELL = 0.05

#: Characters of what is said of a service.
_LONGEST_ADVICE = 1000

#: Stored lines that a request can be told. Whoever wants more reads the files, which costs the supervisor nothing.
_STORED_LINES = 1000


class Verbs:
    """`answer` does what a request asks. `farewells` are the conversations whose end is the supervisor's end."""

    def __init__(self, supervisor: Supervisor, logs: Path) -> None:
        self.farewells: set[asyncio.Task[None]] = set()
        self._supervisor = supervisor
        self._logs = logs
        self._progress = Progress(supervisor.roster, supervisor.bell)
        self._build, self._life = Build.here(), secrets.token_hex(4)
        self._verbs: dict[str, Callable[[Conversation], Awaitable[Any]]] = {
            "status": self._status,
            "watch": self._watch,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "run": self._run,
            "logs": self._show_logs,
            "attach": self._attach,
            "environment": self._environment,
            "probe": self._probe,
            "examine": self._examine,
            "sleep": self._sleep,
            "about": self._about,
            "hand-over": self._hand_over,
            "advise": self._advise,
            "down": self._down,
        }

    async def answer(self, conversation: Conversation) -> Any:
        """Returns what a request's last line says. Raises `StoresError` for what cannot be done."""
        return await self._verbs.get(conversation.verb, self._unknown)(conversation)

    async def cancel(self) -> None:
        """Ends what is still worked on, also where whoever asked for it has left."""
        await self._progress.cancel()

    async def _unknown(self, conversation: Conversation) -> Any:
        raise StoresError(
            f"What runs does not know the verb {conversation.verb!r}",
            "Is it older than this command? Start it anew: stores down, then stores up -d",
        )

    async def _status(self, conversation: Conversation) -> Any:  # noqa: ARG002 (every verb takes one)
        await self._supervisor.probe([])
        return self._supervisor.snapshot().to_json()

    async def _watch(self, conversation: Conversation) -> Any:
        """The state, whenever it changes. The gateway says on the same connection that it is ready."""
        listening = asyncio.create_task(self._hear_ready(conversation))
        try:
            told = None
            while not listening.done():
                ring = self._supervisor.bell.next()  # taken before one looks
                snapshot = self._supervisor.snapshot().to_json()
                if snapshot != told:
                    await conversation.tell(snapshot=snapshot)
                    told = snapshot
                await asyncio.wait({ring, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
        return True

    async def _hear_ready(self, conversation: Conversation) -> None:
        while line := await conversation.reader.readline():
            gateway = self._supervisor.roster.processes.get(GATEWAY)
            if conversation.request.get("as") == GATEWAY and gateway and json.loads(line).get("ready"):
                gateway.mark_ready()

    async def _start(self, conversation: Conversation) -> Any:
        needs = not conversation.request.get("no_needs")
        urgent = bool(conversation.request.get("urgent"))
        await self._warn(conversation)
        about = self._supervisor.concerned(conversation.targets, needs=needs)
        work = self._supervisor.start(conversation.targets, needs=needs, urgent=urgent)
        return await self._progress.tell(conversation, work, about)

    async def _warn(self, conversation: Conversation) -> None:
        """What is wrong in files now keeps nobody from anything: the last good state is in force."""
        for mistake in self._supervisor.fixtures.mistakes:
            await conversation.tell(warning=mistake)

    async def _stop(self, conversation: Conversation) -> Any:
        await self._warn(conversation)
        about = self._supervisor.concerned(conversation.targets)
        return await self._progress.tell(conversation, self._supervisor.stop(conversation.targets), about)

    async def _restart(self, conversation: Conversation) -> Any:
        await self._warn(conversation)
        about = self._supervisor.concerned(conversation.targets)
        return await self._progress.tell(conversation, self._supervisor.restart(conversation.targets), about)

    async def _run(self, conversation: Conversation) -> Any:
        """A second ``stores run``: starts, shows, and stops what it started when its terminal says so."""
        supervisor = self._supervisor
        await self._warn(conversation)
        ran = {process.name for process in supervisor.running()}
        chosen = supervisor.roster.select(conversation.targets)
        following = Following(supervisor.hearers, [process.name for process in chosen])
        telling = asyncio.create_task(following.tell(conversation))
        gone = asyncio.create_task(conversation.gone())
        about = supervisor.concerned(conversation.targets, needs=True)
        start = asyncio.create_task(self._progress.tell(conversation, supervisor.start(conversation.targets), about))
        try:
            await asyncio.wait({start, gone}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                await start
            await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            following.close()
            for task in (start, gone, telling):
                task.cancel()
            await asyncio.gather(start, gone, telling, return_exceptions=True)
            mine = [process.name for process in supervisor.running() if process.name not in ran]
            if mine:
                await supervisor.stop(mine)
        return True

    async def _show_logs(self, conversation: Conversation) -> Any:
        """The last lines, and, to ``follow``, the new ones.

        Whoever asks to follow is told first where in each log they begin: what stands before is read from the files.
        """
        request = conversation.request
        chosen = self._supervisor.roster.select(conversation.targets)
        if not conversation.targets:
            chosen.append(self._supervisor.roster.processes[GATEWAY])
        names = [process.name for process in chosen]
        if request.get("follow"):
            return await self._follow(conversation, chosen)
        n = min(int(request.get("n") or _STORED_LINES), _STORED_LINES)
        for line in log_reading.tail(self._logs, names, n=n, since=float(request.get("since") or 0)):
            await conversation.tell(line={"at": line.at, "name": line.name, "text": as_text(line.text)})
        return True

    async def _follow(self, conversation: Conversation, chosen: list[Supervised]) -> Any:
        following = Following(self._supervisor.hearers, [process.name for process in chosen])
        begins = {process.name: process.output.told_to for process in chosen}  # no await between these two
        gone = asyncio.create_task(conversation.gone())
        telling = asyncio.create_task(following.tell(conversation))
        try:
            await conversation.tell(begins=begins)
            await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            following.close()
            gone.cancel()
            telling.cancel()
        return True

    async def _probe(self, conversation: Conversation) -> Any:
        """Who answers for services that do not run here may have changed: asked by whoever is about to say so."""
        found = await self._supervisor.probe(conversation.targets)
        return [{"name": process.name, "state": process.state, "pid": process.pid} for process in found]

    async def _examine(self, conversation: Conversation) -> Any:
        """What the page wants to know of one service that does not answer."""
        await self._supervisor.probe(conversation.targets)
        roster = self._supervisor.roster
        return {name: asdict(await examination.examine(roster, name)) for name in conversation.targets}

    async def _attach(self, conversation: Conversation) -> Any:
        """A terminal for one process: its output and its end are told, what is typed is passed on."""
        service, process = self._supervisor.roster.workspace.process(" ".join(conversation.targets))
        supervised = self._supervisor.roster.processes[plans.name_of(service, process)]
        return await Attachment(conversation, supervised, self._supervisor.bell).attend()

    async def _sleep(self, conversation: Conversation) -> Any:
        """Stops what the gateway saw nobody use for long; the answer says why each stays."""
        return {name: await self._supervisor.sleep(name) for name in conversation.targets}

    async def _advise(self, conversation: Conversation) -> Any:
        """The gateway has seen in its answers what a service has to set."""
        advice = " ".join(str(conversation.request.get("advice") or "").split())[:_LONGEST_ADVICE]
        for target in conversation.targets:
            self._supervisor.roster.primary(target).advise(advice)
        return True

    async def _environment(self, conversation: Conversation) -> Any:
        """What each of the targets is told by this tool: of a service, the process that requests go to."""
        return {target: self._supervisor.told(target) for target in conversation.targets}

    async def _about(self, conversation: Conversation) -> Any:  # noqa: ARG002 (every verb takes one)
        """Which code this process runs: what is on the disk may be newer. `life` is another one after a hand-over."""
        root, life = str(self._supervisor.roster.workspace.root), self._life
        return {"root": root, "pid": os.getpid(), "executable": sys.executable, "life": life, **asdict(self._build)}

    async def _hand_over(self, conversation: Conversation) -> Any:
        """Makes this process the supervisor of the code on the disk, as soon as who asked has been told so."""
        self._supervisor.refuse_while_ending()
        # the next one has no last good state to go on with: it would end at once
        workspace.load(self._supervisor.roster.workspace.root, self._supervisor.circumstances.environ)
        asyncio.get_running_loop().call_later(_FAREWELL, self._supervisor.leaving.set)
        return await self._about(conversation)

    async def _down(self, conversation: Conversation) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self.farewells.add(task)
        self._supervisor.down.set()
        return await self._progress.tell(conversation, self._ended())

    async def _ended(self) -> list[Supervised]:
        processes = list(self._supervisor.roster.processes.values())
        await self._supervisor.end()
        return processes
