"""The root and the issuing intermediate of a local CA: how they are made, and what is demanded of those on disk."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.names import covers

#: As long as mkcert's. What a CA may sign is what its constraints say, and to trust a new one costs every engineer a
#: password on every machine; no browser limits the lifetime of a root that a user added himself.
CA_LIFETIME = timedelta(days=3650)
#: For the clocks of virtual machines and phones that are behind ours.
CLOCK_SKEW = timedelta(days=1)

_ADDRESSES = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_KEY_USAGE = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
_LONGEST_CN = 64  # bytes; ub-common-name, RFC 5280 appendix A


@dataclass(frozen=True, slots=True)
class Chain:
    """A CA's two certificates, and the key of the second. The first one's key exists nowhere any more."""

    root: x509.Certificate
    intermediate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, domain: str, owner: str, now: datetime) -> Chain:
        """A new CA for `domain` (canonical); `owner` is told in its name, so that one finds it in a trust store.

        The root's key dies here: nobody can make a second intermediate. The constraints stand on both, since Java
        heeds those of an intermediate only. ECDSA P-256 is what every client knows and costs a laptop least.
        """
        label = f"{secrets.token_hex(4)} {owner}"
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root_name = _name(f"stores CA {label}", domain)
        root = (
            _authority(root_name, root_name, root_key.public_key(), domain, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        intermediate = (
            _authority(_name(f"stores issuing CA {label}", domain), root_name, key.public_key(), domain, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            # Closes what name constraints leave open: mail addresses, code signing, client certificates.
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        return cls(root, intermediate, key)

    @classmethod
    def parse(cls, root: bytes, intermediate: bytes, key: bytes) -> Chain:
        """The same from three PEM texts. Raises `ValueError` that says which of them is damaged or does not belong."""
        certificates = _certificate(root, "root"), _certificate(intermediate, "intermediate")
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as e:
            raise ValueError("the intermediate's key cannot be read") from e
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("the intermediate's key is not an ECDSA key")  # noqa: TRY004 -- damaged data, no bug
        if private.public_key() != certificates[1].public_key():
            raise ValueError("the key is not that of the intermediate certificate")
        try:
            certificates[1].verify_directly_issued_by(certificates[0])
        except (ValueError, TypeError, InvalidSignature) as e:
            raise ValueError("the intermediate certificate was not issued by the root") from e
        return cls(*certificates, private)

    def check(self, domain: str, now: datetime) -> None:
        """Raises `ValueError` unless both certificates are constrained, cover `domain` and are valid at `now`."""
        for kind, certificate in (("root", self.root), ("intermediate", self.intermediate)):
            _check_constraints(kind, certificate, domain)
            if now < certificate.not_valid_before_utc:
                raise ValueError(f"the {kind} certificate begins on {certificate.not_valid_before_utc:%Y-%m-%d} only")
            if now >= certificate.not_valid_after_utc:
                raise ValueError(f"the {kind} certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}")

    @property
    def root_pem(self) -> bytes:
        """What clients trust."""
        return self.root.public_bytes(Encoding.PEM)

    @property
    def intermediate_pem(self) -> bytes:
        """What a server sends after its leaf."""
        return self.intermediate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The intermediate's private key, unencrypted PKCS #8."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _authority(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, domain: str, now: datetime
) -> x509.CertificateBuilder:
    begin = now.replace(microsecond=0) - CLOCK_SKEW
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + CA_LIFETIME)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_constraints(domain), critical=True)
    )


def _constraints(domain: str) -> x509.NameConstraints:
    """No leading dot: the domain itself is meant too. Addresses are named, for a kind without entry is not limited."""
    permitted = [x509.DNSName(name) for name in dict.fromkeys((domain, "localhost"))]
    return x509.NameConstraints([*permitted, *map(x509.IPAddress, _ADDRESSES)], excluded_subtrees=None)


def _check_constraints(kind: str, certificate: x509.Certificate, domain: str) -> None:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (x509.ExtensionNotFound, ValueError) as e:
        raise ValueError(f"the {kind} certificate has no name constraints: it was not made by stores") from e
    permitted = constraints.permitted_subtrees or []
    names = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    for name in (domain, "localhost"):
        if not any(covers(root, name) for root in names):
            raise ValueError(f"the {kind} certificate is for {' and '.join(names)}, and does not cover {name}")
    if not all(x509.IPAddress(address) in permitted for address in _ADDRESSES):
        raise ValueError(f"the {kind} certificate does not cover the loopback addresses")


def _certificate(pem: bytes, kind: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as e:
        raise ValueError(f"the {kind} certificate cannot be read") from e


def _name(common_name: str, domain: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "stores, a development CA"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, _cut(domain)),
            x509.NameAttribute(NameOID.COMMON_NAME, _cut(common_name)),
        ]
    )


def _cut(text: str) -> str:
    return text.encode()[:_LONGEST_CN].decode(errors="ignore")
