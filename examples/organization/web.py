"""The API of organization. Errors are problem documents (RFC 9457), whatever the client accepts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from common.app import App
from common.callers import Caller, Callers
from common.message import HttpError, Request, Response, json_response, problem
from common.pages import Pages
from common.settings import Settings
from organization.organizations import ExistsError, Organizations, mistakes

HOME = "/api/organizations"
WRITE = "org:write"


def create(settings: Settings) -> App:
    api = Api(Organizations(settings.data_dir), settings.badge, settings.callers)
    return App(
        Pages(settings),
        [
            ("GET", "/", api.index),
            ("GET", "/api/whoami", api.whoami),
            ("GET", HOME, api.list),
            ("POST", HOME, api.create),
            ("GET", f"{HOME}/{{organization}}", api.get),
            ("GET", f"{HOME}/{{organization}}/members", api.members),
        ],
        only_programs=True,
    )


class Api:
    def __init__(self, organizations: Organizations, environment: str, callers: Callers | None) -> None:
        self._callers = callers
        self._organizations = organizations
        self._environment = environment or "local"

    def index(self, _: Request) -> Response:
        return json_response({"service": "organization", "environment": self._environment, "organizations": HOME})

    def whoami(self, request: Request) -> Response:
        """Who calls, as the API gateway says, and as this service has found to be true."""
        caller = self._caller(request)
        if caller is None:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "Nobody said who calls: ask through the API gateway.")
        return json_response({"environment": self._environment, "sub": caller.sub, "scopes": caller.scopes})

    def _caller(self, request: Request) -> Caller | None:
        return self._callers.of(request) if self._callers else None

    def list(self, request: Request) -> Response:
        self._caller(request)  # services ask without a token; one that does not count is refused
        return json_response({"organizations": [_linked(one) for one in self._organizations.all()]})

    def get(self, _: Request, organization: str) -> Response:
        return json_response(_linked(self._found(organization)))

    def members(self, _: Request, organization: str) -> Response:
        self._found(organization)
        return json_response({"organization": organization, "members": self._organizations.members(organization)})

    def create(self, request: Request) -> Response:
        caller = self._caller(request)
        if caller is not None and WRITE not in caller.scopes:
            raise HttpError(HTTPStatus.FORBIDDEN, f"{caller.sub} has not the scope {WRITE}.")
        facts = request.json
        if errors := mistakes(facts):
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be an organization.", errors=errors)
        try:
            self._organizations.create(facts)
        except ExistsError:
            return problem(HTTPStatus.CONFLICT, f"There is an organization {facts['id']} already.")
        made = _linked(self._found(facts["id"]))
        return json_response(made, HTTPStatus.CREATED).with_header("Location", made["href"])

    def _found(self, organization: str) -> dict[str, Any]:
        found = self._organizations.get(organization)
        if found is None:
            raise HttpError(HTTPStatus.NOT_FOUND, f"There is no organization {organization}.")
        return found


def _linked(organization: dict[str, Any]) -> dict[str, Any]:
    href = f"{HOME}/{organization['id']}"
    return {**organization, "href": href, "members": f"{href}/members"}
