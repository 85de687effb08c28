"""The server on real sockets, on asyncio's own loop and on uvloop."""

import asyncio
import errno
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

import psutil
import pytest
import uvloop
from dnslib import EDNS0, QTYPE, RR, A, DNSRecord

from dns.connections import CHUNK
from dns.records import Records
from dns.server import TURN, DnsServer
from dns.zone import Zone

PATIENCE = 10  # seconds until a test gives up
FORMERR = 1

has_ipv6 = socket.has_ipv6
if has_ipv6:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        has_ipv6 = False
needs_ipv6 = pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")


class Loop:
    """An event loop in a thread of its own, so that a test's clients can be plain blocking sockets."""

    def __init__(self, factory):
        started = Future()

        async def live():
            self.ended = asyncio.Event()
            started.set_result(asyncio.get_running_loop())
            await self.ended.wait()

        def run():
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(live())

        self.thread = threading.Thread(target=run)
        self.thread.start()
        self.loop = started.result(PATIENCE)

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def call(self, function):
        async def called():
            return function()

        return self.do(called())

    def end(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(PATIENCE)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request):
    running = Loop(request.param)
    yield running
    running.end()


@pytest.fixture
def serve(loop):
    servers = []

    def start(zone=None, **options):
        server = loop.do(DnsServer.start(zone or Zone("local.example.com"), **options))
        servers.append(server)
        return server

    yield start
    for server in servers:
        loop.do(server.close())


@pytest.fixture
def sockets():
    with ExitStack() as stack:
        yield stack


def question(name="netshop.local.example.com", qtype="A", ident=None) -> bytes:
    record = DNSRecord.question(name, qtype)
    if ident is not None:
        record.header.id = ident
    return bytes(record.pack())


def udp_ask(server, wire, host="127.0.0.1") -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((host, server.port))
        client.send(wire)
        return client.recv(4096)


def connect(server, sockets, host="127.0.0.1") -> socket.socket:
    return sockets.enter_context(socket.create_connection((host, server.port), PATIENCE))


def framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


def receive(client) -> bytes:
    """One message from a TCP connection; empty at its end."""

    def exactly(number):
        got = b""
        while len(got) < number and (more := client.recv(number - len(got))):
            got += more
        return got

    prefix = exactly(2)
    return exactly(struct.unpack("!H", prefix)[0]) if prefix else b""


def tcp_ask(client, wire) -> bytes:
    client.sendall(framed(wire))
    return receive(client)


def ended(client) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def addresses(reply: bytes) -> list[str]:
    return [str(rr.rdata) for rr in DNSRecord.parse(reply).rr]


@contextmanager
def held(kind, family, host):
    """A port that somebody else has."""
    with socket.socket(family, kind) as other:
        other.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        yield other.getsockname()[1]


class TestAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
    def test_udp_and_tcp_answer_at_every_address_on_one_port(self, serve, sockets, host):
        server = serve()
        assert (host, server.port) in server.addresses
        assert addresses(udp_ask(server, question(), host)) == ["127.0.0.1"]
        assert addresses(tcp_ask(connect(server, sockets, host), question(qtype="AAAA"))) == ["::1"]

    def test_dnslibs_own_client_is_answered(self, serve):
        server = serve()
        for tcp in (False, True):
            reply = DNSRecord.question("a.b.local.example.com").send(
                "127.0.0.1", server.port, tcp=tcp, timeout=PATIENCE
            )
            assert addresses(reply) == ["127.0.0.1"]

    @needs_ipv6
    def test_only_the_addresses_that_were_asked_for_are_bound(self, serve):
        server = serve(hosts=("127.0.0.1",))
        assert server.addresses == (("127.0.0.1", server.port),)
        assert serve(hosts=("::1",), port=server.port).addresses == (("::1", server.port),)

    @pytest.mark.parametrize("hosts", [(), ("localhost",), ("",), ("127.0.0.1", "no address")])
    def test_a_host_that_is_no_address_is_told(self, loop, hosts):
        with pytest.raises(ValueError, match=r"address"):
            loop.do(DnsServer.start(Zone("local.example.com"), hosts))

    def test_an_address_that_the_machine_does_not_have_is_told(self, loop):
        for host in ("192.0.2.1", "2001:db8::1"):
            with pytest.raises(OSError, match=r"."):
                loop.do(DnsServer.start(Zone("local.example.com"), (host,)))

    def test_a_machine_without_ipv6_serves_ipv4(self):
        script = """
import asyncio, fcntl, pathlib, socket, struct
pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
with socket.socket() as s:  # bring the loopback interface of this new network up: SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x41))
from dns.server import DnsServer
from dns.zone import Zone
async def main():
    server = await DnsServer.start(Zone("local.example.com"))
    print([host for host, _ in server.addresses])
    await server.close()
    try:
        await DnsServer.start(Zone("local.example.com"), ("::1",))
    except OSError as e:
        print(type(e).__name__)
asyncio.run(main())
"""
        separate = ["unshare", "--net", "--map-root-user", "--user"]
        if subprocess.run([*separate, "true"], check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody make a network of their own (unshare)")
        done = subprocess.run(
            [*separate, sys.executable, "-P", "-W", "error", "-c", script], capture_output=True, text=True, check=False
        )
        if "disable_ipv6" in done.stderr:
            pytest.skip("IPv6 cannot be switched off here")
        assert (done.stdout.split(), done.stderr) == (["['127.0.0.1']", "OSError"], "")


class TestTakenPort:
    @pytest.mark.parametrize(
        ("kind", "family", "host"),
        [
            (socket.SOCK_DGRAM, socket.AF_INET, "127.0.0.1"),
            (socket.SOCK_STREAM, socket.AF_INET, "127.0.0.1"),
            (socket.SOCK_DGRAM, socket.AF_INET, "0.0.0.0"),
            pytest.param(socket.SOCK_DGRAM, socket.AF_INET6, "::1", marks=needs_ipv6),
            pytest.param(socket.SOCK_STREAM, socket.AF_INET6, "::1", marks=needs_ipv6),
        ],
        ids=["udp4", "tcp4", "udp-any", "udp6", "tcp6"],
    )
    def test_a_port_taken_in_any_way_is_told_and_nothing_stays_bound(self, loop, kind, family, host):
        with held(kind, family, host) as port:
            with pytest.raises(OSError, match=r".") as raised:
                loop.do(DnsServer.start(Zone("local.example.com"), port=port))
            assert raised.value.errno == errno.EADDRINUSE
        # asked of the kernel: to bind it again could meet somebody else, to whom it was given meanwhile
        assert [one for one in psutil.Process().net_connections() if one.laddr and one.laddr.port == port] == []

    def test_a_second_server_is_refused_and_the_first_serves_on(self, loop, serve):
        server = serve()
        with pytest.raises(OSError, match=r".") as raised:
            loop.do(DnsServer.start(Zone("other.test"), port=server.port))
        assert raised.value.errno == errno.EADDRINUSE
        assert addresses(udp_ask(server, question())) == ["127.0.0.1"]

    def test_another_programs_address_sharing_does_not_help_it(self, serve):
        server = serve()
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match=r".") as raised:
                    other.bind(("127.0.0.1", server.port))
                assert raised.value.errno == errno.EADDRINUSE

    def test_the_port_is_free_at_once_after_closing_even_with_connections_open(self, loop, sockets):
        first = loop.do(DnsServer.start(Zone("local.example.com")))
        clients = [connect(first, sockets) for _ in range(5)]
        assert all(tcp_ask(client, question()) for client in clients)
        loop.do(first.close())
        assert all(ended(client) for client in clients)
        second = loop.do(DnsServer.start(Zone("local.example.com"), port=first.port))
        assert addresses(udp_ask(second, question())) == ["127.0.0.1"]
        loop.do(second.close())
        loop.do(second.close())  # closing twice is closing once


