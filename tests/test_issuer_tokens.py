"""Tokens: the RFCs' vectors through the functions that sign and verify; forgeries, of which none is accepted; keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from jose_vectors import EC_KEY, EC_TOKEN, PAYLOAD, RSA_KEY, RSA_TOKEN, THUMBPRINT, THUMBPRINT_KEY
from jwt.algorithms import get_default_algorithms

from procman.authorizer_settings import LONGEST_TTL
from procman.errors import StoresError
from procman.identity import Identity
from proxy_addons.issuer import signature
from proxy_addons.issuer.issuer import Issuer, Terms
from proxy_addons.issuer.key import Key, thumbprint
from proxy_addons.issuer.token_error import TokenError

URL, API = "https://auth.local.example.com", "https://api-gateway.local.example.com"
ALICE = Identity("alice", "user-1", ("org:read", "org:write"), {"email": "alice@example.com", "org": {"id": 7}})


Sign = Callable[[bytes], bytes]


class World:
    """An issuer whose clock stands still until it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "issuer"
        self.now = 1_800_000_000.0
        self.terms = Terms("local.example.com", URL, API, "ES256", 3600.0)
        self.issuer = self.another()

    def another(self) -> Issuer:
        """The same keys in another process, or after a restart."""
        return Issuer(self.folder, lambda: self.terms, lambda: self.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def vector(jwk: dict[str, str], alg: str) -> Key:
    return Key.read({**jwk, "alg": alg, "kid": thumbprint(jwk)})


def test_rfc_7638_section_3_1() -> None:
    assert thumbprint(THUMBPRINT_KEY) == THUMBPRINT


def test_rfc_7515_appendix_a_2_signs_to_the_letter() -> None:
    key = vector(RSA_KEY, "RS256")
    assert signature.sign(PAYLOAD, key, {}) == RSA_TOKEN


@pytest.mark.parametrize(("jwk", "alg", "token"), [(RSA_KEY, "RS256", RSA_TOKEN), (EC_KEY, "ES256", EC_TOKEN)])
def test_rfc_7515_appendices_a_2_and_a_3_verify(jwk: dict[str, str], alg: str, token: str) -> None:
    key = vector(jwk, alg)
    claimed = signature.read(token)
    assert claimed.payload == PAYLOAD
    signature.verify(token, claimed, lambda _: key)
    other = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    with pytest.raises(TokenError, match="bad_signature"):
        signature.verify(other, signature.read(other), lambda _: key)


def test_rfc_7515_appendix_a_3_signs_what_its_public_key_verifies() -> None:
    key = vector(EC_KEY, "ES256")
    token = signature.sign(PAYLOAD, key, {})
    assert token.rpartition(".")[0] == EC_TOKEN.rpartition(".")[0]
    signature.verify(token, signature.read(token), lambda _: key)


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_token_says_who_for_whom_and_how_long(world: World, alg: str) -> None:
    token = world.issuer.sign(ALICE, alg=alg)
    claims = world.issuer.verify(token)
    header = json.loads(unb64(token.split(".")[0]))
    assert header == {"alg": alg, "kid": world.issuer.keys.signing(alg).kid, "typ": "JWT"}
    assert header["kid"] == thumbprint(world.issuer.keys.signing(alg).jwk)
    assert {key: claims[key] for key in ("iss", "sub", "aud", "scope", "email", "org")} == {
        "iss": URL,
        "sub": "user-1",
        "aud": API,
        "scope": "org:read org:write",
        "email": "alice@example.com",
        "org": {"id": 7},
    }
    assert (claims["iat"], claims["exp"]) == (world.now, world.now + 3600)


def test_no_claim_of_an_identity_replaces_what_the_issuer_says(world: World) -> None:
    forger = Identity("mallory", "m", (), {"sub": "user-1", "exp": 1, "iss": "https://elsewhere.example", "nonce": "n"})
    claims = world.issuer.verify(world.issuer.sign(forger))
    assert (claims["sub"], claims["iss"], "nonce" in claims) == ("m", URL, False)


def test_a_token_is_signed_once_until_it_is_near_its_end(world: World) -> None:
    first = world.issuer.sign(ALICE)
    world.now += 2600
    assert world.issuer.sign(ALICE) is first
    world.now += 200
    assert world.issuer.verify(later := world.issuer.sign(ALICE))
    assert later != first


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda world: world.issuer.sign(ALICE, "other"), id="audience"),
        pytest.param(lambda world: world.issuer.sign(ALICE, scopes=("org:read",)), id="scopes"),
        pytest.param(lambda world: world.issuer.sign(ALICE, expires_in=60), id="life"),
        pytest.param(lambda world: world.issuer.sign(Identity("alice", "user-2")), id="what the file says of her"),
        pytest.param(lambda world: world.issuer.sign(Identity("bob", "user-1", ALICE.scopes)), id="identity"),
        pytest.param(lambda world: setattr(world, "now", world.now - 60) or world.issuer.sign(ALICE), id="clock back"),
        pytest.param(lambda world: world.issuer.keys.rotate() and world.issuer.sign(ALICE), id="new keys"),
    ],
)
def test_another_question_gets_another_token(world: World, change: Callable[[World], str]) -> None:
    first = world.issuer.sign(ALICE)
    assert change(world) != first


