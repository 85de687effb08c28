"""The supervisor's process, from its start to its end: set up in one order, taken down in the reverse one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from procman import client, environment, foreground, gateway_process, listen, ports, proc, spawn, workspace
from procman.adoption import adopt
from procman.bell import Bell
from procman.control import Control
from procman.errors import StoresError
from procman.ledger import Ledger
from procman.output import Output
from procman.paths import Paths
from procman.plans import Circumstances
from procman.ports import Ports
from procman.process import Floor
from procman.queue import StartQueue
from procman.reload import Reload
from procman.roster import GATEWAY, Roster
from procman.spawn import Reaper
from procman.supervisor import Supervisor

#: The resolver's port, unless set: 53 is root's, and 5353 belongs to mDNS.
DNS_PORT = 15353

#: How long the system's resolver may take to say whether it knows the domain, in seconds.
_RESOLVE = 0.7


class House:
    """One supervisor's process. `targets` is what a foreground run starts; None in the background."""

    def __init__(self, root: Path, paths: Paths, environ: dict[str, str], targets: Sequence[str] | None) -> None:
        self.root = root
        self.paths = paths
        self.environ = environ
        self.targets = targets
        self.stack = AsyncExitStack()
        self.signals: list[int] = []
        self.ending = asyncio.Event()

    async def run(self) -> int:
        """Sets up, works until told to end, takes down. Returns the exit code. A failed start leaves nothing behind."""
        async with self.stack:
            await self.startup()
            code = await self.main()
        return 128 + self.signals[0] if self.signals else code

    async def startup(self) -> None:
        """In this order, because each stands on what was set up before it."""
        self.loop = asyncio.get_running_loop()
        self.take_lock()
        self.read_workspace()
        self.ensure_ca()
        self.take_signals()
        self.gather_processes()
        await self.start_dns()
        self.bind_gateway()
        await self.learn_environment()
        await adopt(self.ledger, self.supervisor.roster, self.note)
        await self.listen_for_commands()
        self.stack.push_async_callback(self.supervisor.end)
        self.supervisor.roster.processes[GATEWAY].want()
        self.stack.callback(Reload(self.loop, self.supervisor, self.environ, self.note).start())

    def take_lock(self) -> None:
        """One supervisor a workspace. The kernel gives the lock back, however this process ends."""
        self.paths.make()
        lock = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = client.holder(self.paths) or "?"
            raise StoresError(f"A supervisor runs here already: PID {pid}", "See it: stores status") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        spawn.close_on_exec()
        proc.adopt_orphans()

    def read_workspace(self) -> None:
        """A mistake in any file, or a target that there is not, ends the start: nothing starts half."""
        self.workspace = workspace.load(self.root, self.environ)
        self.workspace.select([target.partition(".")[0] for target in self.targets or [] if target != GATEWAY])
        self.display = foreground.display(self.loop, self.workspace, self.environ)
        self.stack.callback(self.display.flush, 0.5)

    def ensure_ca(self) -> None:
        """Makes the CA where there is none, in a child: cryptography would cost this process 20 MB for ever."""
        from certs import bundle  # noqa: PLC0415 (a room of its own; only here)
        from certs.folder import CaFolder  # noqa: PLC0415

        domain = self.workspace.settings.domain
        folder = self.paths.ca(domain)
        made = subprocess.run(  # before the reaper is there, which would collect it
            [sys.executable, "-P", "-m", "certs", "--domain", domain, "--folder", folder, "--bundle", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise StoresError(f"There is no local CA: {made.stderr.strip()}", f"Look at {folder}")
        self.ca_file, bundle_file = map(Path, made.stdout.splitlines()[-2:])
        self.ca_variables = bundle.environment(CaFolder(folder), bundle_file, self.environ)

    def take_signals(self) -> None:
        """Handlers only record; `main` acts."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.loop.add_signal_handler(number, self.signalled, number)
            self.stack.callback(self.loop.remove_signal_handler, number)

    def signalled(self, number: int) -> None:
        """The first one asks, the second one kills."""
        if number == signal.SIGHUP and self.targets is None:
            return  # a terminal that closes is nothing to what runs in the background
        self.signals.append(number)
        self.ending.set()
        if len(self.signals) > 1:
            self.supervisor.hurry()

    def gather_processes(self) -> None:
        """A supervised process for each line of each file; none is started."""
        self.bell, self.ledger = Bell(), Ledger(self.paths.ledger)
        self.circumstances = Circumstances(self.environ, Ports(self.paths.ports), cache=self.paths.state / "shell")
        floor = Floor(self.loop, self.ledger, Reaper(self.loop), StartQueue(), self.bell, self.note)
        roster = Roster(self.workspace, self.paths, floor, self.circumstances, self.heard)
        self.supervisor = Supervisor(roster, self.bell, self.circumstances)
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
        """The resolver for the workspace's domain lives in this process: another one would cost 10 MB more."""
        from dns.server import DnsServer  # noqa: PLC0415 (a room of its own; only here)
        from dns.zone import Zone  # noqa: PLC0415

        wanted = self.workspace.settings.dns
        port = DNS_PORT if wanted is None else wanted
        try:
            server = await DnsServer.start(Zone(self.workspace.settings.domain), port=port)
        except OSError as error:
            raise StoresError(
                f"The resolver cannot have port {port}: {error.strerror}, {ports.holder(port, udp=True)}",
                f"Free it, or choose another one: STORES_DNS_PORT={port + 1}, or [dns] port in stores.toml",
            ) from error
        self.stack.push_async_callback(server.close)
        self.supervisor.fixtures.dns = server.port

    def bind_gateway(self) -> None:
        """The sockets stand here, so that the gateway's restart refuses no connection."""
        http, https = listen.gateway(self.workspace.settings, lambda text: self.note("stores", text))
        self.stack.callback(http.close)
        self.stack.callback(https.close)
        fixtures = self.supervisor.fixtures
        fixtures.http, fixtures.https, fixtures.ca_file = http.port, https.port, str(self.ca_file)
        self.supervisor.roster.add(gateway_process.plan(self.paths, self.environ, (http, https), self.gateway_ready))

    async def gateway_ready(self, output: Output) -> None:
        """It says so itself, over the control socket."""
        await self.supervisor.roster.processes[GATEWAY].until_marked(output)

    async def learn_environment(self) -> None:
        """What every service gets besides its own: the CA, and the way to the others."""
        fixtures, settings = self.supervisor.fixtures, self.workspace.settings
        self.circumstances.https = fixtures.https
        self.circumstances.added = {**self.ca_variables}
        if settings.proxy == "always" or (settings.proxy == "auto" and not await self.domain_resolves()):
            self.circumstances.added |= environment.proxy(self.environ, fixtures.http)

    async def domain_resolves(self) -> bool:
        """Whether the system's resolver knows the domain already."""
        name = f"stores.{self.workspace.settings.domain}"
        try:
            async with asyncio.timeout(_RESOLVE):
                found = await self.loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError):
            return False
        return all(address[0] in {"127.0.0.1", "::1"} for *_, address in found)

    async def listen_for_commands(self) -> None:
        """From here on, other terminals can ask."""
        control = Control(self.supervisor, self.paths.logs)
        server = await control.serve(self.paths.socket)
        self.stack.callback(self.paths.socket.unlink, missing_ok=True)
        self.stack.push_async_callback(control.close)
        self.stack.callback(server.close)

    async def main(self) -> int:
        """Works until a signal, ``stores down``, or the end of all that a foreground run started."""
        ends = [asyncio.create_task(event.wait()) for event in (self.ending, self.supervisor.down)]
        work = asyncio.create_task(self.work())
        await asyncio.wait({work, *ends}, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
        if not work.done():
            work.cancel()
            return 0
        return await work

    async def work(self) -> int:
        """A foreground run's own work; in the background there is none."""
        if self.targets is None:
            await asyncio.Event().wait()
        return await foreground.run(self.supervisor, self.targets or (), self.display)


def run(root: Path, paths: Paths, environ: dict[str, str], targets: Sequence[str] | None) -> int:
    """Runs a supervisor in this process until it ends. Returns the exit code. Raises `StoresError` on a bad start."""
    return asyncio.run(House(root, paths, environ, targets).run())
