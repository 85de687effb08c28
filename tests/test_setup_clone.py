"""`stores clone` gets repositories, whole or not at all, and never over what is there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from workbench import Site, wait_until


def repository(site: Site, name: str) -> str:
    """A repository with one commit; its URL."""
    folder = site.folder / "upstream" / name
    folder.mkdir(parents=True)
    (folder / "README").write_text(f"{name}\n")
    env = site.env | {
        f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    for arguments in (["init", "-q"], ["add", "README"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, env=env, check=True)
    return f"file://{folder}"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def leftovers(folder: Path) -> list[str]:
    return [name for name in names(folder) if ".cloning" in name]


def test_several_are_cloned_into_the_folders_where_the_workspace_looks(site: Site) -> None:
    site.service("netshop", dir="code/shop", repo=repository(site, "netshop"))
    site.service("reserve", dir="code/reserve", repo=repository(site, "reserve"))
    done = site.stores("clone", "netshop", "reserve")
    assert done.returncode == 0
    assert (site.root / "code/shop/README").read_text() == "netshop\n"
    assert (site.root / "code/reserve/README").read_text() == "reserve\n"
    assert "netshop: cloning file://" in done.stderr
    assert f"reserve: is in {site.root}/code/reserve" in done.stderr
    assert not leftovers(site.root / "code")


def test_without_names_all_are_cloned_that_are_not_here(site: Site) -> None:
    site.service("netshop", repo="file:///nowhere")
    site.service("reserve", dir="reserve", repo=repository(site, "reserve"))
    site.service("register", dir="register")
    site.ok("clone")
    assert (site.root / "reserve/README").exists()


def test_a_folder_that_is_there_is_never_touched(site: Site) -> None:
    site.service("netshop", dir="shop", repo=repository(site, "netshop"))
    (site.root / "shop").mkdir()
    done = site.stores("clone", "netshop")
    assert done.returncode == 1
    assert "netshop is there already" in done.stderr
    assert names(site.root / "shop") == []


def test_a_clone_that_fails_leaves_nothing_and_the_others_are_made(site: Site) -> None:
    site.service("netshop", dir="code/shop", repo=f"file://{site.folder}/nowhere")
    site.service("reserve", dir="code/reserve", repo=repository(site, "reserve"))
    done = site.stores("clone", "netshop", "reserve")
    assert done.returncode == 1
    assert "git could not clone file://" in done.stderr
    assert "fatal: " in done.stderr
    assert names(site.root / "code") == ["reserve"]


def slow_git(site: Site) -> None:
    """git, but a clone takes until it is ended once it has begun to write."""
    folder = site.folder / "bin"
    folder.mkdir()
    program = folder / "git"
    program.write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last" && touch "$last/half" && exec sleep 300\n')
    program.chmod(0o755)
    site.env["PATH"] = f"{folder}{os.pathsep}{site.env['PATH']}"


def test_a_clone_that_is_interrupted_leaves_nothing(site: Site) -> None:
    site.service("netshop", dir="code/shop", repo="file:///x")
    slow_git(site)
    running = site.begin("clone", "netshop")
    wait_until(lambda: list(site.root.glob("code/.netshop.*.cloning/clone/half")), "git writes")
    assert not (site.root / "code/shop").exists()
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait() != 0
    assert names(site.root / "code") == []


def test_what_a_killed_clone_left_is_removed_by_the_next(site: Site) -> None:
    url = repository(site, "netshop")
    site.service("netshop", dir="code/shop", repo=url)
    path = site.env["PATH"]
    slow_git(site)
    running = site.begin("clone", "netshop")
    wait_until(lambda: list(site.root.glob("code/.netshop.*.cloning/clone/half")), "git writes")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert leftovers(site.root / "code")
    site.env["PATH"] = path
    site.ok("clone", "netshop")
    assert names(site.root / "code") == ["shop"]


@pytest.mark.parametrize(
    ("repo", "place"),
    [
        ("https://git.example.com/shop/netshop.git", "git.example.com/shop/netshop"),
        ("git@git.example.com:shop/netshop.git", "git.example.com/shop/netshop"),
        ("ssh://git@git.example.com:2222/shop/netshop", "git.example.com/shop/netshop"),
    ],
)
def test_where_ghq_is_installed_its_layout_is_kept_and_linked(site: Site, repo: str, place: str) -> None:
    """A real ghq is not on every machine; of it only `ghq root` is asked. git is told to get the URL from a folder."""
    url = repository(site, "netshop")
    folder = site.folder / "bin"
    folder.mkdir()
    (folder / "ghq").write_text(f'#!/bin/sh\ntest "$*" = root && echo {site.folder}/ghq\n')
    (folder / "ghq").chmod(0o755)
    site.env["PATH"] = f"{folder}{os.pathsep}{site.env['PATH']}"
    site.env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{url}.insteadOf", "GIT_CONFIG_VALUE_0": repo}
    (site.root / "stores.toml").write_text('repos = "code"\n')
    site.service("netshop", repo=repo)
    text = (site.root / "Procfile.d/netshop").read_text()
    (site.root / "Procfile.d/netshop").write_text(text.replace('# dir = "."\n', ""))
    done = site.stores("clone", "netshop")
    assert done.returncode == 0, done.stderr
    assert (site.root / "code/netshop").is_symlink()
    assert (site.root / "code/netshop").resolve() == (site.folder / "ghq" / place).resolve()
    assert (site.root / "code/netshop/README").read_text() == "netshop\n"


def test_a_service_without_a_repo_says_where_to_write_it(site: Site) -> None:
    site.service("netshop", dir="nowhere")
    done = site.stores("clone", "netshop")
    assert done.returncode == 1
    assert '# repo = "https://' in done.stderr
