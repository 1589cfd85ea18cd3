"""Somebody has a dump of the database, or may write to it; the keys they do not have."""

from __future__ import annotations

import hashlib
import hmac
import re
import subprocess
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterable, Iterator

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.server.databases import POSTGRESQL, Database, PostgreSQL
from tests.server.portal import Person, Portal, import_people, manage
from tests.server.visitor import Visitor

pytestmark = pytest.mark.server

PINS = [f"{number:04}" for number in range(10_000)]
CHOSEN = ("2580", "7413", "0169")
KEYS = {name: name.encode() * 16 for name in ("v1", "v2")}
# Sealed cheaply, so that 10,000 tries with the key take a second; without it nothing is slower.
CHEAP = {"HASHING_MEMORY_KIB": "8"}
Start = Callable[..., Portal]


def keys(*versions: str) -> dict[str, str]:
    """Return the setting that has these keys, the first to write."""
    pairs = (f"{version}:{b64encode(KEYS[version]).decode()}" for version in versions)
    return {"PIN_KEYS": ",".join(pairs)}


def members(portal: Portal, *, under: str) -> list[Person]:
    """Bring in a member for each of CHOSEN, their PINs sealed under this key."""
    env = {**portal.env, **keys(under)}
    return [import_people(env, portal.folder, 1, pin=pin)[0] for pin in CHOSEN]


def sign_in(portal: Portal, person: Person, pin: str) -> Visitor:
    visitor = portal.visitor()
    visitor.get("/login/")
    visitor.post("/login/", card_number=person.card_number, pin=pin)
    return visitor


def opens(portal: Portal, person: Person, pin: str) -> bool:
    visitor = sign_in(portal, person, pin)
    signed_in = visitor.is_signed_in
    visitor.close()
    return signed_in


