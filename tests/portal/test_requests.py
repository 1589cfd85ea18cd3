"""What a request says of its encoding decodes nothing: it is UTF-8, or it is refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from portal.wsgi import application

pytestmark = pytest.mark.django_db


def status(content_type: str, query: str = "q=%5cud800%2bAAA-") -> str:
    """Return how the application answers, as gunicorn would have it."""
    said: list[str] = []

    def start_response(line: str, headers: Any, exc_info: Any = None) -> Any:
        said.append(line)

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/login/",
        "QUERY_STRING": query,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": "3",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_X_FORWARDED_PROTO": "https",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(b"a=b"),
        "wsgi.errors": BytesIO(),
    }
    answer = application(environ, start_response)
    b"".join(answer)
    answer.close()
    return said[0][:3]


@pytest.mark.parametrize(
    "charset",
    ["undefined", "hex", "idna", "punycode", "utf-7", "utf-16", "unicode_escape", "rot13", "a\0b"],
)
def test_other_encodings_are_a_400_before_anything_is_decoded(charset: str) -> None:
    assert status(f"application/x-www-form-urlencoded; charset={charset}") == "400"


def test_parameters_that_cannot_be_read_are_a_400() -> None:
    assert status("application/x-www-form-urlencoded; charset*=nonsense''x") == "400"


@pytest.mark.parametrize("said", ["", "; charset=utf-8", "; charset=UTF-8", "; charset=nonsense"])
def test_utf_8_and_names_of_no_encoding_are_read(said: str) -> None:
    # Read as far as the missing token.
    assert status(f"application/x-www-form-urlencoded{said}") == "403"
