"""The system's trusted roots on macOS: the System keychain, by Apple's ``security``."""

from __future__ import annotations

import hashlib

from certs.trust_linux import SystemStore
from certs.trust_store import Root

_SECURITY = "/usr/bin/security"
_KEYCHAIN = "/Library/Keychains/System.keychain"


def store(root: Root) -> SystemStore:
    """`security` wants a file for undoing, too: it finds the trust settings by the certificate."""
    file = f"/Library/Application Support/stores/{root.name}.pem"
    return SystemStore(
        file=file,
        text=root.file.read_text("ascii"),
        after=(
            # -d: for all users; without it, macOS asks for the password in a window of its own
            (_SECURITY, "add-trusted-cert", "-d", "-r", "trustRoot", "-k", _KEYCHAIN, file),
        ),
        before_undo=(
            (_SECURITY, "remove-trusted-cert", "-d", file),
            (_SECURITY, "delete-certificate", "-Z", hashlib.sha1(root.der).hexdigest().upper(), _KEYCHAIN),  # noqa: S324 (the only name that `security` deletes by)
        ),
    )
