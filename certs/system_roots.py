"""The root certificates that this machine trusts already, wherever its system keeps them.

Standard library only, but for certifi as the last resort.
"""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

#: Where no compiled-in path of OpenSSL helps: Python builds that bring their own OpenSSL point into their own folder.
_KNOWN_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, FreeBSD
)

#: The user's own replacements (those that we are going to override) beside SSL_CERT_FILE: a child must still reach
#: what he reached with them.
_EXTRA_VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
)

_KEYCHAINS = (
    "/System/Library/Keychains/SystemRootCertificates.keychain",  # Apple's
    "/Library/Keychains/System.keychain",  # the company's
)
#: Seconds. securityd answers in well under one.
_KEYCHAIN_TIMEOUT = 20

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")

Certificates = dict[bytes, None]  # DER, in order, each once


def find(environ: Mapping[str, str]) -> Certificates:
    """The certificates (DER, each once, in order) of the first place that has any, and those of the user's variables.

    The user's SSL_CERT_FILE stands for the system's roots, as it does for OpenSSL. It may be our own bundle, when one
    runs inside a service's shell: then it holds what was found before. Empty when nothing was found.
    """
    for place in _places(environ):
        if found := place():
            break
    else:
        return {}
    for variable in _EXTRA_VARIABLES:
        if environ.get(variable):
            found |= read(Path(environ[variable]))
    return found


def read(path: Path) -> Certificates:
    """The certificates in a PEM file, or in the files of a folder. What is unreadable has none."""
    try:
        if path.is_dir():
            return _merge(parse(file.read_bytes()) for file in sorted(path.iterdir()) if file.is_file())
        return parse(path.read_bytes())
    except OSError:
        return {}


def parse(text: bytes) -> Certificates:
    """The certificates in a PEM text. Text between them is no error (RFC 7468 2); a damaged one is left out."""
    found: Certificates = {}
    for body in _PEM.findall(text):
        try:
            der = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        if _is_whole(der):
            found[der] = None
    return found


def _is_whole(der: bytes) -> bool:
    """Whether it is one ASN.1 SEQUENCE, as long as it says: one that is cut off would spoil the whole bundle."""
    size = der[1] & 0x7F if len(der) > 1 and der[1] > 0x80 else 0  # noqa: PLR2004 -- X.690 8.1.3.5: the long form
    return der[:1] == b"\x30" and size > 0 and len(der) == 2 + size + int.from_bytes(der[2 : 2 + size], "big")


def _places(environ: Mapping[str, str]) -> Iterator[Callable[[], Certificates]]:
    """From what the user said to what is better than nothing."""
    own = environ.get("SSL_CERT_FILE")
    if own:
        yield lambda: read(Path(own))
    if sys.platform == "darwin":
        yield _keychains
    yield _openssl_file
    for file in _KNOWN_FILES:
        yield partial(read, Path(file))
    own_folder = environ.get("SSL_CERT_DIR")
    if own_folder:
        yield lambda: _merge(read(Path(part)) for part in own_folder.split(":"))
    yield _openssl_folder
    yield _certifi


def _merge(parts: Iterable[Certificates]) -> Certificates:
    found: Certificates = {}
    for part in parts:
        found |= part
    return found


def _openssl_file() -> Certificates:
    import ssl  # noqa: PLC0415 -- 4 MB, which a supervisor has no other use for

    return read(Path(ssl.get_default_verify_paths().openssl_cafile))


def _openssl_folder() -> Certificates:
    import ssl  # noqa: PLC0415 -- the same

    return read(Path(ssl.get_default_verify_paths().openssl_capath))


def _keychains() -> Certificates:
    """The CA certificates of macOS's keychains. They do not say which ones the user has marked as not trusted."""
    found: Certificates = {}
    for keychain in _KEYCHAINS:
        command = ["/usr/bin/security", "find-certificate", "-a", "-p", keychain]
        try:
            found |= parse(subprocess.run(command, capture_output=True, check=True, timeout=_KEYCHAIN_TIMEOUT).stdout)
        except (OSError, subprocess.SubprocessError):
            continue
    return authorities(found)


def authorities(certificates: Certificates) -> Certificates:
    """Those that are CAs: a keychain also holds certificates of the machine itself."""
    import ssl  # noqa: PLC0415 -- the same

    found: Certificates = {}
    for der in certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=der)
        except ssl.SSLError:
            continue
        if context.get_ca_certs():
            found[der] = None
    return found


def _certifi() -> Certificates:
    try:
        import certifi  # noqa: PLC0415 -- the last resort, and mitmproxy's dependency rather than ours
    except ImportError:
        return {}
    return read(Path(certifi.where()))
