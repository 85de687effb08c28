"""The API gateway in a `gateway_world.World`: routes, two callers, and what a test asks of requests and answers."""

import base64
import json

from gateway_world import service

from procman.api_route import ApiRoute
from procman.authorizer_settings import AuthorizerSettings
from procman.identity import Identity

API = "api-gateway.local.example.com"
ALICE = Identity("alice", "user-1", ("org:read", "org:write"), {"email": "alice@example.com", "org": "acme"})
BOB = Identity("bob", "user-2", (), {})


def routed(name, prefix, *, port=None, strip=False, auth="required", scopes=(), **more):
    return service(name, port=port, api=ApiRoute(prefix, strip, auth, tuple(scopes)), **more)


def tell(world, *services, choice=None, **settings):
    file = world.folder / "gateway" / "authorizer.json"
    file.unlink(missing_ok=True)
    if choice is not None:
        file.write_text(json.dumps({"identity": "", "simulations": [], **choice}))
    world.tell(*services, identities=(ALICE, BOB), authorizer=AuthorizerSettings(**settings))


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def bearer(request):
    scheme, _, token = request["authorization"].partition(" ")
    assert scheme == "Bearer"
    return claims(token)


def problem(answer, status, code):
    assert (answer.status, answer.json["code"], answer.route) == (status, code, "fallback")
    assert answer["content-type"] == "application/problem+json"
    return answer.json
