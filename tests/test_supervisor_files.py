"""What stands in the workspace's folder: pipes, devices, giants, loops stop nobody; the folder may go and come."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from supervising import Supervising
from workbench import wait_until

from procman.errors import StoresError
from procman.service import Service
from procman.workspace import load, read

SERVICE = "web: echo ready; exec sleep 1000\n"


def one_service(supervising: Supervising) -> None:
    supervising.service("shop", SERVICE, ready={"log": "ready"})
    supervising.supervise()
    supervising.ask("start", "shop")


def mistakes(supervising: Supervising) -> str:
    return "\n".join(supervising.status()["mistakes"])


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [pipe, zeros, giant, loop])
@pytest.mark.parametrize("place", ["Procfile.d/other", "stores.toml"])
def test_what_is_no_file_of_text_is_a_mistake_and_stops_nobody(
    supervising: Supervising, make: Callable[[Path], None], place: str
) -> None:
    one_service(supervising)
    pid = supervising.pids()["shop.web"]
    make(supervising.root / place)
    wait_until(lambda: place in mistakes(supervising), "the mistake is told")
    assert "cannot be read" in mistakes(supervising)
    assert supervising.pids()["shop.web"] == pid
    (supervising.root / place).unlink()
    wait_until(lambda: not mistakes(supervising), "it is mended")


def test_a_pipe_among_the_files_of_variables_is_a_mistake_and_holds_nobody_up(supervising: Supervising) -> None:
    supervising.service("shop", SERVICE, ready={"log": "ready"})
    os.mkfifo(supervising.root / ".env")
    supervising.supervise()
    said = supervising.refused("start", "shop").message
    assert ".env: cannot be read" in said
    assert "env_file" in said
    assert supervising.states() == {"shop": "failed"}


def test_a_folder_that_was_removed_and_put_back_is_followed_again(supervising: Supervising) -> None:
    one_service(supervising)
    folder, aside = supervising.root / "Procfile.d", supervising.root / "aside"
    shutil.copytree(folder, aside)
    shutil.rmtree(folder)
    aside.rename(folder)
    supervising.service("early", SERVICE)
    wait_until(lambda: "early" in supervising.states(), "the new folder was read")
    supervising.service("late", SERVICE)
    wait_until(lambda: "late" in supervising.states(), "the new folder is followed")


def test_a_folder_that_may_not_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "Procfile.d").mkdir()
    (tmp_path / "Procfile.d/shop").write_text(SERVICE)
    before = load(tmp_path, {})
    shutil.rmtree(tmp_path / "Procfile.d")
    with pytest.raises(StoresError, match=r"Procfile\.d: cannot be read"):
        load(tmp_path, {})
    reading = read(tmp_path, {}, before)
    assert [service.name for service in reading.workspace.services] == ["shop"]
    assert isinstance(reading.workspace.services[0], Service)
    assert "cannot be read" in str(reading.mistakes[0])


def test_a_link_that_leads_nowhere_is_a_mistake_and_no_missing_file(tmp_path: Path) -> None:
    (tmp_path / "Procfile.d").mkdir()
    for place in ("Procfile.d/shop", "stores.toml"):
        (tmp_path / place).symlink_to("nowhere")
    assert [(each.file, each.problem) for each in read(tmp_path, {}).mistakes] == [
        ("stores.toml", "leads to nowhere, and there is nothing"),
        ("Procfile.d/shop", "leads to nowhere, and there is nothing"),
    ]


def test_a_byte_order_mark_before_the_settings_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "Procfile.d").mkdir()
    (tmp_path / "stores.toml").write_bytes(b'\xef\xbb\xbfdomain = "shop.test"\r\n')
    assert load(tmp_path, {}).settings.domain == "shop.test"
