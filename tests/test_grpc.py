"""gRPC through the gateway: a real client over TLS, and a real server without, as a Go service on a laptop is."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import grpclib
import h2.connection
import h2.events
import pytest
from gateway_world import one_world, service
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.metadata import Deadline
from grpclib.server import Server
from h2.config import H2Configuration
from raw_origin import RawOrigin
from stage import free_port

from procman import dashboard_token
from proxy_addons.front import h2_frame as wire

world = pytest.fixture(scope="module")(one_world)

HOST = "stock.local.example.com"
PATIENCE = 20


class Raw(CodecBase):
    """Messages are bytes: no generated code is needed for what is tested here."""

    __content_subtype__ = "raw"

    def encode(self, message, message_type):
        return message

    def decode(self, data, message_type):
        return data


class Stock:
    """A service with one method of each kind, and what it has seen."""

    def __init__(self):
        self.metadata = {}
        self.cancelled = asyncio.Event()
        self.begun = asyncio.Event()

    async def upper(self, stream):
        self.metadata = dict(stream.metadata)
        message = await stream.recv_message()
        if message == b"none":
            raise grpclib.GRPCError(Status.NOT_FOUND, "no such article")
        await stream.send_initial_metadata(metadata={"shelf": "7"})
        await stream.send_message(message.upper())
        await stream.send_trailing_metadata(metadata={"took": "1ms"})

    async def count(self, stream):
        for number in range(int(await stream.recv_message())):
            await stream.send_message(b"%d" % number)

    async def total(self, stream):
        size = 0
        async for message in stream:
            size += len(message)
        await stream.send_message(b"%d" % size)

    async def echo(self, stream):
        async for message in stream:
            await stream.send_message(message)

    async def drop(self, stream):
        await stream.send_message(await stream.recv_message())
        await stream.recv_message()
        stream._stream._transport.abort()  # as a service ends that is killed

    async def hang(self, stream):
        await stream.recv_message()
        self.begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            self.cancelled.set()

    def __mapping__(self):
        kinds = {
            "Upper": (self.upper, Cardinality.UNARY_UNARY),
            "Count": (self.count, Cardinality.UNARY_STREAM),
            "Total": (self.total, Cardinality.STREAM_UNARY),
            "Echo": (self.echo, Cardinality.STREAM_STREAM),
            "Drop": (self.drop, Cardinality.STREAM_STREAM),
            "Hang": (self.hang, Cardinality.UNARY_UNARY),
        }
        return {f"/shop.Stock/{name}": Handler(method, kind, bytes, bytes) for name, (method, kind) in kinds.items()}


@asynccontextmanager
async def serving(world):
    """The service runs; gives its methods and its address."""
    stock = Stock()
    server = Server([stock], codec=Raw())
    port = free_port()
    await server.start("127.0.0.1", port)
    await asyncio.to_thread(world.tell, service("stock", port=port))
    try:
        yield stock, server
    finally:
        await asyncio.to_thread(world.tell)  # the gateway lets go of what is gone, or the server would wait for it
        server.close()
        await server.wait_closed()


class Watched(Channel):
    """`ends`: done when its connections have gone, each of which grpclib only asks to go."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ends = []

    def _protocol_factory(self):
        protocol = super()._protocol_factory()
        gone, end = protocol.connection_lost, asyncio.get_running_loop().create_future()

        def connection_lost(error):
            gone(error)
            end.set_result(None)

        protocol.connection_lost = connection_lost
        self.ends.append(end)
        return protocol


@asynccontextmanager
async def channel(world):
    """A client that finds the workspace's hosts here."""
    loop = asyncio.get_running_loop()
    asks = loop.getaddrinfo

    async def here(host, port, **options):
        return await asks("127.0.0.1" if host == HOST else host, port, **options)

    loop.getaddrinfo = here
    context = ssl.create_default_context(cafile=str(world.authority.ca_file))
    context.set_alpn_protocols(["h2"])
    client = Watched(HOST, world.https, ssl=context, codec=Raw(), config=Configuration())
    try:
        yield client
    finally:
        client.close()
        await asyncio.gather(*client.ends)  # over TLS an end is agreed on, which takes its time
        loop.getaddrinfo = asks


def call(client, name, kind=Cardinality.UNARY_UNARY, **options):
    return client.request(f"/shop.Stock/{name}", kind, bytes, bytes, **options)


