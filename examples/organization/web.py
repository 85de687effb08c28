"""The API of organization. Errors are problem documents (RFC 9457), whatever the client accepts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from common.app import App
from common.message import HttpError, Request, Response, json_response, problem
from common.pages import Pages
from common.settings import Settings
from organization.organizations import ExistsError, Organizations, mistakes

HOME = "/api/organizations"


def create(settings: Settings) -> App:
    api = Api(Organizations(settings.data_dir), settings.badge)
    return App(
        Pages(settings.name, settings.folder, settings.badge),
        [
            ("GET", "/", api.index),
            ("GET", HOME, api.list),
            ("POST", HOME, api.create),
            ("GET", f"{HOME}/{{organization}}", api.get),
            ("GET", f"{HOME}/{{organization}}/members", api.members),
        ],
        only_programs=True,
    )


class Api:
    def __init__(self, organizations: Organizations, environment: str) -> None:
        self._organizations = organizations
        self._environment = environment or "local"

    def index(self, _: Request) -> Response:
        return json_response({"service": "organization", "environment": self._environment, "organizations": HOME})

    def list(self, _: Request) -> Response:
        return json_response({"organizations": [_linked(one) for one in self._organizations.all()]})

    def get(self, _: Request, organization: str) -> Response:
        return json_response(_linked(self._found(organization)))

    def members(self, _: Request, organization: str) -> Response:
        self._found(organization)
        return json_response({"organization": organization, "members": self._organizations.members(organization)})

    def create(self, request: Request) -> Response:
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
