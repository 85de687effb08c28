"""What NSS makes of our certificates, what a recreated CA changes, and that another user gets nothing."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from whole_system import WholeSystem

from certs.authority import Authority
from certs.folder import CaFolder

DOMAIN = "local.example.com"
NOBODY = 65534


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.load_or_create(tmp_path / "ca", DOMAIN)


def pieces(pem: bytes) -> list[bytes]:
    end = b"-----END CERTIFICATE-----\n"
    return [part + end for part in pem.split(end) if part.strip()]


class Nss:
    """A database as Firefox and Chromium have one, that trusts one root."""

    def __init__(self, folder: Path, root: bytes) -> None:
        self._folder = folder
        folder.mkdir()
        self._ask("-N", "--empty-password")
        self.add("root", root, "C,,")

    def _ask(self, *arguments: str, pem: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["certutil", "-d", f"sql:{self._folder}", *arguments]
        return subprocess.run(command, input=pem, capture_output=True, timeout=60, check=False)

    def add(self, name: str, pem: bytes, trust: str = ",,") -> None:
        assert self._ask("-A", "-a", "-n", name, "-t", trust, pem=pem).returncode == 0

    def verdict(self, name: str, chain: list[bytes]) -> str:
        """On a TLS server's certificate, with what the server sends beside it."""
        for number, pem in enumerate(chain):
            self.add(f"{name} {number}", pem)
        done = self._ask("-V", "-u", "V", "-e", "-n", f"{name} 0")
        return (done.stdout + done.stderr).decode().strip()


@pytest.mark.skipif(shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed")
def test_nss_accepts_our_names_and_refuses_a_forged_one(authority: Authority, tmp_path: Path) -> None:
    nss = Nss(tmp_path / "nss", authority.ca_file.read_bytes())
    for name in (f"netshop.{DOMAIN}", f"a.b.netshop.{DOMAIN}", "localhost"):
        assert nss.verdict(name, pieces(authority.leaf(name).chain_pem)) == "certutil: certificate is valid"
    place = CaFolder(authority.ca_file.parent.parent)
    thief = trustme.CA.from_pem(place.intermediate_file.read_bytes(), place.key_file.read_bytes())
    forged = thief.issue_cert("example.org").cert_chain_pems[0].bytes()
    assert "permitted" in nss.verdict("forged", [forged, authority.intermediate_pem])


def handshake(authority: Authority, trusted: bytes, name: str) -> None:
    """In memory: a client that trusts these roots, and a server that has this leaf. Raises where it is refused."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    client_context = ssl.create_default_context(cadata=trusted.decode())
    client = client_context.wrap_bio(client_in, client_out, server_hostname=name)
    server = authority.listening_context(["http/1.1"]).wrap_bio(server_in, server_out, server_side=True)
    for _ in range(4):
        for side, others_in, out in ((client, server_in, client_out), (server, client_in, server_out)):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            finally:
                others_in.write(out.read())
    assert client.cipher()


def test_a_recreated_ca_works_beside_the_old_one_and_the_old_one_vouches_for_nothing_new(tmp_path: Path) -> None:
    old = Authority.load_or_create(tmp_path / "ca", DOMAIN)
    old_root = old.ca_file.read_bytes()
    handshake(old, old_root, f"netshop.{DOMAIN}")
    shutil.rmtree(tmp_path / "ca")
    new = Authority.load_or_create(tmp_path / "ca", DOMAIN)
    new_root = new.ca_file.read_bytes()
    handshake(new, new_root, f"netshop.{DOMAIN}")
    for trusted in (old_root + new_root, new_root + old_root):  # browsers keep both until the old one is taken out
        handshake(new, trusted, f"netshop.{DOMAIN}")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(new, old_root, f"netshop.{DOMAIN}")


#: Becomes nobody, and tries each path: opens files, lists folders, connects to sockets.
TRY = f"""
import json, os, socket, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
got = []
for path in json.load(sys.stdin):
    try:
        if path.endswith(".sock"):
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path, "rb").close()
    except OSError:
        continue
    got.append(path)
print(json.dumps(got))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that everybody may enter: pytest's own are closed, and would prove nothing."""
    folder = Path(tempfile.mkdtemp(prefix="stores-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_read_nothing_and_ask_nobody(open_folder: Path) -> None:
    system = WholeSystem(open_folder)
    system.runtime.chmod(0o755)
    for folder in (open_folder / "state", open_folder / "config"):
        folder.mkdir(mode=0o755)
    system.service("shop", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"}, setup="", remote=False)
    try:
        system.begin_all()
        system.ask("start", "shop")
        tops = (open_folder / "state/stores", system.runtime / "stores")
        ours = [str(path) for top in tops for path in (top, *top.rglob("*"))]
        assert any(path.endswith("intermediate.key") for path in ours), ours
        assert any(path.endswith("control.sock") for path in ours)
        done = subprocess.run(
            [sys.executable, "-I", "-c", TRY],
            input=json.dumps([*ours, str(open_folder)]),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == [str(open_folder)]  # which it may, so that the rest means something
    finally:
        system.end()
