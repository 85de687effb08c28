"""The API's document and its behaviour are held together by a reader who knows neither: JSON Schema's own library."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from dashboard_page import Page
from workbench import ROOT, Site


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.service("shop", "web: echo hello; exec python3 -m http.server $PORT\n", subscribe=["order.*"], route="/shop")
    (site.root / "stores.toml").write_text(
        '[identity.alice]\nsub = "1"\nscopes = ["org:read"]\n[groups]\nall-of-it = ["shop"]\n'
    )
    try:
        site.ok("up", "-d")
        site.ok("events", "send", "order.made")
        yield Page(site)
    finally:
        site.stores("down")
        site.end()


@pytest.fixture(scope="module")
def document(page: Page) -> dict[str, Any]:
    return page.get("/api/v1/openapi.json")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def schemas(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for parameter in operation.get("parameters", ()):
        yield parameter["schema"]
    parts = [*operation["responses"].values(), operation.get("requestBody", {})]
    yield from (media["schema"] for part in parts for media in part.get("content", {}).values())


def test_each_schema_is_one_and_each_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert len(names) == len(set(names)) > 20
    for _, path, operation in operations(document):
        for schema in schemas(operation):
            jsonschema.Draft202012Validator.check_schema(schema)
        written = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert written == set(re.findall(r"{(\w+)}", path))


#: What stands for ``{name}`` in a path that can be read.
_KNOWN = {"name": "shop", "trace": "0" * 32, "service": "shop"}


def readable(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, path, operation in operations(document):
        media = operation["responses"].get("200", {}).get("content", {})
        if method == "GET" and "application/json" in media and "{id}" not in path:
            yield re.sub(r"{(\w+)}", lambda match: _KNOWN[match[1]], path), media["application/json"]["schema"]


def test_what_is_read_is_what_the_document_says(page: Page, document: dict[str, Any]) -> None:
    paths = [path for path, _ in readable(document)]
    assert {"/api/v1/services", "/api/v1/logs", "/api/v1/events", "/api/v1/traffic", "/api/v1/identities"} <= {*paths}
    for path, schema in readable(document):
        jsonschema.validate(page.get(path), schema)


def test_a_refusal_is_what_the_document_says(page: Page, document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    for method, path, operation in operations(document):
        if operation["security"] == [{}]:
            continue
        assert {"401", "403"} <= operation["responses"].keys()
        target = re.sub(r"{\w+}", "x", path)
        status, told, fields = page.ask(method, target, Origin=f"http://{page.host}")
        assert status == 401, path
        assert fields["Content-Type"] == "application/problem+json"
        jsonschema.validate(told, problem)


def test_a_body_that_the_document_forbids_is_refused(page: Page, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        body = operation.get("requestBody")
        if body is None:
            continue
        schema = body["content"]["application/json"]["schema"]
        for wrong in ([], {name: {"no": "such thing"} for name in schema["properties"]}):
            if jsonschema.Draft202012Validator(schema).is_valid(wrong):
                continue
            status, told, _ = page.ask(method, re.sub(r"{\w+}", "shop", path), wrong, **page.program)
            assert status == 400, (path, wrong, told)


def test_another_method_is_answered_by_those_that_there_are(page: Page, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        status, _, fields = page.ask("PUT", re.sub(r"{\w+}", "x", path), **page.program)
        assert status == 405
        assert {method.upper() for method in methods} <= set(fields["Allow"].split(", "))


def test_head_is_answered_as_get_without_its_body(page: Page) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    for method in ("HEAD", "GET"):
        connection.request(method, "/api/v1/services", headers={"Host": page.host, **page.program})
        answer = connection.getresponse()
        assert answer.status == 200
        assert bool(answer.read()) is (method == "GET")
    connection.close()


def test_each_operation_stands_in_the_pages_about_the_api(document: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    for path in document["paths"]:
        last = re.sub(r"^/api/v1", "", path)
        written = last in text or f"/{last.rpartition('/')[2]}" in text
        assert written, f"{last} is not described"


def test_an_identity_is_chosen_as_by_stores_as(page: Page) -> None:
    told = page.get("/api/v1/identities")
    assert (told["current"], [one["name"] for one in told["identities"]]) == (None, ["alice"])
    assert page.post("/api/v1/identities/use", {"name": "alice"})["current"] == "alice"
    assert page.get("/api/v1/identities")["current"] == "alice"
    status, refused, _ = page.ask("POST", "/api/v1/identities/use", {"name": "mallory"}, **page.program)
    assert (status, "mallory" in refused["detail"]) == (404, True)
    assert page.post("/api/v1/identities/use", {"name": None})["current"] is None
