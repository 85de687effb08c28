"""Work on processes that somebody asked for, and what he is told of it on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

from procman.control.conversation import Conversation
from procman.process.bell import Bell
from procman.process.supervised import Supervised
from procman.supervisor.roster import Roster


class Progress:
    """One for the control socket: what is worked on there, until it is done or the supervisor ends."""

    def __init__(self, roster: Roster, bell: Bell) -> None:
        self._roster = roster
        self._bell = bell
        self._works: set[asyncio.Task[list[Supervised]]] = set()

    async def tell(
        self, conversation: Conversation, work: Coroutine[Any, Any, list[Supervised]], about: Collection[str] = ()
    ) -> Any:
        """Does the work, and tells of each state on the way. It goes on when the other end leaves.

        `about` are the processes that were asked for, so that nobody reads of another's crash as of his own; none: all.
        """
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        advised = {process.name: process.advice for process in self._roster.processes.values()}
        states = {process.name: process.state for process in self._roster.processes.values()}
        while True:
            ring = self._bell.next()  # taken before one looks
            done = task.done()
            for process in list(self._roster.processes.values()):
                if about and process.name not in about:
                    continue
                if process.advice and advised.get(process.name) != process.advice:
                    await conversation.tell(warning=f"{process.name} {process.advice}")
                advised[process.name] = process.advice
                if states.get(process.name) is not process.state:
                    states[process.name] = process.state
                    told = {"name": process.name, "state": process.state, "problem": process.problem}
                    await conversation.tell(state=told)
            if done:
                break
            either: set[asyncio.Future[Any]] = {task, ring}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return [{"name": process.name, "state": process.state, "pid": process.pid} for process in await task]

    async def cancel(self) -> None:
        """Ends what is still worked on."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
