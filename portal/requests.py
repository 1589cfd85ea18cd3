"""How a request is taken up: by its bytes, whatever it says of their encoding.

Django decodes the address with the charset that the Content-Type names, as soon as it sees the
request: before any middleware, so that a codec that decodes no text is an error of ours. Here the
charset decodes nothing; portal.middleware.ReadableRequests answers 400 to all but UTF-8.
"""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """Django's, but for the charset."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        said = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(said)
        except ValueError:
            self.content_type, self.content_params = "", {}