@pytest.fixture
async def both(world):
    async with asyncio.timeout(PATIENCE * 2), serving(world) as (stock, server), channel(world) as client:
        yield stock, client, server


async def ask(client, name, message, kind=Cardinality.UNARY_UNARY, **options):
    async with call(client, name, kind, **options) as stream:
        await stream.send_message(message, end=True)
        return [reply async for reply in stream]


async def test_a_call_is_answered_with_its_metadata_before_and_after(both):
    stock, client, _ = both
    async with call(client, "Upper", metadata={"tenant": "tokyo", "key-bin": b"\x00\xff"}) as stream:
        await stream.send_message(b"tea", end=True)
        assert await stream.recv_message() == b"TEA"
        await stream.recv_trailing_metadata()
    assert stream.initial_metadata["shelf"] == "7"
    assert stream.initial_metadata["x-stores-route"] == "local"
    assert stream.trailing_metadata["took"] == "1ms"
    assert (stock.metadata["tenant"], stock.metadata["key-bin"]) == ("tokyo", b"\x00\xff")
    assert stock.metadata["x-forwarded-proto"] == "https"


async def test_calls_go_straight_where_their_host_is_inspected(world, both):
    _, client, _ = both

    def turn(verb):
        world.get("stores.localhost")  # the token is made with the dashboard
        token = dashboard_token.kept(world.folder / "gateway")
        fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"/api/v1/inspection/{verb}"
        answer = world.get("stores.localhost", url, method="POST", headers=fields, body=b'{"targets": ["stock"]}')
        return [one["name"] for one in answer.json["targets"]]

    assert await asyncio.to_thread(turn, "on") == ["stock"]
    try:
        assert await ask(client, "Upper", b"tea") == [b"TEA"]
    finally:
        assert await asyncio.to_thread(turn, "off") == []


async def test_an_error_comes_with_its_code_and_its_words(both):
    _, client, _ = both
    with pytest.raises(grpclib.GRPCError) as caught:
        await ask(client, "Upper", b"none")
    assert (caught.value.status, caught.value.message) == (Status.NOT_FOUND, "no such article")


async def test_a_service_can_stream_its_answer(both):
    _, client, _ = both
    assert await ask(client, "Count", b"500", Cardinality.UNARY_STREAM) == [b"%d" % number for number in range(500)]


async def test_a_client_can_stream_its_request_past_every_window(both):
    _, client, _ = both
    async with call(client, "Total", Cardinality.STREAM_UNARY) as stream:
        for _ in range(40):
            await stream.send_message(b"x" * 500_000)
        await stream.end()
        assert await stream.recv_message() == b"20000000"


async def test_both_can_speak_in_turn(both):
    _, client, _ = both
    async with call(client, "Echo", Cardinality.STREAM_STREAM) as stream:
        for word in (b"one", b"two", b"three"):
            await stream.send_message(word)
            assert await stream.recv_message() == word
        await stream.end()


async def test_a_large_answer_comes_whole(both):
    _, client, _ = both
    assert await ask(client, "Upper", b"a" * 3_000_000) == [b"A" * 3_000_000]


async def test_many_calls_share_a_connection(both):
    _, client, server = both
    answers = await asyncio.gather(*(ask(client, "Upper", b"w%d" % number) for number in range(100)))
    assert answers == [[b"W%d" % number] for number in range(100)]
    assert len(server._handlers) == 1


async def test_a_call_that_its_client_gives_up_is_cancelled_at_the_service(both):
    stock, client, _ = both
    task = asyncio.create_task(ask(client, "Hang", b"x"))
    await asyncio.wait_for(stock.begun.wait(), PATIENCE)
    task.cancel()
    await asyncio.wait_for(stock.cancelled.wait(), PATIENCE)


async def test_a_deadline_is_the_services_to_know(both):
    stock, client, _ = both
    with pytest.raises((asyncio.TimeoutError, grpclib.GRPCError)):
        await ask(client, "Hang", b"x", deadline=Deadline.from_timeout(0.2))
    await asyncio.wait_for(stock.cancelled.wait(), PATIENCE)


async def test_a_service_that_was_restarted_is_called_on_a_new_connection(world):
    async with asyncio.timeout(PATIENCE * 2), channel(world) as client:
        for _ in range(2):
            async with serving(world):
                assert await ask(client, "Upper", b"tea") == [b"TEA"]


