"""What the hostile send: texts, bodies, headers, addresses, methods."""

from __future__ import annotations

import json
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

TEXTS = [
    "",
    "\0",
    "abc\0def",
    "\u202e12345678\u202c",
    "\ufdfa" * 60,
    "𝟙𝟚𝟛𝟜" * 4,
    "１２３４",
    "a" + "\u0301" * 500,
    "{{ settings.SECRET_KEY }}{% debug %}",
    "' OR 1=1; --",
    "<script>alert(1)</script>",
    "%s%n%(x)s{0}",
    "9" * 4400,
    "1e400",
    "-1",
    "0",
    "9223372036854775808",
    "2147483648",
    "99999999999999999999",
    "²",
    "٣",
    "NaN",
    "true",
    "None",
    "[]",
    "9999-12-31T23:59",
    "0001-01-01T00:00",
    "10000-01-01",
    "2026-02-30",
    "\r\nX-Injected: 1",
    "//evil.example",
    "https:evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "http://[",
    "/" * 3000,
]
BYTES = [b"\xed\xa0\x80abc", b"\xff\xfe\x80", b"\xc0\xaf\xe0\x80\xaf", b"\xf8\x88\x80\x80\x80"]
QUERY = [
    *("p", "q", "o", "e", "all", "page", "which", "stage", "next", "number", "_popup", "_to_field"),
    *("_changelist_filters", "member", "staff", "act", "since", "until", "groups__id__exact"),
    *("is_active__exact", "username__contains", "pk__in", "id__gt", "x__y__z", "member__pin", ""),
]
METHODS = ["GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"]
CHARSETS = ["", "utf-8", "utf-7", "utf-16", "shift_jis", "unicode_escape", "idna", "undefined", "x"]
HEADERS = [
    *("HTTP_ACCEPT_LANGUAGE", "HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"),
    *("HTTP_REFERER", "HTTP_ORIGIN", "HTTP_USER_AGENT", "HTTP_AUTHORIZATION", "HTTP_RANGE"),
    *("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING"),
    *("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_FORWARDED_HOST", "HTTP_CONTENT_ENCODING"),
    *("HTTP_EXPECT", "HTTP_COOKIE", "CONTENT_LENGTH", "REMOTE_ADDR"),
]
_HEADER_TEXTS = [
    *("ja" * 3000, "en;q=x", "*;q=9" * 200, "a.b.c", "-1", "9" * 4400, "127.0.0.1:99999", "[::1"),
    *("1.2.3.4, " * 500, "::ffff:1.2.3.4%eth0", "https", "Bearer \xff", "Basic =", "bytes=9-1"),
    *(
        "a=b; " * 500,
        '"\\000"',
        "Mon, 99 Foo 99999 99:99:99 GMT",
        'W/"',
        "fe80::1%1",
        "１.２.３.４",
    ),
]

texts = st.one_of(
    st.sampled_from(TEXTS).map(str.encode),
    st.sampled_from(BYTES),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=40),
)


def quoted(value: bytes) -> str:
    """Return every byte percent-encoded, but for letters and digits."""
    return quote_from_bytes(value, safe="")


def pairs(names: list[str]) -> st.SearchStrategy[str]:
    """Return fields as in an address or an urlencoded body; some of them twice."""
    name = st.one_of(st.sampled_from(names).map(str.encode), texts)
    one = st.tuples(name, texts).map(lambda pair: f"{quoted(pair[0])}={quoted(pair[1])}")
    few = st.lists(one, max_size=8).map("&".join)
    odd = st.sampled_from(
        ["&".join(f"f{n}=1" for n in range(200)), "&&&=&=", "%", "%zz=%u1234", "a" * 3000]
    )
    return st.one_of(few, few, few, few, odd)


def _multipart(names: list[str]) -> st.SearchStrategy[tuple[str, bytes]]:
    boundary = st.sampled_from(["B", "", "B" * 71, '"', "B B", "--", "é", "B;charset=x", "B\t"])
    heads = st.sampled_from(
        [
            'form-data; name="{}"',
            'form-data; name="{}"; filename="x.txt"',
            "form-data; name={}; filename*=UTF-8''%ff%00",
            'form-data; name="{}"; filename=""\r\nContent-Transfer-Encoding: base64',
            'form-data; name="{}"\r\nContent-Type: text/plain; charset=utf-7',
            "form-data",
            "x" * 2000,
        ]
    )
    part = st.tuples(heads, st.sampled_from(names), texts)

    def body(made: tuple[str, list[tuple[str, str, bytes]], bool]) -> tuple[str, bytes]:
        bound, parts, closed = made
        raw = bound.encode()
        lines = [
            b"--%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n"
            % (raw, head.replace("{}", name).encode(), value)
            for head, name, value in parts
        ]
        end = b"--%s--\r\n" % raw if closed else b""
        return f"multipart/form-data; boundary={bound}", b"".join(lines) + end

    return st.tuples(boundary, st.lists(part, max_size=4), st.booleans()).map(body)


_DEEP = [b"[" * 10_000, b'{"a":' * 10_000, b'{"pin": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"]
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["card_number", "pin", "terminal", "trace", "x"]), inner, max_size=5
        ),
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


class Large(bytes):
    """A field of a megabyte; said in short where an example is shown."""

    def __new__(cls, name: str) -> Large:
        return super().__new__(cls, name.encode() + b"=" + b"9" * 2**20)

    def __repr__(self) -> str:
        return f"<{self[:20]!r}… {len(self)} bytes>"


def bodies(names: list[str]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Return kinds of content, each with a body that is or is not of that kind."""
    form = "application/x-www-form-urlencoded"
    charset = st.sampled_from(CHARSETS).map(lambda name: f"; charset={name}" if name else "")
    typed = pairs(names).map(str.encode)
    kinds = ["", "text/plain", "application/json", "multipart/form-data", "x/" + "y" * 300, "é"]
    return st.one_of(
        st.tuples(st.just(form), typed),
        st.tuples(st.just(form), typed),
        st.tuples(charset.map(lambda end: form + end), typed),
        _multipart(names),
        _multipart(names),
        st.tuples(st.just(form), st.sampled_from(names).map(Large)),
        st.tuples(st.just("application/json"), st.one_of(_json, st.sampled_from(_DEEP), texts)),
        st.tuples(st.sampled_from(kinds), st.one_of(typed, texts)),
    )


headers = st.dictionaries(
    st.sampled_from(HEADERS),
    st.one_of(
        st.sampled_from(_HEADER_TEXTS),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40),
    ),
    max_size=3,
)
methods = st.one_of(st.sampled_from(METHODS), st.sampled_from(["FOO", "get", "CONNECT", "POST "]))
