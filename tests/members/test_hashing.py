"""Argon2id as the portal uses it, and the slots that bound it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import check_password, make_password

from members import hashing
from members.hashing import NoSlot, Slots


def test_secret_matches_its_own_hash_only() -> None:
    encoded = hashing.hash_secret("four words in a row")
    assert hashing.verify_secret(encoded, "four words in a row")
    assert not hashing.verify_secret(encoded, "four words in a rox")


@pytest.mark.parametrize("encoded", ["", "!", "nonsense", "$argon2id$v=19$m=64", "pbkdf2$x"])
def test_what_is_no_hash_matches_nothing(encoded: str) -> None:
    assert not hashing.verify_secret(encoded, "")


def test_nobody_is_never_verified() -> None:
    for secret in ("", "nobody's", "2580"):
        assert not hashing.verify_nobody(secret)


def test_hashes_are_argon2id_with_the_written_parameters() -> None:
    kind, parameters = (
        hashing.hash_secret("x").split("$")[1],
        hashing.hash_secret("x").split("$")[3],
    )
    assert kind == "argon2id"
    assert parameters.endswith("t=2,p=1")
    assert hashing.RECOMMENDED_MEMORY_KIB == 19 * 1024


def test_passwords_are_hashed_in_the_same_way() -> None:
    encoded = make_password("four words in a row")
    assert encoded.startswith("argon2$argon2id$")
    assert ",t=2,p=1$" in encoded
    assert check_password("four words in a row", encoded)


def test_password_column_is_verified_and_never_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = make_password("four words in a row")
    assert hashing.verify_password(stored, "four words in a row")
    assert not hashing.verify_password(stored, "four words in a rox")
    for nothing in ("", make_password(None), "pbkdf2_sha256$1$x$y"):
        hashed: list[str] = []
        monkeypatch.setattr(hashing, "verify_nobody", lambda given, to=hashed: to.append(given))
        assert not hashing.verify_password(nothing, "")
        assert hashed == [""]


def test_no_more_hashings_run_at_once_than_there_are_slots() -> None:
    slots = Slots(2, waiting=20, seconds=10)
    at_once, most = 0, 0
    lock = threading.Lock()
    everybody = threading.Barrier(2, timeout=10)

    def hash_something(_turn: int) -> None:
        nonlocal at_once, most
        with slots.take():
            with lock:
                at_once += 1
                most = max(most, at_once)
            # Both slots are taken before either is given back.
            everybody.wait()
            with lock:
                at_once -= 1

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(hash_something, range(20)))
    assert most == 2


@pytest.mark.django_db
def test_whoever_finds_no_slot_in_time_is_turned_away() -> None:
    slots = Slots(1, waiting=5, seconds=0.01)
    with slots.take(), pytest.raises(NoSlot), slots.take():
        pytest.fail("two slots where there is one")
    with slots.take():
        pass


@pytest.mark.django_db
def test_whoever_finds_the_queue_full_is_turned_away_at_once() -> None:
    slots = Slots(1, waiting=1, seconds=30)
    waiting, served = threading.Event(), threading.Event()

    def wait() -> None:
        waiting.set()
        with slots.take():
            served.set()

    with slots.take():
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert waiting.wait(10)
        while slots._queue.acquire(blocking=False):
            slots._queue.release()
        with pytest.raises(NoSlot), slots.take():
            pytest.fail("a third one in a queue of one")
    assert served.wait(10)
    waiter.join()


@pytest.mark.django_db
def test_slot_is_given_back_when_hashing_fails() -> None:
    slots = Slots(1, waiting=1, seconds=0.01)
    for _ in range(5):
        with pytest.raises(RuntimeError), slots.take():
            raise RuntimeError
    with slots.take():
        pass
