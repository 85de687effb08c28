"""`stores add` writes every key, `stores check` says what is wrong to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

from workbench import Site

from procman.api_route import ApiRoute
from procman.procfile import parse
from procman.service import Ready


def test_add_writes_a_file_that_is_read_back_to_the_same_facts(site: Site) -> None:
    site.service("account", "web: sleep 600\n")
    site.ok(
        *("add", "till", "--process", "web: make dev", "--process", "printer: bin/printer --slow"),
        *("--dir", "../till", "--repo", "git@example.com:till.git", "--description", 'The "till"\t\\ 日本'),
        *("--host", "till", "--host", "*.till", "--port", "3456", "--remote", "https://pos.example.com"),
        *("--ready-log", r"Listening on \d+", "--ready-timeout", "90", "--needs", "account", "--restart", "never"),
        *("--grace", "2.5", "--stop-signal", "SIGINT", "--env", "A=1=2", "--env", "my.key=x y"),
        *(
            "--route",
            "/till/v1",
            "--strip-prefix",
            "--auth",
            "required",
            "--scope",
            "till:read",
            "--scope",
            "till:write",
        ),
        *("--env-file", ".env", "--env-file", "dev.env", "--setup", "bin/setup"),
        *("--set", 'start = "on-request"', "--set", 'idle = "15m"', "--set", 'rewrite_body = ["text/html"]'),
        *("--set", 'subscribe = ["com.example.*"]\nevents.start = "on-request"'),
    )
    file = site.root / "Procfile.d/till"
    service = parse(file.read_text(), file, root=site.root, repos=Path("/"), remote_domain="")
    assert [process.command for process in service.processes] == ["make dev", "bin/printer --slow"]
    assert service.description == 'The "till"\t\\ 日本'
    assert service.hosts == ("till", "*.till")
    assert (service.port, service.remote) == (3456, "https://pos.example.com")
    assert service.ready == Ready(log=r"Listening on \d+")
    assert (service.ready_timeout, service.grace, service.stop_signal) == (90.0, 2.5, "SIGINT")
    assert (service.needs, service.restart, service.setup) == (("account",), "never", "bin/setup")
    assert service.env == {"A": "1=2", "my.key": "x y"}
    assert service.env_file == (".env", "dev.env")
    assert service.dir == (site.root / "../till").resolve()
    assert service.dir_set
    assert (service.start, service.idle, service.rewrite_body) == ("on-request", 900.0, ("text/html",))
    assert service.subscription
    assert (service.subscription.types, service.subscription.start) == (("com.example.*",), "on-request")
    assert service.api == ApiRoute("/till/v1", True, "required", ("till:read", "till:write"))


def test_add_without_options_writes_the_shortest_file(site: Site) -> None:
    site.ok("add", "coupon")
    assert (site.root / "Procfile.d/coupon").read_text() == "web: make dev\n"
    site.ok("add", "alone", "--no-remote", "--command", "bin/x")
    assert "# remote = false\n" in (site.root / "Procfile.d/alone").read_text()


def test_add_refuses_what_would_be_wrong_and_leaves_no_file(site: Site) -> None:
    site.service("netshop", port=3000)
    for arguments, said in (
        (("coupon", "--port", "3000"), 'port "3000" is already claimed by'),
        (("Coupon",), "cannot be a host name"),
        (("coupon", "--needs", "netshpo"), 'Did you mean "netshop"?'),
        (("coupon", "--env", "A"), "--env NAME=VALUE"),
        (("coupon", "--set", "idle = 15m"), "Write it as TOML"),
        (("coupon", "--set", "ilde = 1"), 'unknown key "ilde"'),
        (("coupon", "--restart", "often"), "always, on-failure, never"),
        (("coupon", "--process", "web make dev"), "not a Procfile line"),
        (("coupon", "--remote", "https://x.example.com", "--no-remote"), "exclude each other"),
        (("coupon", "-c", "x", "--process", "web: x"), "exclude each other"),
    ):
        done = site.stores("add", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
    assert [path.name for path in (site.root / "Procfile.d").iterdir()] == ["netshop"]
    assert site.stores("add", "netshop").returncode == 1


def test_check_tells_programs_each_mistake_with_its_place(site: Site) -> None:
    site.service("netshop", "web sleep\n")
    (site.root / ".env").write_text("A=1\n\nB C\n")
    site.service("reserve", "web: sleep 600\n")
    done = site.stores("check", "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told["workspace"] == str(site.root)
    places = [(Path(one["file"]).name, one["line"]) for one in told["mistakes"]]
    assert places == [("netshop", 4), (".env", 3)]
    assert all(one["problem"] and one["mend"] for one in told["mistakes"])


def test_check_of_a_right_workspace_says_so(site: Site) -> None:
    site.service("netshop", "web: sleep 600\n")
    assert "nothing wrong. Services: netshop" in site.ok("check")
    assert json.loads(site.ok("check", "--json"))["mistakes"] == []