def test_a_clock_that_is_set_back_makes_no_token_of_the_future(world: World) -> None:
    world.issuer.sign(ALICE)
    world.now -= 86400
    assert world.issuer.verify(world.issuer.sign(ALICE))["iat"] == world.now


def test_a_token_ends_at_its_second(world: World) -> None:
    token = world.issuer.sign(ALICE, expires_in=10)
    world.now += 9.9
    assert world.issuer.verify(token)
    world.now += 0.1
    with pytest.raises(TokenError) as refused:
        world.issuer.verify(token)
    assert (refused.value.code, refused.value.detail) == ("expired", "it ended 1 seconds ago")


def test_a_life_without_end_is_refused(world: World) -> None:
    for life in (LONGEST_TTL + 1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="lives at most"):
            world.issuer.sign(ALICE, expires_in=life)


def forged(world: World) -> dict[str, tuple[str, str]]:
    """Each forgery with the code that refuses it."""
    keys = world.issuer.keys
    real = world.issuer.sign(ALICE)
    head, body, mark = real.split(".")
    header, claims = json.loads(unb64(head)), json.loads(unb64(body))

    def token(
        changes: dict[str, Any], said: dict[str, Any] = claims, sign: Callable[[bytes], bytes] | None = None
    ) -> str:
        whole = {key: value for key, value in {**header, **changes}.items() if value is not None}
        text = f"{b64(json.dumps(whole))}.{b64(json.dumps(said))}"
        return f"{text}.{b64(sign(text.encode())) if sign else mark}"

    def with_key(secret: Any) -> Callable[[bytes], bytes]:
        key = Key.of(secret, "ES256" if isinstance(secret, ec.EllipticCurvePrivateKey) else "RS256")
        return lambda text: get_default_algorithms()[key.alg].sign(text, secret)

    def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
        return lambda text: hmac.new(secret, text, hashlib.sha256).digest()

    own_ec, own_rsa = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    ours = keys.signing("ES256").secret

    def in_der(text: bytes) -> bytes:
        return bytes(ours.sign(text, ec.ECDSA(SHA256())))

    own_jwk = Key.of(own_ec, "ES256").published
    rs = keys.signing("RS256")
    pem = rs.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = rs.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    hs256 = {"alg": "HS256", "kid": rs.kid}
    admin = {**claims, "scope": "org:admin"}
    return {
        "payload changed": (f"{head}.{b64(json.dumps(admin))}.{mark}", "bad_signature"),
        "no signature": (f"{head}.{body}.", "bad_signature"),
        "alg none": (token({"alg": "none"}, admin, lambda _: b""), "bad_signature"),
        "alg None in capitals": (token({"alg": "nOnE"}, admin, lambda _: b""), "bad_signature"),
        "alg none without kid": (token({"alg": "none", "kid": None}, admin, lambda _: b""), "bad_signature"),
        "HS256 with the public key's PEM": (
            token(hs256, admin, hmac_with(pem)),
            "bad_signature",
        ),
        "HS256 with the public key's DER": (
            token(hs256, admin, hmac_with(der)),
            "bad_signature",
        ),
        "HS256 with the published JWK": (
            token({"alg": "HS256"}, admin, hmac_with(json.dumps(keys.signing("ES256").published).encode())),
            "bad_signature",
        ),
        "HS256 with an empty secret": (token({"alg": "HS256"}, admin, hmac_with(b"")), "bad_signature"),
        "another's key under our kid": (token({}, admin, with_key(own_ec)), "bad_signature"),
        "another's key under its own kid": (token({"kid": own_jwk["kid"]}, admin, with_key(own_ec)), "bad_signature"),
        "another's RSA key under our EC kid": (token({"alg": "RS256"}, admin, with_key(own_rsa)), "bad_signature"),
        "no kid": (token({"kid": None}), "bad_signature"),
        "a kid that is a path": (token({"kid": "../../dev/null"}, admin, hmac_with(b"")), "bad_signature"),
        "a kid that is no text": (token({"kid": 7}), "malformed"),
        "jwk in the header": (token({"jwk": own_jwk, "kid": own_jwk["kid"]}, admin, with_key(own_ec)), "bad_signature"),
        "jku in the header": (token({"jku": "https://evil.example/jwks"}, admin, with_key(own_ec)), "bad_signature"),
        "x5u in the header": (token({"x5u": "https://evil.example/x"}, admin, with_key(own_ec)), "bad_signature"),
        "x5c in the header": (token({"x5c": ["AA"]}, admin, with_key(own_ec)), "bad_signature"),
        "a critical header": (token({"crit": ["exp"], "exp": 1}), "malformed"),
        "an ES256 signature in DER": (token({}, claims, in_der), "bad_signature"),
        "an ES256 signature of zeros": (token({}, claims, lambda _: bytes(64)), "bad_signature"),
        "another issuer": (token({}, {**claims, "iss": "https://accounts.example.com"}), "not_ours"),
        "an issuer that begins like ours": (token({}, {**claims, "iss": f"{URL}.evil.example"}), "not_ours"),
        "no issuer": (token({}, {key: claims[key] for key in claims if key != "iss"}), "not_ours"),
        "a word": ("secret", "malformed"),
        "empty": ("", "malformed"),
        "two parts": (f"{head}.{body}", "malformed"),
        "four parts": (f"{real}.{mark}", "malformed"),
        "a line end behind it": (f"{real}\n", "malformed"),
        "padding": (f"{real}=", "malformed"),
        "a stray character, which Python's decoder would pass over": (f"{head}.{body}.!{mark}", "malformed"),
        "a header that is a list": (f"{b64('[]')}.{body}.{mark}", "malformed"),
        "a header that is deep": (f"{b64('[' * 5000)}.{body}.{mark}", "malformed"),
        "a payload that is a list": (f"{head}.{b64('[]')}.{mark}", "malformed"),
        "a payload that is no JSON": (f"{head}.{b64('x')}.{mark}", "malformed"),
        "very long": (f"{head}.{'A' * 20000}.{mark}", "malformed"),
        "for somebody else": (world.issuer.sign(ALICE, "https://elsewhere.example"), "wrong_audience"),
        "over": (world.issuer.sign(ALICE, expires_in=-60), "expired"),
    }


