"""Signs what is delivered, as Standard Webhooks has it (standardwebhooks.com, "Signature scheme"), version 1."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key behind ``whsec_<base64>``. Raises ``ValueError`` for any other text."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("it is not whsec_ and base64") from error
    if not key:
        raise ValueError("it is empty")
    return key


def headers(key: bytes, identity: bytes, at: int, body: bytes) -> list[tuple[bytes, bytes]]:
    """The three headers. The id is the same for every attempt; `at` is this attempt's time, epoch seconds."""
    message_id = b"msg_" + identity.hex().encode()
    mac = hmac.new(key, b"%b.%d.%b" % (message_id, at, body), hashlib.sha256).digest()
    return [
        (b"webhook-id", message_id),
        (b"webhook-timestamp", b"%d" % at),
        (b"webhook-signature", b"v1," + base64.b64encode(mac)),
    ]
