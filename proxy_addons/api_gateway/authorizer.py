"""Decides who the caller is and whether he may, and tells the service: it stands in for the real API gateway's one."""

from __future__ import annotations

import base64
import dataclasses
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mitmproxy.http import Headers, Response

from procman.authorizer_choice import Play
from procman.routes import Route
from proxy_addons import hop_by_hop
from proxy_addons.api_gateway import external, plays, templates
from proxy_addons.api_gateway.caller import Caller, Register, Tokens, check_single, identify
from proxy_addons.api_gateway.choice_file import ChoiceFile
from proxy_addons.api_gateway.external import External
from proxy_addons.api_gateway.managed import ORIGINAL, Managed
from proxy_addons.api_gateway.origins import strange
from proxy_addons.api_gateway.refusal import RefusalError, challenge
from proxy_addons.api_gateway.verified import Verified
from proxy_addons.decision import FORGEABLE, Decision, decide, decision_of
from proxy_addons.problem import Code, Problem
from proxy_addons.view import Current, View

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

_log = logging.getLogger(__name__)

#: An audience that no service has (RFC 2606, section 2).
_NOBODYS_AUDIENCE: Final = "https://wrong-audience.invalid"
#: Seconds since which a token that is played as expired is over.
_OVER: Final = -60.0
_SUCCESS: Final = range(200, 300)
#: What is played in the token itself.
_ALTERING: Final = frozenset(("expired", "wrong-audience", "bad-signature", "missing-scope"))


@dataclass(frozen=True, slots=True)
class Rules:
    """What follows from one view: worked out once, and not for each request."""

    view: View
    managed: Managed
    in_trailers: Managed
    register: Register
    templates: Mapping[str, str]
    of_nobody: Mapping[str, str]

    @classmethod
    def of(cls, view: View, tokens: Tokens) -> Rules:
        """The rules of `view`."""
        settings = view.snapshot.authorizer
        own, nobodys = templates.of(settings), templates.of_nobody(settings)
        identities = {identity.name: identity for identity in view.snapshot.identities}
        names = [name for name in (*own, *nobodys, *settings.response_headers) if name.lower() != "authorization"]
        in_trailers = Managed((*names, "Authorization", "Cookie"))
        register = Register(identities, settings, Verified(tokens.verify).claims, f"api-gateway.{view.snapshot.domain}")
        return cls(view, Managed(names), in_trailers, register, own, nobodys)