def outcome(issuer: Issuer, token: str) -> str:
    try:
        issuer.verify(token)
    except TokenError as error:
        return error.code if error.detail and (len(token) < 9 or token not in error.detail) else "said badly"
    return "accepted"


def test_no_forgery_is_accepted(world: World) -> None:
    table = forged(world)
    found = {name: outcome(world.issuer, token) for name, (token, _) in table.items()}
    assert found == {name: code for name, (_, code) in table.items()}


def test_a_token_may_name_several_audiences(world: World) -> None:
    token = world.issuer.sign(ALICE, claims={"aud": ["first", API]})
    assert world.issuer.verify(token)
    assert world.issuer.verify(token, "first")


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (URL, True),
        (f"{URL}:8443", True),
        ("http://auth.localhost:8080", True),
        ("http://auth.localhost.evil.example", False),
        ("https://auth.local.example.com@evil.example", False),
        ("https://xauth.local.example.com", False),
        (None, False),
    ],
)
def test_the_issuer_knows_its_own_names(world: World, url: str, *, ours: bool) -> None:
    assert world.issuer.ours(url) is ours


def test_an_issuer_that_was_written_down_is_the_only_one(world: World) -> None:
    world.terms = Terms("local.example.com", "https://id.example.com", API, "ES256", 60, fixed=True)
    assert world.issuer.verify(world.issuer.sign(ALICE))["iss"] == "https://id.example.com"
    assert not world.issuer.ours("http://auth.localhost:8080")


def test_the_keys_are_their_owners_alone_and_survive_a_restart(world: World) -> None:
    token = world.issuer.sign(ALICE)
    assert world.folder.stat().st_mode & 0o777 == 0o700
    assert [(file.name, file.stat().st_mode & 0o777) for file in world.folder.iterdir()] == [("keys.json", 0o600)]
    assert world.another().verify(token)
    assert world.another().keys.published() == world.issuer.keys.published()


