"""Help that fits, examples for each verb, completion in a real shell, and options that variables set."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from workbench import Site

PROGRAM = (sys.executable, "-P", "-m", "procman.cli")

#: Verbs that other people's parts of the program add say for themselves what they do.
VERBS = (
    *("run", "up", "start", "stop", "restart", "down", "status", "logs", "open", "env", "exec"),
    *("add", "check", "clone", "setup", "use", "completion"),
)


def test_the_list_of_verbs_is_grouped_and_fits_80_columns(site: Site) -> None:
    printed = site.ok("--help", env={"COLUMNS": "80"})
    assert max(map(len, printed.splitlines())) <= 80
    assert "What runs:\n  run " in printed
    rows = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ") and line.strip()}
    assert set(VERBS) <= set(rows)
    assert not [row for row in rows.values() if row.endswith("...")], "what is said of each verb is said whole"


@pytest.mark.parametrize(
    ("verb", "usage", "argument"),
    [
        ("run", "[NAME]...", "NAME... "),
        ("env", "NAME", "NAME "),
        ("exec", "NAME -- COMMAND [ARGUMENT]...", "-- COMMAND [ARGUMENT]... "),
        ("add", "NAME", "NAME "),
        ("autostart", "[on|off]", "on|off "),
        ("completion", "bash|zsh|fish", "bash|zsh|fish "),
        ("inspect", "[NAME]... | show ID | replay ID", "NAME... | show ID | replay ID "),
    ],
)
def test_the_line_of_usage_is_what_one_may_type(site: Site, verb: str, usage: str, argument: str) -> None:
    printed = site.ok(verb, "--help", env={"COLUMNS": "80"})
    assert printed.splitlines()[0] == f"Usage: stores {verb} [OPTIONS] {usage}"
    assert f"\n  {argument} " in printed.partition("Arguments:")[2]


def test_no_default_is_told_that_is_none(site: Site) -> None:
    printed = site.ok("add", "--help", env={"COLUMNS": "80"})
    assert "default: 0" not in printed
    assert "Default: 60." in printed, "of ready_timeout, as docs/services.md says"


@pytest.mark.parametrize("command", ["--help", "status", "check"])
def test_a_full_disk_at_the_other_end_is_said_in_one_line(site: Site, command: str) -> None:
    site.service("netshop", "web: sleep 600\n")
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 (no path of anything)
        done = subprocess.run(
            [*PROGRAM, command],
            cwd=site.root,
            env=site.env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert (
        done.stderr == "stores: A file, or the output, cannot be written: No space left on device\n  Make room: df -h\n"
    )


def test_a_closed_output_loses_what_is_said_and_nothing_else(site: Site) -> None:
    site.service("netshop", "web: sleep 600\n")
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "check"]
    done = subprocess.run(shell, cwd=site.root, env=site.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verbs_help_has_examples_and_fits_80_columns(site: Site, verb: str) -> None:
    printed = site.ok(verb, "--help", env={"COLUMNS": "80"})
    examples = printed.partition("For example:\n")[2].split("\n\n")[0].splitlines()
    assert examples
    assert all(f"stores {verb}" in example for example in examples)
    longest = max(map(len, (line for line in printed.splitlines() if "stores" not in line)))
    assert longest <= 80


def test_a_wrong_option_is_a_usage_error_on_stderr(site: Site) -> None:
    done = site.stores("status", "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--nonsense" in done.stderr


def test_an_option_is_set_by_its_variable(site: Site) -> None:
    site.service("netshop", "web: sleep 600\n")
    assert site.stores("check", env={"STORES_JSON": "1"}).stdout.startswith("{")
    done = site.stores("logs", env={"STORES_LOGS_SINCE": "nonsense"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since nonsense: not a time" in done.stderr


def completed(site: Site, line: str) -> list[str]:
    """What bash offers for a command line, with our script sourced. A program called `stores` has to be on PATH."""
    words = line.split(" ")
    script = f"""
        eval "$(stores completion bash)"
        complete -p stores > /dev/null || exit 9
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1} COMP_LINE='{line}'
        _stores_completion stores '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=site.root, env=site.env, capture_output=True, text=True, check=True
    )
    return sorted(done.stdout.split())


@pytest.mark.newest  # bash is what is tried
def test_bash_completes_verbs_services_groups_and_options(site: Site) -> None:
    site.put_on_path()
    site.service("netshop", "web: sleep 600\nworker: sleep 600\n")
    site.service("reserve", "web: sleep 600\n")
    (site.root / "stores.toml").write_text('[groups]\nnetwork = ["netshop"]\n')
    assert completed(site, "stores sta") == ["start", "status"]
    assert completed(site, "stores run net") == ["netshop", "network"]
    assert completed(site, "stores restart netshop.") == ["netshop.web", "netshop.worker"]
    assert completed(site, "stores exec res") == ["reserve"]
    assert "--follow" in completed(site, "stores logs --f")


def test_completion_outside_of_a_workspace_offers_nothing_and_complains_not(site: Site) -> None:
    site.put_on_path()
    shutil.rmtree(site.root / "Procfile.d")
    assert completed(site, "stores run net") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_names_the_program(site: Site, shell: str) -> None:
    assert "_STORES_COMPLETE" in site.ok("completion", shell)


def test_an_unknown_shell_is_refused(site: Site) -> None:
    assert site.stores("completion", "tcsh").returncode == 2
