"""One signing key: made, read from and written as a JSON Web Key (RFC 7517), and named by its thumbprint (RFC 7638)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Both by RFC 7518, section 3.1: RS256 is what every OpenID client knows, ES256 what costs an eighth of it.
ALGORITHMS: Final = ("ES256", "RS256")
#: Bits; RFC 7518, section 3.3: "a key of size 2048 bits or larger MUST be used".
_RSA_BITS: Final = 2048
#: What names a key of each type: RFC 7638, section 3.2. The same members, without the private ones, are published.
_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_TYPE_OF: Final = {"ES256": "EC", "RS256": "RSA"}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of a key (RFC 7638, section 3). Raises ``KeyError`` for a type that is not known here."""
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Key:
    """`secret` is None for a retired one, which signs no more and is known `until` (epoch seconds) its tokens are over.

    Both halves are cryptography's own objects. `made`: epoch seconds.
    """

    kid: str
    alg: str
    public: Any
    secret: Any
    jwk: Mapping[str, str]
    made: float = 0.0
    until: float | None = None

    @classmethod
    def generate(cls, alg: str, now: float) -> Key:
        """A new key for one of `ALGORITHMS`. An RSA key takes a tenth of a second or more."""
        from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - with the first key

        if alg == "ES256":
            return cls.of(ec.generate_private_key(ec.SECP256R1()), alg, now)
        return cls.of(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS), alg, now)

    @classmethod
    def of(cls, secret: Any, alg: str, now: float = 0.0) -> Key:
        """The key of a private one of cryptography's."""
        public = secret.public_key()
        jwk = _algorithm(alg).to_jwk(public, as_dict=True)
        return cls(thumbprint(jwk), alg, public, secret, {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}, now)

    @classmethod
    def read(cls, jwk: Mapping[str, Any]) -> Key:
        """From a private or public JWK with ``alg`` and ``kid``. Raises ``ValueError`` for anything else."""
        from jwt.exceptions import PyJWTError  # noqa: PLC0415 - as below

        alg, kid = jwk.get("alg"), jwk.get("kid")
        if alg not in ALGORITHMS or jwk.get("kty") != _TYPE_OF[alg]:
            raise ValueError(f'a key for "{alg}" of the type "{jwk.get("kty")}" is none of {", ".join(ALGORITHMS)}')
        try:
            found = _algorithm(alg).from_jwk(dict(jwk))
            own_name = thumbprint(jwk)
        except (PyJWTError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'the key "{kid}" is damaged: {error}') from error
        if kid != own_name:
            raise ValueError(f'the key "{kid}" has not the name that its numbers give it')
        secret = found if "d" in jwk else None
        public = found.public_key() if secret is not None else found
        members = {name: str(jwk[name]) for name in _MEMBERS[jwk["kty"]]}
        return cls(kid, alg, public, secret, members, float(jwk.get("iat", 0)), jwk.get("exp"))

    def write(self) -> dict[str, Any]:
        """As `read` takes it, with the private members where there are any."""
        jwk: dict[str, Any] = {**self.published, "iat": self.made}
        if self.until is not None:
            jwk["exp"] = self.until
        if self.secret is not None:
            jwk |= _algorithm(self.alg).to_jwk(self.secret, as_dict=True)
            jwk.pop("key_ops", None)
        return jwk

    @property
    def published(self) -> dict[str, Any]:
        """What a verifier needs, and nothing that has to be kept from it."""
        return {**self.jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}

    def retired(self, until: float) -> Key:
        """The same key, which signs no more."""
        return Key(self.kid, self.alg, self.public, None, self.jwk, self.made, until)


def _algorithm(alg: str) -> Any:
    # jwt costs 30 ms where cryptography is loaded already, as it is in the gateway: paid with the first key
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415 - see above

    return ECAlgorithm if alg == "ES256" else RSAAlgorithm