def test_what_is_published_holds_nothing_private(world: World) -> None:
    for jwk in world.issuer.keys.published()["keys"]:
        assert set(jwk) - {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"} == set()


def test_after_a_rotation_old_tokens_count_until_they_are_over(world: World) -> None:
    other = world.another()
    token = other.sign(ALICE)
    old = {key["kid"] for key in other.keys.published()["keys"]}
    new = {key.kid for key in world.issuer.keys.rotate()}
    assert len(new) == 2
    assert not new & old
    assert other.verify(token), "a process that runs goes on"
    assert {key["kid"] for key in other.keys.published()["keys"]} == new | old
    assert json.loads(unb64(other.sign(ALICE).split(".")[0]))["kid"] in new, "and signs with the new one at once"
    text = json.loads(world.issuer.keys.file.read_text())
    assert [("d" in jwk) for jwk in text["keys"]] == [True, True, False, False], "the old private keys are gone"
    long = other.sign(ALICE, expires_in=LONGEST_TTL)
    world.issuer.keys.rotate()
    world.now += LONGEST_TTL - 1
    assert other.verify(long)
    world.now += 1
    assert old & {key["kid"] for key in other.keys.published()["keys"]} == set()
    assert len(world.issuer.keys.rotate()) == 2
    assert old & {jwk["kid"] for jwk in json.loads(world.issuer.keys.file.read_text())["keys"]} == set()


def _damage(text: str) -> str:
    found = json.loads(text)
    found["keys"][0]["x"] = found["keys"][0]["y"]
    return json.dumps(found)


def _renamed(text: str) -> str:
    found = json.loads(text)
    found["keys"][0]["kid"] = "mine"
    return json.dumps(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "cannot be used"),
        (lambda _: "", "cannot be used"),
        (lambda _: "[]", "no JSON Web Key Set"),
        (lambda _: '{"keys": [1]}', "no JSON object"),
        (lambda _: '{"keys": []}', "no private key for ES256"),
        (lambda _: json.dumps({"keys": [THUMBPRINT_KEY]}), "not the name that its numbers give it"),
        (lambda _: '{"keys": [{"kty": "oct", "k": "AA", "alg": "HS256"}]}', "none of ES256, RS256"),
        (_damage, "cannot be used"),
        (_renamed, "not the name that its numbers give it"),
    ],
)
def test_a_damaged_or_foreign_file_is_said_and_never_overwritten(
    world: World, change: Callable[[str], str], said: str
) -> None:
    world.issuer.sign(ALICE)
    file = world.issuer.keys.file
    file.write_text(change(file.read_text()))
    before = file.read_bytes()
    for issuer in (world.issuer, world.another()):
        for act in (lambda issuer=issuer: issuer.sign(ALICE), issuer.keys.published, issuer.keys.rotate):
            with pytest.raises(StoresError, match="cannot be used") as refused:
                act()
            assert said in refused.value.message
            assert f"mv {file}" in refused.value.hint
    assert file.read_bytes() == before


@pytest.mark.parametrize(("path", "mode"), [("keys.json", 0o640), ("keys.json", 0o604), ("", 0o722)])
def test_keys_that_lie_open_are_not_used(world: World, path: str, mode: int) -> None:
    world.issuer.sign(ALICE)
    (world.folder / path).chmod(mode)
    with pytest.raises(StoresError, match="Others may read or replace"):
        world.another().sign(ALICE)


def test_keys_that_were_taken_away_are_made_anew(world: World) -> None:
    token = world.issuer.sign(ALICE)
    world.issuer.keys.file.unlink()
    assert world.issuer.verify(world.issuer.sign(ALICE))
    with pytest.raises(TokenError, match="bad_signature"):
        world.issuer.verify(token)


def test_a_folder_that_cannot_be_written_is_said(world: World) -> None:
    world.folder.parent.joinpath("issuer").write_text("a file where the folder should be")
    with pytest.raises(StoresError, match="Cannot keep the keys of the tokens"):
        world.issuer.sign(ALICE)


def test_processes_that_make_the_keys_at_once_agree(world: World) -> None:
    parents, readers = [], []
    for _ in range(4):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, json.dumps(world.another().keys.published()).encode())
            os._exit(0)
        os.close(writer)
        parents.append(pid)
        readers.append(reader)
    found = []
    for pid, reader in zip(parents, readers, strict=True):
        with os.fdopen(reader, "rb") as said:
            found.append(said.read())
        os.waitpid(pid, 0)
    assert len(set(found)) == 1
    assert json.loads(found[0]) == world.issuer.keys.published()
