"""A client that says byte for byte what a test wants."""

from gateway_world import service
from raw_origin import PATIENCE, RawOrigin, Wire

HOST = b"Host: shop.localhost\r\n"


class Client(Wire):
    """One connection to the gateway of `world`."""

    def __init__(self, world, scheme="http"):
        super().__init__(world.socket(scheme, "shop.localhost"))
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, target=b"/", *fields, method=b"GET", body=b"", version=b"HTTP/1.1"):
        lines = b"".join(field + b"\r\n" for field in fields)
        self.send(method, b" ", target, b" ", version, b"\r\n", HOST, lines, b"\r\n", body)

    def answer(self, *, body=True):
        """Head and body of the next answer, which has a Content-Length or none."""
        head = self.read_until(b"\r\n\r\n")
        length = field(head, b"content-length")
        return head, self.read(int(length[0])) if body and length else b""


def raw_shop(world):
    """`shop = pytest.fixture(raw_shop)`: the service that `HOST` names."""
    origin = RawOrigin()
    world.tell(service("shop", port=origin.port))
    yield origin
    origin.close()


def client_by(world, shop, request):
    """`client = pytest.fixture(params=["http", "https"])(client_by)`: each test with and without TLS."""
    with Client(world, request.param) as client:
        yield client


def field(head, name):
    """The values of a field, as they stand."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [value.strip() for key, _, value in lines if key.lower() == name]


def status(head):
    return int(head.split(b" ")[1])
