"""What frameworks read from the environment is set for them, and what the user has set himself is kept."""

from __future__ import annotations

import pytest
from workbench import Site

from procman.environment import frameworks
from procman.environment.variables import Layers

DOMAIN = "local.example.com"
OURS = frameworks.variables(DOMAIN, ("netshop", "*.netshop", "a.b"), 20001)


def test_vite_gets_one_host_because_it_took_no_more_before_version_8() -> None:
    assert OURS[frameworks.VITE] == ".local.example.com"


def test_rails_gets_every_host_that_is_deeper_than_one_label() -> None:
    assert OURS[frameworks.RAILS] == ".local.example.com,.netshop.local.example.com,a.b.local.example.com"


@pytest.mark.parametrize("name", frameworks.PORTS)
def test_a_server_with_a_port_variable_of_its_own_gets_the_services_port(name: str) -> None:
    assert OURS[name] == "20001"


@pytest.mark.parametrize(
    ("below", "shell", "vite", "rails"),
    [
        ({}, {}, ".local.example.com", OURS[frameworks.RAILS]),
        ({frameworks.RAILS: ""}, {frameworks.VITE: ""}, ".local.example.com", OURS[frameworks.RAILS]),
        ({frameworks.VITE: "my.test"}, {}, "my.test", OURS[frameworks.RAILS]),
        ({frameworks.RAILS: "one.test"}, {}, ".local.example.com", f"one.test,{OURS[frameworks.RAILS]}"),
        (
            {frameworks.RAILS: "one.test", frameworks.VITE: "file.test"},
            {frameworks.RAILS: "two.test", frameworks.VITE: "shell.test"},
            "shell.test",
            f"two.test,{OURS[frameworks.RAILS]}",
        ),
    ],
)
def test_hosts_that_the_user_allows_are_kept(
    below: dict[str, str], shell: dict[str, str], vite: str, rails: str
) -> None:
    merged = Layers(below, shell, OURS).merged()
    assert (merged[frameworks.VITE], merged[frameworks.RAILS]) == (vite, rails)


def test_what_tells_hosts_is_not_made_up_where_nothing_is_told() -> None:
    assert Layers({frameworks.RAILS: "one.test"}, {}, {}).merged() == {frameworks.RAILS: "one.test"}


def test_the_services_own_env_has_the_last_word_on_a_port(site: Site) -> None:
    site.service("shop", "web: sleep 1\n", env={"FLASK_RUN_PORT": "5001"})
    said = site.ok("env", "shop")
    assert "export FLASK_RUN_PORT=5001\n" in said
    assert "export __VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS=.local.example.com\n" in said
