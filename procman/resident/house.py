"""The supervisor's process, from its start to its end: set up in one order, taken down in the reverse one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from procman import workspace
from procman.control.server import Control
from procman.control.verbs import Verbs
from procman.environment import variables
from procman.errors import StoresError
from procman.machine import proc
from procman.machine.ports import Ports
from procman.paths import Paths
from procman.process import plans, spawn
from procman.process.bell import Bell
from procman.process.floor import Floor
from procman.process.ledger import Ledger
from procman.process.output import Output
from procman.process.plans import Circumstances
from procman.process.start_queue import StartQueue
from procman.resident import foreground, handover, local_ca, lock, resolver
from procman.resident.gateway_process import GatewayProcess
from procman.resident.reload import Reload
from procman.resident.signals import Signals
from procman.supervisor.adoption import Adoption
from procman.supervisor.roster import GATEWAY, Roster
from procman.supervisor.supervisor import Supervisor
from procman.workspace import Workspace


class House:
    """One supervisor's process. `targets` is what a foreground run starts; None in the background.

    `resume`: at login, it starts what ran when the last one ended (`stores autostart`).
    """

    def __init__(
        self,
        root: Path,
        paths: Paths,
        environ: dict[str, str],
        targets: Sequence[str] | None,
        *,
        resume: bool = False,
    ) -> None:
        self.resume = resume
        self.inherited = handover.Inheritance.take(environ)
        self.root = root
        self.paths = paths
        self.environ = environ
        self.targets = targets
        self.stack = AsyncExitStack()
        self.signals = Signals(foreground=targets is not None)

    async def run(self) -> int:
        """Sets up, works until told to end, takes down. Returns the exit code. A failed start leaves nothing behind."""
        async with self.stack:
            await self.startup()
            code = 0 if self.signals.ending.is_set() else await self.main()
        return self.signals.exit_code(code)

    async def startup(self) -> None:
        """In this order, because each stands on what was set up before it. A signal is answered between two of them."""
        self.loop = asyncio.get_running_loop()
        for step in (
            self.take_lock,
            self.take_signals,
            self.read_workspace,
            self.ensure_ca,
            self.gather_processes,
            self.start_dns,
            self.open_gateway,
            self.learn_environment,
            self.listen_for_commands,
            self.go_on_where_the_last_one_stopped,
            self.start_gateway,
            self.follow_files,
        ):
            if not self.signals.ending.is_set():
                await step()

    async def take_lock(self) -> None:
        """And what belongs to the process itself."""
        self.stack.callback(os.close, lock.take(self.paths))
        spawn.close_on_exec()
        spawn.raise_descriptor_limit()
        proc.adopt_orphans()

    async def take_signals(self) -> None:
        """`main` acts on them."""
        self.stack.callback(self.signals.take(self.loop))

    async def read_workspace(self) -> None:
        """A mistake in any file, or a target that there is not, ends the start: nothing starts half."""
        self.workspace = workspace.load(self.root, self.environ)
        self.workspace.processes([target for target in self.targets or [] if target != GATEWAY])
        self.display = foreground.display(self.loop, self.workspace, self.environ)
        self.stack.callback(self.display.flush, 0.5)

    async def ensure_ca(self) -> None:
        """One for the domain, whatever the workspace."""
        domain = self.workspace.settings.domain
        self.ca_file, self.ca_variables = await local_ca.ensure(self.paths.ca(domain), domain, self.environ)

    async def gather_processes(self) -> None:
        """A supervised process for each line of each file; none is started."""
        self.bell, self.ledger = Bell(), Ledger(self.paths.ledger)
        self.circumstances = Circumstances(self.environ, Ports(self.paths.ports), cache=self.paths.state / "shell")
        floor = Floor(self.loop, self.ledger, spawn.Reaper(self.loop), StartQueue(), self.bell, self.note)
        roster = Roster(self.workspace, self.paths, floor, self.circumstances, self.heard)
        self.supervisor = Supervisor(roster, self.bell, self.circumstances)
        self.signals.hurry = self.supervisor.hurry
        self.display.on_full = lambda: self.each_output(Output.pause)
        self.display.on_room = lambda: self.each_output(Output.resume)

    def each_output(self, verb: Callable[[Output], None]) -> None:
        """The terminal is behind, or has caught up."""
        for process in self.supervisor.roster.processes.values():
            verb(process.output)

    def heard(self, name: str, lines: bytes) -> None:
        """A process wrote something."""
        if self.targets is not None:
            self.display.show(self.supervisor.roster.shown(name), lines)
        for hear in tuple(self.supervisor.hearers):
            hear(name, lines)

    def note(self, name: str, text: str) -> None:
        """The supervisor itself has something to say of a process."""
        self.display.note(self.supervisor.roster.shown(name), text)

    async def start_dns(self) -> None:
        """The resolver for the workspace's domain."""
        server = await resolver.start(self.workspace.settings)
        self.stack.push_async_callback(server.close)
        self.supervisor.fixtures.dns = server.port

    async def open_gateway(self) -> None:
        """The gateway's sockets, or the gateway that a killed supervisor left: it has them still, and goes on."""
        events = plans.events_port(self.workspace, self.circumstances)
        gateway = GatewayProcess(self.workspace.settings, self.paths, self.environ, self.ledger, events)
        self.gateway = gateway
        self.stack.callback(gateway.close)
        await gateway.have_sockets(self.inherited.sockets, lambda text: self.note("stores", text))
        fixtures = self.supervisor.fixtures
        fixtures.http, fixtures.https, fixtures.ca_file = gateway.port("http"), gateway.port("https"), str(self.ca_file)
        self.supervisor.roster.add(gateway.plan(self.gateway_ready))

    async def gateway_ready(self, output: Output) -> None:
        """It says so itself, over the control socket."""
        await self.supervisor.roster.processes[GATEWAY].until_marked(output)

    async def learn_environment(self) -> None:
        """What every service gets besides its own: the CA, and the way to the others."""
        fixtures, settings = self.supervisor.fixtures, self.workspace.settings
        self.circumstances.https = fixtures.https
        self.circumstances.added = {**self.ca_variables}
        unknown = settings.proxy == "auto" and not await resolver.is_asked_for(settings.domain)
        if unknown or settings.proxy == "always":
            self.circumstances.added |= variables.proxy(self.environ, fixtures.http)

    async def listen_for_commands(self) -> None:
        """From here on, other terminals can ask; and from here on, there is something to end."""
        control = Control(Verbs(self.supervisor, self.paths.logs), self.note)
        await control.serve(self.paths)
        self.stack.callback(self.paths.socket.unlink, missing_ok=True)
        self.stack.push_async_callback(control.close)
        self.stack.callback(control.stop_listening)
        self.stack.push_async_callback(self.supervisor.end)

    async def go_on_where_the_last_one_stopped(self) -> None:
        """Takes over what still lives, and starts what was wanted and does not."""
        found = Adoption(self.ledger, self.note)
        for name, number in self.inherited.terminals.items():
            self.supervisor.roster.take_terminal(name, number)
        found.adopt(self.supervisor.roster)
        if missing := found.to_start(self.supervisor.roster, resume=self.resume):
            said = f"was wanted when the supervisor before this one ended, and is started: {', '.join(missing)}"
            self.note("stores", said)
            restored = self.loop.create_task(self.restore(missing))
            self.stack.callback(restored.cancel)

    async def restore(self, names: Sequence[str]) -> None:
        """Starts them, each after what it needs."""
        try:
            await self.supervisor.start(names)
        except StoresError as error:
            self.note("stores", error.message)

    async def start_gateway(self) -> None:
        """It is ready when it says so; nobody waits for that here."""
        self.supervisor.roster.processes[GATEWAY].want(urgent=True)

    async def follow_files(self) -> None:
        """A change of the workspace's files takes effect at once from here on."""
        reload = Reload(self.loop, self.supervisor, self.environ, self.note, self.move_events)
        self.stack.callback(reload.start())

    def move_events(self, now: Workspace) -> None:
        """The event broker is to be where the changed workspace says. Raises `StoresError` where that port is taken."""
        self.gateway.move_events(plans.events_port(now, self.circumstances))

    async def main(self) -> int:
        """Works until a signal, ``stores down``, or the end of all that a foreground run started."""
        leaving = self.supervisor.leaving
        ends = [asyncio.create_task(event.wait()) for event in (self.signals.ending, self.supervisor.down)]
        work = asyncio.create_task(self.work())
        while True:
            left = asyncio.create_task(leaving.wait())
            await asyncio.wait({work, left, *ends}, return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            if not leaving.is_set() or work.done() or any(task.done() for task in ends):
                break
            leaving.clear()
            self.become_the_next_one()
        for task in ends:
            task.cancel()
        if not work.done():
            work.cancel()
            if self.signals.terminated:
                self.ledger.remember()
            return 0
        return await work

    def become_the_next_one(self) -> None:
        """Hands over to the code that is on the disk now. Returns only where that cannot be done."""
        self.display.flush(0.5)
        try:
            handover.become_the_next_one(self.environ, self.gateway, self.supervisor.roster)
        except OSError as error:
            self.note("stores", f"cannot hand over: {sys.executable}: {error.strerror}")

    async def work(self) -> int:
        """A foreground run's own work; in the background there is none."""
        if self.targets is None:
            await asyncio.Event().wait()
        return await foreground.run(self.supervisor, self.targets or (), self.display)


def run(
    root: Path, paths: Paths, environ: dict[str, str], targets: Sequence[str] | None, *, resume: bool = False
) -> int:
    """Runs a supervisor in this process until it ends. Returns the exit code. Raises `StoresError` on a bad start."""
    return asyncio.run(House(root, paths, environ, targets, resume=resume).run())