class TestUdp:
    def test_an_exchanged_zone_answers_from_the_next_query_on(self, loop, serve, sockets):
        server = serve()
        client = connect(server, sockets)
        assert addresses(tcp_ask(client, question())) == ["127.0.0.1"]

        def exchange():
            server.zone = Zone("local.example.com", "10.9.8.7")

        loop.call(exchange)
        assert addresses(udp_ask(server, question())) == ["10.9.8.7"]
        assert addresses(tcp_ask(client, question())) == ["10.9.8.7"]

    def test_more_datagrams_than_one_turn_takes_are_all_answered(self, serve, sockets):
        server = serve()
        client = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", server.port))
        idents = range(TURN + 20)
        for ident in idents:
            client.send(question(ident=ident))
        assert {struct.unpack("!H", client.recv(4096)[:2])[0] for _ in idents} == set(idents)

    def test_clients_that_are_gone_before_their_answer_do_no_harm(self, serve):
        server = serve()
        for _ in range(200):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.1", server.port))
                client.send(question())
        assert addresses(udp_ask(server, question())) == ["127.0.0.1"]

    @pytest.mark.parametrize("junk", [b"", b"x", b"\0" * 11, b"\xff" * 600, b"\1\2\x80\0" + question()[4:]])
    def test_what_is_no_query_is_dropped_and_the_next_is_answered(self, serve, sockets, junk):
        server = serve()
        client = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", server.port))
        client.send(junk)
        client.send(question(ident=7))
        assert client.recv(4096)[:2] == b"\0\7"

    def test_a_datagram_of_any_length_gets_a_format_error(self, serve):
        wire = question() + bytes(60_000)
        reply = udp_ask(serve(), wire)
        assert (reply[:2], reply[3] & 15, len(reply)) == (wire[:2], FORMERR, 12)


class Crowded(Records):
    """A zone whose names have sixty addresses: the ordinary one has no answer that is too long."""

    def _answers(self, question, place):
        return [RR(question.qname, QTYPE.A, 1, 60, A((10, 0, 0, n))) for n in range(60)]


@pytest.fixture
def crowded():
    zone = Zone("local.example.com")
    zone._records = Crowded([b"local", b"example", b"com"], "127.0.0.1", None, 60)
    return zone


class TestTruncation:
    @pytest.mark.parametrize(
        ("size", "truncated"), [(None, True), (0, True), (512, True), (1001, True), (1100, False), (65535, False)]
    )
    def test_the_clients_size_decides_what_it_gets_over_udp(self, serve, crowded, size, truncated):
        record = DNSRecord.question("a.local.example.com")
        if size is not None:
            record.add_ar(EDNS0(udp_len=size))
        wire = udp_ask(serve(crowded), bytes(record.pack()))
        reply = DNSRecord.parse(wire)
        assert (reply.header.tc, len(reply.rr)) == ((1, 0) if truncated else (0, 60))
        assert len(wire) <= min(max(size or 0, 512), 1232)
        assert len(reply.ar) == (size is not None)
        assert reply.q.qname == "a.local.example.com"

    def test_asking_again_over_tcp_gives_the_whole_answer(self, serve, sockets, crowded):
        server = serve(crowded)
        assert DNSRecord.parse(udp_ask(server, question())).header.tc
        reply = DNSRecord.parse(tcp_ask(connect(server, sockets), question()))
        assert (reply.header.tc, len(reply.rr)) == (0, 60)


class TestTcp:
    def test_a_message_may_come_octet_by_octet(self, serve, sockets):
        client = connect(serve(), sockets)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(question()) * 2:
            client.sendall(bytes((octet,)))
        assert [addresses(receive(client)) for _ in range(2)] == [["127.0.0.1"]] * 2

    def test_pipelined_queries_are_all_answered_in_order(self, serve, sockets):
        client = connect(serve(), sockets)
        idents = range(5000)
        sender = threading.Thread(target=client.sendall, args=(b"".join(framed(question(ident=n)) for n in idents),))
        sender.start()
        assert [struct.unpack("!H", receive(client)[:2])[0] for _ in idents] == list(idents)
        sender.join(PATIENCE)

    @pytest.mark.parametrize("length", [8192, 65535])
    def test_a_long_message_gets_a_format_error_and_the_connection_lives(self, serve, sockets, length):
        client = connect(serve(), sockets)
        wire = question().ljust(length, b"\0")
        assert tcp_ask(client, wire) == wire[:2] + b"\x81\x01" + bytes(8)
        assert addresses(tcp_ask(client, question())) == ["127.0.0.1"]

    def test_what_is_no_query_is_ignored_and_the_next_is_answered(self, serve, sockets):
        client = connect(serve(), sockets)
        client.sendall(framed(b"") + framed(b"short") + framed(question()[:2] + b"\x80\0" + question()[4:]))
        assert tcp_ask(client, question(ident=9))[:2] == b"\0\x09"

    def test_a_client_that_ends_its_side_still_gets_its_answer(self, serve, sockets):
        client = connect(serve(), sockets)
        client.sendall(framed(question()))
        client.shutdown(socket.SHUT_WR)
        assert addresses(receive(client)) == ["127.0.0.1"]
        assert ended(client)

    def test_clients_that_leave_in_the_middle_of_a_message_do_no_harm(self, serve, sockets):
        server = serve()
        for cut in (1, 2, 20):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
                client.sendall(framed(question())[:cut])
        assert addresses(tcp_ask(connect(server, sockets), question())) == ["127.0.0.1"]

    def test_an_idle_connection_is_closed_after_its_time(self, serve, sockets):
        client = connect(serve(idle=0.2), sockets)
        assert tcp_ask(client, question())
        before = time.monotonic()
        assert ended(client)
        assert 0.1 < time.monotonic() - before < PATIENCE

    def test_dribbling_octets_does_not_keep_a_connection(self, serve, sockets):
        client = connect(serve(idle=0.2), sockets)
        client.settimeout(0.02)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                client.send(b"\xff")
                assert client.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection outlived its idle time")

    def test_a_hundred_and_fifty_idle_connections_leave_room_for_a_newcomer(self, loop, serve, sockets):
        server = serve(most_connections=64)
        idlers = [connect(server, sockets) for _ in range(150)]
        assert addresses(tcp_ask(connect(server, sockets), question())) == ["127.0.0.1"]
        assert loop.call(lambda: len(server._connections._used)) <= 64
        assert all(ended(client) for client in idlers[:80])  # the longest idle made room

    def test_a_connection_in_use_outlives_idle_ones(self, serve, sockets):
        server = serve(most_connections=20)  # asyncio may take in a few at once, between two queries
        used = connect(server, sockets)
        for _ in range(60):
            assert tcp_ask(used, question())
            connect(server, sockets)
        assert addresses(tcp_ask(used, question())) == ["127.0.0.1"]