async def test_a_service_that_is_killed_in_a_call_breaks_its_clients(both):
    async def talk(client):
        async with call(client, "Drop", Cardinality.STREAM_STREAM) as stream:
            await stream.send_message(b"one")
            assert await stream.recv_message() == b"one"
            await stream.send_message(b"two")
            await stream.recv_message()

    with pytest.raises(grpclib.exceptions.StreamTerminatedError):
        await talk(both[1])


async def test_a_service_that_does_not_run_is_unavailable(world):
    await asyncio.to_thread(world.tell, service("stock", remote=None))
    async with asyncio.timeout(PATIENCE * 2), channel(world) as client:
        with pytest.raises(grpclib.GRPCError) as caught:
            await ask(client, "Upper", b"tea")
    assert caught.value.status is Status.UNAVAILABLE


async def test_a_service_that_speaks_http_1_only_is_no_grpc_service(world):
    origin = world.origin()
    await asyncio.to_thread(world.tell, service("stock", port=origin.port))
    async with asyncio.timeout(PATIENCE * 2), channel(world) as client:
        with pytest.raises(grpclib.GRPCError) as caught:
            await ask(client, "Upper", b"tea")
    assert caught.value.status in {Status.UNAVAILABLE, Status.UNKNOWN}


class RawServer(RawOrigin):
    """A service that says frames which no library sends: `greets` first, and `answers` each call (its connection, its
    stream)."""

    def __init__(self, greets=b"", answers=None):
        super().__init__(self.talk)
        self.greets, self.answers = greets, answers

    def talk(self, connection):
        server = h2.connection.H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
        server.initiate_connection()
        connection.socket.sendall(server.data_to_send() + self.greets)
        while octets := connection.socket.recv(65536):
            happened = server.receive_data(octets)
            connection.socket.sendall(server.data_to_send())
            for event in happened:
                if isinstance(event, h2.events.StreamEnded):
                    self.answers(connection.socket, server, event.stream_id)
                    connection.socket.sendall(server.data_to_send())


@asynccontextmanager
async def raw_service(world, **how):
    """One such service, and a client of the gateway before it."""
    origin = RawServer(**how)
    try:
        await asyncio.to_thread(world.tell, service("stock", port=origin.port))
        async with asyncio.timeout(PATIENCE), channel(world) as client:
            yield origin, client
    finally:
        origin.close()


def well(connection, server, stream_id):
    server.send_headers(stream_id, [(":status", "200"), ("content-type", "application/grpc+raw")])
    server.send_data(stream_id, b"\0\0\0\0\2ok")
    server.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)


async def test_a_service_that_stops_in_good_manners_completes_the_calls_that_it_has(world):
    def leaving(connection, server, stream_id):
        connection.sendall(wire.goaway(wire.MOST, 0) + wire.goaway(stream_id, 0))
        well(connection, server, stream_id)

    async with raw_service(world, answers=leaving) as (origin, client):
        assert await ask(client, "Upper", b"tea") == [b"ok"]
        assert await ask(client, "Upper", b"tea") == [b"ok"]
        assert origin.connections == 2


@pytest.mark.parametrize(
    "greeting",
    [wire.settings({3: 0}), wire.settings({}) + wire.goaway(0, 0)],
    ids=["no streams", "good-bye at once"],
)
async def test_a_service_that_takes_no_calls_is_not_asked_again_and_again(world, greeting):
    async with raw_service(world, greets=greeting, answers=well) as (origin, client):
        with pytest.raises(grpclib.GRPCError) as caught:
            await ask(client, "Upper", b"tea")
        assert caught.value.status is Status.UNAVAILABLE
        assert origin.connections <= 3


@pytest.mark.parametrize("status", ["099", "12345", "101", "", "x"])
async def test_a_status_that_is_none_breaks_its_call_and_no_other_on_the_connection(world, status):
    turns = iter([status, None])

    def answer(connection, server, stream_id):
        if (said := next(turns)) is None:
            well(connection, server, stream_id)
            return
        block = server.encoder.encode([(":status", said), ("content-type", "application/grpc+raw")])
        connection.sendall(wire.header_frames(stream_id, block, wire.FRAME_SIZE, end=True))

    async with raw_service(world, answers=answer) as (_, client):
        with pytest.raises((grpclib.GRPCError, grpclib.exceptions.StreamTerminatedError)):
            await ask(client, "Upper", b"tea")
        assert await ask(client, "Upper", b"tea") == [b"ok"]
