"""What no file can know alone is refused at its place: hosts, ports, needs and groups of several files."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.errors import StoresError
from procman.workspace import load


def write(root: Path, name: str, **facts: str) -> None:
    (root / "Procfile.d").mkdir(exist_ok=True)
    block = "".join(f"# {key} = {value}\n" for key, value in facts.items())
    (root / "Procfile.d" / name).write_text(f"# /// stores\n{block}# ///\nweb: x\n")


def refused(root: Path) -> str:
    with pytest.raises(StoresError) as caught:
        load(root, {})
    assert caught.value.exit_code == 2
    return caught.value.message


def test_one_host_of_two_services_names_both_files_and_the_line(tmp_path: Path) -> None:
    write(tmp_path, "netshop", hosts='["shop", "*.shop"]')
    write(tmp_path, "reserve", description='"x"', hosts='["reserve", "*.shop"]')
    message = refused(tmp_path)
    assert message.startswith('Procfile.d/reserve:3: host "*.shop" is already claimed by Procfile.d/netshop')
    assert 'hosts = ["reserve", "*.shop"]' in message


def test_a_host_that_is_another_services_name_is_claimed_by_its_file(tmp_path: Path) -> None:
    write(tmp_path, "account", hosts='["reserve"]')
    write(tmp_path, "reserve")
    assert refused(tmp_path).startswith('Procfile.d/reserve: host "reserve" is already claimed by Procfile.d/account')


def test_one_port_of_two_services_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "netshop", port="3000")
    write(tmp_path, "reserve", port="3000")
    assert refused(tmp_path).startswith('Procfile.d/reserve:2: port "3000" is already claimed by Procfile.d/netshop')


def test_needs_of_what_is_no_service_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "account")
    write(tmp_path, "netshop", needs='["acount"]')
    message = refused(tmp_path)
    assert message.startswith('Procfile.d/netshop:2: needs "acount", which is no service')
    assert 'Did you mean "account"?' in message


def test_needs_in_a_circle_are_shown_once_with_the_whole_way(tmp_path: Path) -> None:
    for name, need in (("account", "netshop"), ("netshop", "reserve"), ("reserve", "account")):
        write(tmp_path, name, needs=f'["{need}"]')
    message = refused(tmp_path)
    assert message.startswith("Procfile.d/account:2: needs itself: account → netshop → reserve → account")
    assert message.count("needs itself") == 1


def test_many_services_that_need_many_are_no_circle_and_cost_no_time(tmp_path: Path) -> None:
    """Thirty layers of two, each needing both of the next: a billion ways, and none leads back."""
    for layer in range(30):
        for side in "ab":
            below = f'["s{layer + 1}a", "s{layer + 1}b"]' if layer < 29 else "[]"
            write(tmp_path, f"s{layer}{side}", needs=below)
    assert len(load(tmp_path, {}).services) == 60


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ('booking = ["netshop", "resrve"]', 'group "booking" has "resrve", which is no service'),
        ('netshop = ["reserve"]', '"netshop" is both a group and a service'),
    ],
)
def test_a_group_that_cannot_be_is_refused(tmp_path: Path, groups: str, said: str) -> None:
    write(tmp_path, "netshop")
    write(tmp_path, "reserve")
    (tmp_path / "stores.toml").write_text(f"[groups]\n{groups}\n")
    assert said in refused(tmp_path)


def test_all_mistakes_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "netshop", port="0")
    write(tmp_path, "reserve", needs='["nobody"]')
    message = refused(tmp_path)
    assert "Procfile.d/netshop:2: 0 is not a port" in message
    assert 'needs "nobody"' in message
