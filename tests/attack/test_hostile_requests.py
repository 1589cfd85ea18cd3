"""Requests that nobody's browser makes, at every address, over bare sockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.places import addresses, field_names, filled_in
from tests.server.portal import PIN, Portal
from tests.server.visitor import HOST

pytestmark = pytest.mark.server

_TEXTS = [b"%00", b"%ed%a0%80", b"%ff%fe", "１２".encode(), b"%e2%80%ae1", b"9" * 4400, b"-1"]
_ODD_LENGTHS = [b"-1", b"x", b"9" * 30, b"9" * 4400, b"1, 1", b"0x10", "²".encode(), b""]
_CHARSETS = [b"utf-7", b"undefined", b"hex", b"idna", b"utf-16", b'"', b"\x00"]
_HEADS = [
    *(b"Accept-Language: " + b"ja;q=x," * 900, b"Accept-Language: ../../ja", b"Host: evil.example"),
    *(b"Cookie: " + b"a=b;" * 1900, b"Cookie: __Host-session=\xff\xfe", b"X-Forwarded-For: \xff"),
    *(b"X-Forwarded-For: " + b"1," * 3000, b"Content-Type: multipart/form-data; boundary=\xff"),
    *(b"Content-Type: x; charset*=y''z", b"Transfer-Encoding: chunked", b"Expect: 100-continue"),
    *(b"Range: bytes=9-1", b"Referer: http://[", b"Origin: null", b"If-Modified-Since: never"),
    b"\r\n".join(b"X-%d: 1" % n for n in range(300)),
]


def _request(path: bytes, *heads: bytes, method: bytes = b"POST", body: bytes = b"") -> bytes:
    lines = [
        b"%s %s HTTP/1.1" % (method, path),
        b"Host: " + HOST.encode(),
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-For: 203.0.113.7",
        b"Connection: close",
        *heads,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _at(path: bytes, typed: bytes) -> Iterator[bytes]:
    """Yield what is sent to one address."""
    form = b"Content-Type: application/x-www-form-urlencoded"
    length = b"Content-Length: %d"
    yield _request(path, form, length % len(typed), body=typed)
    for text in _TEXTS:
        yield _request(path + b"?next=" + text + b"&p=" + text + b"&q=" + text, method=b"GET")
    for charset in _CHARSETS:
        kind = b"Content-Type: multipart/form-data; boundary=B; charset=" + charset
        yield _request(path + b"?q=%5cud800", kind, length % 3, body=b"a=b")
    for odd in _ODD_LENGTHS:
        yield _request(path, form, b"Content-Length: " + odd, body=b"a=b")
    for head in _HEADS:
        yield _request(path, head, method=b"GET")
    for method in (b"PUT", b"PATCH", b"DELETE", b"TRACE", b"FOO", b"CONNECT", b"get", b"P\xffST"):
        yield _request(path, method=method)
    # A body without an end, of no length at all, cut off, larger than any form.
    yield _request(path, form, b"Transfer-Encoding: chunked", body=b"zz\r\n")
    yield _request(path, form, b"Transfer-Encoding: chunked", body=b"3\r\na=b\r\n0\r\n\r\n")
    yield _request(path, form, b"Transfer-Encoding: gzip, chunked", body=b"1\r\n")
    yield _request(path, form, length % 5, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    yield _request(path, form, length % 100, body=b"a=b")
    yield _request(path, form, length % 2**20, body=b"a=" + b"9" * 2**20)


_BROKEN = [
    *(b"", b"\r\n", b"\0" * 2000, b"GET", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01"),
    *(b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"A" * 70_000),
    *(
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
    ),
]


def _answer(port: int, sent: bytes) -> int:
    """Send bytes, say that this was all, and return the status; 0 where nothing came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            # Hung up on in the middle: what it said first is still to be read.
            pass
        said = b""
        try:
            while len(said) < 4096 and (more := connection.recv(4096)):
                said += more
        except ConnectionError:
            pass
    found = re.match(rb"HTTP/1\.[01] (\d{3})", said)
    return int(found[1]) if found else 0


@pytest.mark.attack("hostile requests at every form, over bare sockets", "0 answers of 500")
def test_no_request_is_an_error_of_ours(
    start: Callable[..., Portal], measured: Callable[[str], None]
) -> None:
    portal = start()
    [person] = portal.people(1)
    typed = b"&".join(name.encode() + b"=%ed%a0%80%00" for name in field_names())
    sent = list(_BROKEN)
    for turn, address in enumerate(addresses()):
        these = list(_at(filled_in(address, "1").encode(), typed))
        # A stranger sees of the staff's and the card host's pages that they are closed: of each
        # of those a part, every time another one.
        sent += these[turn % 8 :: 8] if address.startswith(("/admin/", "/api/")) else these
    answers: dict[int, list[bytes]] = {}
    for one in sent:
        answers.setdefault(_answer(portal.port, one), []).append(one)
    errors = [one[:300] for status, these in answers.items() if status >= 500 for one in these]
    measured(f"{len(sent)} requests, {len(errors)} answers of 500")
    assert not errors, errors[:5]
    assert len(answers.get(200, [])) > 100, "none of it got as far as a page"
    visitor = portal.visitor("203.0.113.8")
    visitor.get("/login/")
    signed_in = visitor.post("/login/", card_number=person.card_number, pin=PIN)
    assert signed_in.status == 302, "nobody was charged for it"
    visitor.close()
