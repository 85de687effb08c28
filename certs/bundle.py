"""How programs that do not ask the system's trust store learn of the local CA: a bundle, and variables that name it.

Neither trustme nor cryptography is needed here.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from certs import system_roots
from certs.folder import PUBLIC, replace_file
from procman.errors import StoresError

#: These add to what the program trusts anyway: our root alone is enough.
_ADDING = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
#: These replace it, so that they need the public roots too. SSL_CERT_FILE: OpenSSL, Go, Ruby, Python; the others say.
_REPLACING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO")

_HEADER = b"# Made by stores: its local CA, then the root certificates of this machine. Changes are overwritten.\n"


class HasCaFile(Protocol):
    """An `Authority`, or a `CaFolder`, which does not load cryptography."""

    @property
    def ca_file(self) -> Path:
        """The root certificate, PEM."""


def write_bundle(
    authority: HasCaFile, folder: Path, system: bytes | None = None, *, environ: Mapping[str, str] | None = None
) -> Path:
    """Writes ``bundle.pem`` into `folder` where it is new or has changed: our root, then the system's.

    `system` (PEM) stands for what is found with `environ`, the user's variables. Raises `StoresError`.
    """
    roots = system_roots.find(environ or {}) if system is None else system_roots.parse(system)
    if not roots:
        raise StoresError(
            "No root certificates were found on this machine: services could reach no public site over TLS",
            "Install them (Debian, Fedora: the package ca-certificates), or name a PEM file: export SSL_CERT_FILE=…",
        )
    try:
        ours = system_roots.parse(authority.ca_file.read_bytes())
        if not ours:
            raise StoresError(f"{authority.ca_file} holds no certificate", f"Look at it: cat {authority.ca_file}")
        content = _HEADER + b"".join(map(_pem, ours | roots))
        return _replace_if_changed(folder / "bundle.pem", content)
    except OSError as e:
        raise StoresError(
            f"Cannot write the bundle of certificates: {e}", f"Look at its folder: ls -ld {folder}"
        ) from e


def environment(authority: HasCaFile, bundle: Path, user: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that make a child process trust the local CA.

    A variable of the `user` that adds certificates of his own gets the bundle, which holds those too.
    """
    ours = str(authority.ca_file)
    own = {name for name in _ADDING if (user or {}).get(name) not in {None, "", ours}}
    adding = {name: str(bundle) if name in own else ours for name in _ADDING}
    return adding | dict.fromkeys(_REPLACING, str(bundle))


def _replace_if_changed(file: Path, content: bytes) -> Path:
    if not (file.is_file() and file.read_bytes() == content):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, content, PUBLIC)
    return file


def _pem(der: bytes) -> bytes:
    """RFC 7468: 64 characters a line."""
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()
