"""Issues leaf certificates through trustme, and reads back those that it issued."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from certs.chain import Chain
from certs.leaf import Leaf
from certs.names import DEFAULT_NAMES

#: Apple's limit for certificates under a public root is 398 days (support note HT211025), for those under a root that a
#: user added 825 (HT210176). One day below the stricter one, as public CAs do.
LEAF_LIFETIME = timedelta(days=397)
#: For a client whose clock is behind: a container, a virtual machine that slept.
LEAF_SKEW = timedelta(hours=1)
#: A leaf with less than this to live is replaced.
RENEW_BEFORE = timedelta(days=30)


class Issuer:
    """Signs with the intermediate of one CA.

    Each leaf has a key of its own. trustme makes it so, a P-256 key costs 0.05 ms, and a key that a service's developer
    copied out of one leaf opens the names of that leaf only.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._ca = trustme.CA.from_pem(chain.intermediate_pem, chain.key_pem)

    def issue(self, names: tuple[str, ...], now: datetime, cert_file: Path) -> Leaf:
        """A new leaf, valid from an hour before `now`; never beyond the CA's own end. `cert_file` is not written.

        Raises `ValueError` when the CA itself is not valid at `now`.
        """
        begin, end = now.replace(microsecond=0) - LEAF_SKEW, self._chain.intermediate.not_valid_after_utc
        if now >= end:
            raise ValueError(f"the CA ended on {end:%Y-%m-%d}")
        # Both ends belong to the period (RFC 5280 4.1.2.5): without the second it would be 397 days and a second.
        end = min(end, begin + LEAF_LIFETIME - timedelta(seconds=1))
        # trustme checks names by IDNA 2008, which knows no underscore and no emoji; DNS and browsers carry both.
        exotic = names != DEFAULT_NAMES and not all(_is_idna(name.removeprefix("*.")) for name in names)
        leaf = self._ca.issue_cert(
            *(("localhost",) if exotic else names),
            organization_name="stores",
            organization_unit_name=names[0][:64],  # RFC 5280 appendix A
            not_before=begin,
            not_after=end,
        )
        key, certificate = leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()
        if exotic:
            certificate = self._rename(certificate, names)
        return self._leaf(cert_file, key + certificate + self._chain.intermediate_pem, names, begin, end)

    def read(self, pem: bytes, names: tuple[str, ...], cert_file: Path) -> Leaf:
        """The leaf of an earlier run. Raises `ValueError` unless it is whole, for these names, and of this very CA."""
        try:
            leaf, intermediate = x509.load_pem_x509_certificates(pem)
            key = load_pem_private_key(pem, password=None)
            leaf.verify_directly_issued_by(self._chain.intermediate)
            alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as e:
            raise ValueError(f"{cert_file} is damaged or of another CA") from e
        found = {*alternatives.get_values_for_type(x509.DNSName)}
        found |= {str(address) for address in alternatives.get_values_for_type(x509.IPAddress)}
        if intermediate != self._chain.intermediate or key.public_key() != leaf.public_key() or found != {*names}:
            raise ValueError(f"{cert_file} is for other names, or its parts do not belong together")
        return self._leaf(cert_file, pem, names, leaf.not_valid_before_utc, leaf.not_valid_after_utc)

    def _leaf(self, cert_file: Path, pem: bytes, names: tuple[str, ...], begin: datetime, end: datetime) -> Leaf:
        # A leaf that ends with its CA gains nothing by renewal: without this it would be renewed at every request.
        ends_with_ca = end >= self._chain.intermediate.not_valid_after_utc
        return Leaf(cert_file, pem, names, begin, end, end if ends_with_ca else end - RENEW_BEFORE)

    def _rename(self, pem: bytes, names: tuple[str, ...]) -> bytes:
        """The same certificate, signed again with other names."""
        model = x509.load_pem_x509_certificate(pem)
        builder = (
            x509.CertificateBuilder(model.issuer, model.subject)
            .public_key(model.public_key())
            .serial_number(model.serial_number)
            .not_valid_before(model.not_valid_before_utc)
            .not_valid_after(model.not_valid_after_utc)
        )
        for extension in model.extensions:
            value = extension.value
            if isinstance(value, x509.SubjectAlternativeName):
                value = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(value, extension.critical)
        return builder.sign(self._chain.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _is_idna(name: str) -> bool:
    """Whether trustme takes the name as it is."""
    import idna  # noqa: PLC0415 -- trustme has loaded it by then

    try:
        return idna.encode(name, uts46=True) == name.encode()
    except idna.IDNAError:
        return False
