"""`python -P -m certs`, and what it costs to ask where the CA is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from certs.folder import CaFolder

DOMAIN = "local.example.com"


def certs(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "certs", *map(str, arguments)]
    environ = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def test_it_makes_the_ca_and_prints_its_file_and_so_it_does_again(tmp_path: Path) -> None:
    answers = [certs("--domain", DOMAIN, "--folder", tmp_path / "ca") for _ in range(2)]
    assert [answer.returncode for answer in answers] == [0, 0]
    assert [answer.stdout for answer in answers] == [f"{CaFolder(tmp_path / 'ca').ca_file}\n"] * 2
    assert [answer.stderr for answer in answers] == ["", ""]


def test_a_relative_folder_is_printed_as_a_path_that_holds_everywhere(tmp_path: Path) -> None:
    relative = os.path.relpath(tmp_path / "ca")
    printed = Path(certs("--domain", DOMAIN, "--folder", relative).stdout.strip())
    assert printed.is_absolute()
    assert printed.samefile(CaFolder(tmp_path / "ca").ca_file)


def test_it_issues_the_named_leaves_in_advance(tmp_path: Path) -> None:
    answer = certs("--domain", DOMAIN, "--folder", tmp_path, f"a.netshop.{DOMAIN}", "localhost")
    assert answer.returncode == 0
    names = sorted(file.name for file in CaFolder(tmp_path).leaves.iterdir())
    assert [name.rpartition("-")[0] for name in names] == ["localhost", f"netshop.{DOMAIN}"]


def test_it_writes_the_bundle_and_prints_its_path_too(tmp_path: Path) -> None:
    answer = certs("--domain", DOMAIN, "--folder", tmp_path / "ca", "--bundle", tmp_path / "state")
    assert answer.stdout.splitlines() == [str(CaFolder(tmp_path / "ca").ca_file), str(tmp_path / "state/bundle.pem")]
    assert (tmp_path / "state/bundle.pem").read_bytes().count(b"BEGIN CERTIFICATE") > 20


@pytest.mark.parametrize(("name", "said"), [("example.org", "may not vouch"), ("a b", "no host name")])
def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, name: str, said: str) -> None:
    answer = certs("--domain", DOMAIN, "--folder", tmp_path, name)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_what_fails_is_told_in_two_lines_and_no_traceback(tmp_path: Path) -> None:
    certs("--domain", "other.example.net", "--folder", tmp_path)
    answer = certs("--domain", DOMAIN, "--folder", tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    [message, hint] = answer.stderr.splitlines()
    assert "other.example.net" in message
    assert f"rm -r {tmp_path}" in hint


def test_who_asks_where_the_ca_is_and_which_variables_name_it_loads_no_cryptography(tmp_path: Path) -> None:
    """The supervisor is resident: trustme and what it needs weigh 11 MB, ssl another 4."""
    certs("--domain", DOMAIN, "--folder", tmp_path)
    source = (
        "import sys; from pathlib import Path\n"
        "before = set(sys.modules)  # an interpreter's own start-up may load anything\n"
        "import certs.authority\n"
        "from certs.bundle import environment, write_bundle\n"
        "from certs.folder import CaFolder\n"
        "ca = CaFolder(Path(sys.argv[1])); assert ca.exists\n"
        "bundle = write_bundle(ca, ca.path, ca.ca_file.read_bytes())\n"
        "assert environment(ca, bundle)['SSL_CERT_FILE'] == str(bundle)\n"
        "heavy = {'trustme', 'cryptography', 'idna', 'ssl', '_ssl', 'certifi'} & (set(sys.modules) - before)\n"
        "assert not heavy, heavy"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", source, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