class TestSlowReaders:
    def fill(self, client) -> int:
        """Send queries and read no answer, until the server reads no more; returns how many octets went out."""
        client.settimeout(0.5)
        flood = framed(question()) * 2000
        sent = 0
        try:
            while sent < 100_000_000:
                sent += client.send(flood[sent % len(framed(question())) :])
        except TimeoutError:
            pass
        client.settimeout(PATIENCE)
        return sent

    def test_a_client_that_does_not_read_is_not_read_from_and_harms_nobody(self, loop, serve, sockets):
        server = serve()
        slow = connect(server, sockets)
        sent = self.fill(slow)
        assert sent < 50_000_000
        [transport] = loop.call(lambda: list(server._connections._used))
        assert loop.call(transport.get_write_buffer_size) < 64 * 1024 + 5 * CHUNK
        assert addresses(tcp_ask(connect(server, sockets), question())) == ["127.0.0.1"]
        assert addresses(udp_ask(server, question())) == ["127.0.0.1"]
        whole = sent // len(framed(question()))
        assert sum(bool(receive(slow)) for _ in range(whole)) == whole

    def test_a_client_that_never_reads_is_cut_off(self, serve, sockets):
        server = serve(idle=1.0)
        slow = connect(server, sockets)
        self.fill(slow)
        slow.settimeout(PATIENCE)
        with pytest.raises(ConnectionError):  # the server's reset ends a send that had no room
            slow.sendall(bytes(20_000_000))


class Counting(asyncio.SelectorEventLoop):
    """asyncio's loop, with a memory of the timers that were set."""

    def __init__(self):
        super().__init__()
        self.timers = []

    def call_at(self, *args, **kwargs):
        self.timers.append(super().call_at(*args, **kwargs))
        return self.timers[-1]

    def live(self):
        now = self.time()
        return [timer for timer in self.timers if not timer.cancelled() and timer.when() > now]


def test_nothing_wakes_an_idle_server(sockets):
    loop = Loop(Counting)
    server = loop.do(DnsServer.start(Zone("local.example.com")))
    udp_ask(server, question())
    assert loop.call(loop.loop.live) == []
    clients = [connect(server, sockets) for _ in range(3)]
    assert all(tcp_ask(client, question()) for client in clients)
    assert len(loop.call(loop.loop.live)) == 1  # one for all connections
    for client in clients:
        client.shutdown(socket.SHUT_RDWR)
        client.close()
    deadline = time.monotonic() + PATIENCE
    while loop.call(loop.loop.live) and time.monotonic() < deadline:
        pass
    assert loop.call(loop.loop.live) == []
    loop.do(server.close())
    loop.end()