class Authorizer:
    """Whatever goes wrong in here denies."""

    def __init__(self, current: Current, tokens: Tokens, choices: ChoiceFile) -> None:
        self._current = current
        self._tokens = tokens
        self._choices = choices
        self._outside = External()
        self._known: Rules | None = None

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """After the routing. A refusal is answered by the page about it, and nothing is started or sent."""
        decision = decision_of(flow)
        if decision is None or decision.api is None or flow.response is not None:
            return
        try:
            await self._authorize(flow, decision)
        except RefusalError as refusal:
            decide(flow, decision.failed(refusal.problem))
        except Exception as error:  # noqa: BLE001 - whatever it is, the request must not go on
            reference = secrets.token_hex(4)
            _log.exception("Fault %s in the authorizer at %s", reference, flow.request.pretty_url)
            decide(flow, decision.failed(Problem(Code.AUTHORIZER_FAULT, str(error), reference)))

    def done(self) -> None:
        """The gateway ends."""
        self._outside.close()

    async def _authorize(self, flow: HTTPFlow, decision: Decision) -> None:
        rules = self._rules()
        asked = self._without_forgeries(flow, rules)
        api, settings = decision.api, rules.register.settings
        if api is None or api.auth == "none" or settings.mode == "none" or _is_preflight(flow):
            return
        service = decision.service.name if decision.service else ""
        played = plays.wanted(asked, self._choices.read().simulations, service)
        await plays.play(played, rules.register.realm)
        check_single(asked)
        if settings.mode == "http":
            await self._ask_outside(flow, decision, rules)
            return
        await self._tokens.ready()
        caller = plays.without_scopes(self._caller(asked, rules), played)
        if caller is None and api.auth == "required":
            raise challenge(rules.register.realm, Code.UNAUTHENTICATED, _who(rules))
        missing = [scope for scope in api.scopes if caller is not None and scope not in caller.identity.scopes]
        if caller is not None and missing:
            detail = f"{caller.identity.name} does not have {' '.join(missing)}"
            scope = " ".join(api.scopes)
            raise challenge(rules.register.realm, Code.INSUFFICIENT_SCOPE, detail, "insufficient_scope", scope)
        self._tell(flow.request.headers, caller, rules, played)

    def _rules(self) -> Rules:
        view = self._current.view
        if self._known is None or self._known.view is not view:
            self._known = Rules.of(view, self._tokens)
        return self._known

    @staticmethod
    def _without_forgeries(flow: HTTPFlow, rules: Rules) -> Headers:
        """What the client sent; the request is left with what is his to say."""
        headers = flow.request.headers
        asked = Headers(headers.fields)
        # first: what Connection names would otherwise be taken away again behind the authorizer
        hop_by_hop.remove(headers)
        rules.managed.remove(headers)
        flow.metadata[FORGEABLE] = rules.in_trailers
        return asked

    def _caller(self, asked: Headers, rules: Rules) -> Caller | None:
        caller = identify(asked, rules.register, lambda: self._choices.read().identity)
        if caller is not None and not caller.token:
            stranger = strange(asked, rules.view)
            if stranger:
                detail = f"{stranger} asks through a browser, without a token of this workspace"
                raise challenge(rules.register.realm, Code.UNAUTHENTICATED, detail)
        return caller

    def _tell(self, headers: Headers, caller: Caller | None, rules: Rules, played: Sequence[Play]) -> None:
        original = headers.pop("authorization", None)
        if original is not None:
            headers[ORIGINAL] = original
        if caller is None:
            told = list(rules.of_nobody.items())
        else:
            token = self._token(caller, {play.kind for play in played})
            told = [("Authorization", f"Bearer {token}"), *templates.fill(rules.templates, caller.identity, token)]
        for name, value in told:
            headers[name] = value

    def _token(self, caller: Caller, played: set[str]) -> str:
        if caller.token and not played & _ALTERING:
            return caller.token  # as he came with it: signed by us, for us, and not over
        identity = caller.identity
        audience = _NOBODYS_AUDIENCE if "wrong-audience" in played else None
        token = self._tokens.sign(identity, audience, expires_in=_OVER if "expired" in played else None)
        return _spoiled(token) if "bad-signature" in played else token

    async def _ask_outside(self, flow: HTTPFlow, decision: Decision, rules: Rules) -> None:
        headers, names = flow.request.headers, rules.register.settings.response_headers
        answer = await self._outside.ask(flow, headers, decision.site, rules.view)
        if answer.status not in _SUCCESS:
            decide(flow, dataclasses.replace(decision, route=Route.FALLBACK, upstreams=(), remote=None))
            flow.response = Response.make(answer.status, b"", Headers(external.fields_of(answer)))
            flow.response.headers["Content-Length"] = str(len(answer.body))
            if flow.request.method != "HEAD":
                flow.response.raw_content = answer.body
            return
        for name in names:
            values = answer.values(name)
            if name.lower() == "authorization" and values and (original := headers.get(name)) is not None:
                headers[ORIGINAL] = original
            if values:
                headers.set_all(name, values)


def _is_preflight(flow: HTTPFlow) -> bool:
    """A browser's own question (Fetch, section 3.2.3): it carries no credentials, and the service answers it."""
    headers = flow.request.headers
    return flow.request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def _who(rules: Rules) -> str:
    names = ", ".join(sorted(rules.register.identities))
    return f"registered are {names}" if names else "no identity is registered: [identity.alice] in stores.toml"


def _spoiled(token: str) -> str:
    """The token with one bit of its signature turned; every part of it can still be decoded."""
    rest, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[-1] ^= 1
    return f"{rest}.{base64.urlsafe_b64encode(bytes(raw)).rstrip(b'=').decode()}"
