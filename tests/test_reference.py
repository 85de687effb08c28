"""The references are complete: each key, each verb, and nothing that there is not."""

from __future__ import annotations

import re

import pytest
import typer.main
from workbench import ROOT

from procman.cli.app import app


def keys(name: str) -> set[str]:
    """The keys that a parser asks a table for, out of its text."""
    return set(re.findall(r'\.(?:take|texts|table|any)\(\s*"([a-z_]+)"', (ROOT / "procman" / f"{name}.py").read_text()))


def document(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("key", sorted(keys("service_settings") | keys("api_route")))
def test_each_key_of_a_services_file_stands_in_its_reference(key: str) -> None:
    assert f"`{key}`" in document("services.md")


@pytest.mark.parametrize(
    "key", sorted(keys("settings") | keys("event_settings") | keys("authorizer_settings") | keys("identity"))
)
def test_each_key_of_stores_toml_stands_in_its_reference(key: str) -> None:
    assert re.search(rf"`{key}`|`\[{key}[].]|`\[remote\.{key}\]`", document("settings.md"))


@pytest.mark.parametrize(
    "verb", sorted(name for name, command in typer.main.get_command(app).commands.items() if not command.hidden)
)
def test_each_verb_stands_in_the_reference_of_commands(verb: str) -> None:
    assert re.search(rf"`[^`|]*\b{verb}\b", document("cli.md"))


def test_each_verb_of_the_control_socket_stands_in_the_architecture() -> None:
    verbs = re.findall(r'"([a-z]+)": self\._', (ROOT / "procman" / "control" / "verbs.py").read_text())
    assert verbs
    assert [verb for verb in verbs if f'"{verb}"' not in document("architecture.md")] == []


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_each_document_is_linked_from_the_readme_and_each_link_leads_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link}
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in links] == []