def dump_of(database: Database) -> str:
    """Return what whoever steals a backup holds."""
    assert isinstance(database, PostgreSQL)
    return subprocess.run(
        [POSTGRESQL / "pg_dump", database.url.replace("postgres://", "postgresql://")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def sealed_in(dump: str) -> dict[str, str]:
    """Return what stands on each card, by the card's number."""
    [(columns, rows)] = re.findall(
        r"^COPY public\.members_card \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$", dump, re.S | re.M
    )
    names = columns.split(", ")
    cards = [dict(zip(names, row.split("\t"), strict=True)) for row in rows.splitlines()]
    return {card["number"]: card["sealed_pin"] for card in cards}


# --- Trying all PINs --------------------------------------------------------------------------


def raw_forms(text: str) -> Iterator[str]:
    """Yield a text, and what it is in other writings, as far as it is one."""
    yield text
    body = text.rpartition(":")[2]
    for decode in (b64decode, bytes.fromhex):
        try:
            yield decode(body).decode("latin-1")
        except (BadBase64, ValueError):
            continue


def hashed_in(text: str) -> Iterator[str]:
    """Yield the Argon2 hashes in a text, whichever way it is written."""
    for form in raw_forms(text):
        yield from re.findall(r"\$argon2[^\s\"']*", form)


def found_by_hash(encoded: str) -> str | None:
    """Return the PIN of an Argon2 hash, by trying all."""
    verify = PasswordHasher().verify
    for pin in PINS:
        try:
            verify(encoded, pin)
        except InvalidHashError:
            return None
        except VerificationError:
            continue
        return pin
    return None


def found_by_digest(dump: str, cards: Iterable[str]) -> set[str]:
    """Return the PINs whose digest stands anywhere in the dump.

    Plain, with the card number before or behind, keyed with the card number or with nothing.
    """
    written = set(re.findall(r"[0-9A-Za-z+/=_-]{16,}", dump))
    held = {form.encode("latin-1") for word in written for form in raw_forms(word)}
    parts = {one[i : i + size] for one in held for i in (0, 12) for size in (16, 20, 32, 64)}
    found = set()
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        for pin in PINS:
            texts = [pin, *(f"{card}{pin}" for card in cards), *(f"{pin}{card}" for card in cards)]
            digests = [hashlib.new(algorithm, text.encode()).digest() for text in texts]
            digests += [hmac.digest(card.encode(), pin.encode(), algorithm) for card in cards]
            digests.append(hmac.digest(b"", pin.encode(), algorithm))
            if any(digest in parts or digest in held for digest in digests):
                found.add(pin)
    return found


def found_by_key(dump: str, all_keys: Iterable[bytes]) -> dict[str, str]:
    """Return the PINs, by card, that come out of the dump with one of these keys."""
    found = {}
    for number, sealed in sealed_in(dump).items():
        raw = b64decode(sealed.rpartition(":")[2])
        for key in all_keys:
            try:
                opened = AESGCM(key).decrypt(
                    raw[:12], raw[12:], b"portal card pin\0" + number.encode()
                )
            except InvalidTag:
                continue
            if pin := found_by_hash(opened.decode()):
                found[number] = pin
    return found


def keys_to_guess(cards: Iterable[str]) -> list[bytes]:
    """Return keys that are none: of nothing, of the PIN, of the card's number."""
    texts = [*PINS, *cards, "", "v1", "tests-only-" + "k" * 50]
    return [bytes(32), *(hashlib.sha256(text.encode()).digest() for text in texts)]


@pytest.mark.attack("database dump, all 10,000 PINs tried on every card", "0 PINs found")
def test_a_dump_gives_no_pin_away(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**keys("v1"), **CHEAP)
    people = members(portal, under="v1")
    cards = [person.card_number for person in people]
    # So that the dump has all that a day leaves behind: sessions, failures, the record.
    for person, pin in zip(people, CHOSEN, strict=True):
        sign_in(portal, person, "0000").close()
        sign_in(portal, person, pin).close()
    dump = dump_of(portal.database)
    assert set(sealed_in(dump)) == set(cards)
    assert portal.events("signed_in", people[0])

    fields = re.split(r"[\t\n ,\"']", dump)
    found = {pin for pin in CHOSEN if pin in fields}
    for text in fields:
        found |= {pin for encoded in hashed_in(text) if (pin := found_by_hash(encoded))}
    found |= {pin for sealed in sealed_in(dump).values() if (pin := found_by_hash(sealed))}
    found |= found_by_digest(dump, cards)
    found |= set(found_by_key(dump, keys_to_guess(cards)).values())
    with_key = found_by_key(dump, [KEYS["v1"]])
    measured(f"{len(found)} found; with the key {len(with_key)} of {len(cards)}")
    assert not found
    assert "$argon2" not in "".join(form for text in fields for form in raw_forms(text))
    # The same attack, with the key: so it would have found them.
    assert with_key == dict(zip(cards, CHOSEN, strict=True))


def test_the_attack_finds_what_is_kept_badly() -> None:
    """What the dump is searched for is found where it does stand there."""
    card = "4990000000000003"
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("2580")
    for text in (hashed, b64encode(hashed.encode()).decode(), hashed.encode().hex()):
        assert [found_by_hash(one) for one in hashed_in(text)][:1] == ["2580"]
    for digest in (
        hashlib.sha256(b"2580").hexdigest(),
        hashlib.sha1(f"{card}2580".encode()).hexdigest(),  # noqa: S324 what the attacker tries
        b64encode(hmac.digest(card.encode(), b"2580", "sha512")).decode(),
        b64encode(bytes(12) + hashlib.md5(b"2580").digest()).decode(),  # noqa: S324 as above
    ):
        assert found_by_digest(f"1\tv1:{digest}\t\n", [card]) == {"2580"}


# --- Writing to the database ------------------------------------------------------------------


def put(portal: Portal, person: Person, sealed: str) -> None:
    """Write over what stands on the card."""
    portal.database.rows(
        "UPDATE members_card SET sealed_pin = %s WHERE number = %s", sealed, person.card_number
    )


@pytest.mark.attack("sealed PIN copied to another card", "opens nothing")
def test_a_copied_row_verifies_nothing(start: Start, measured: Callable[[str], None]) -> None:
    portal = start(**keys("v1"), **CHEAP)
    mine, theirs, _third = members(portal, under="v1")
    sealed = sealed_in(dump_of(portal.database))
    # I know my own PIN, and put it on another member's card.
    put(portal, theirs, sealed[mine.card_number])
    opened = [pin for pin in CHOSEN if opens(portal, theirs, pin)]
    measured(f"{len(opened)} of {len(CHOSEN)} PINs opened it")
    assert not opened
    put(portal, theirs, sealed[theirs.card_number])
    assert opens(portal, theirs, CHOSEN[1])


@pytest.mark.attack("old sealed PIN put back on its card, keys rotated since", "opens nothing")
def test_a_row_of_before_the_rotation_opens_nothing(
    start: Start, measured: Callable[[str], None]
) -> None:
    """Without a rotation in between it does open: the seal binds to the card, not to the day."""
    portal = start(**keys("v2"), **CHEAP)
    [person, *_others] = members(portal, under="v1")
    yesterday = sealed_in(dump_of(portal.database))[person.card_number]
    manage({**portal.env, **keys("v2", "v1")}, "rotate_pin_keys")
    assert opens(portal, person, CHOSEN[0])
    put(portal, person, yesterday)
    opened = opens(portal, person, CHOSEN[0])
    measured("opened" if opened else "refused")
    assert not opened
