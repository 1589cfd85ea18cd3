"""What goes in and out of the API, and each way it can end: what the OpenAPI document says."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from credentials.card_verification import Code
from credentials.problems import MEDIA_TYPE


def _form(pattern: str, shortest: int, longest: int, description: str, **more: Any) -> Any:
    return Field(
        pattern=pattern,
        min_length=shortest,
        max_length=longest,
        description=description,
        **more,
    )


class Question(BaseModel):
    """What the card host asks. Nothing here is corrected: a machine sends what it means."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True, title="CardVerificationQuestion"
    )

    card_number: Annotated[
        str, _form(r"^[0-9]{16}$", 16, 16, "Sixteen digits (field 2).", repr=False)
    ]
    pin: Annotated[
        str,
        _form(
            r"^[0-9]{4}$",
            4,
            4,
            "Four digits, as typed at the terminal.",
            repr=False,
            json_schema_extra={"writeOnly": True, "format": "password"},
        ),
    ]
    terminal: Annotated[str, _form(r"^[A-Za-z0-9._-]{1,32}$", 1, 32, "The terminal (field 41).")]
    trace: Annotated[
        str,
        _form(
            r"^[A-Za-z0-9._-]{1,64}$",
            1,
            64,
            "The trace number: unique for each question for 30 days. Field 11 alone repeats: "
            "put the date and time of transmission (field 7) before it.",
        ),
    ]


class Answer(BaseModel):
    """What the card host is told."""

    model_config = ConfigDict(title="CardVerificationAnswer")

    trace: Annotated[str, Field(description="The trace number of the question.")]
    response_code: Annotated[Code, Field(description="ISO 8583, field 39.")]


_SECONDS = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}
_RETRY_AFTER = {"Retry-After": _SECONDS}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_WITH_ERRORS = {
    **_PROBLEM,
    "properties": {
        **_PROBLEM["properties"],
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_WITH_CODE = {
    **_PROBLEM,
    "required": [*_PROBLEM["required"], "response_code"],
    "properties": {**_PROBLEM["properties"], "response_code": {"const": "91"}},
}


def _ends(
    description: str, schema: dict[str, Any] = _PROBLEM, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": schema}},
        **({"headers": headers} if headers else {}),
    }


VERIFY_CARD: dict[str, Any] = {
    "operation_id": "verifyCard",
    "summary": "Verify a card and its PIN",
    "description": (
        "Counts as a sign-in does: wrong PINs here and at the portal are one count, and suspend "
        "the member. A trace number is judged once: the same question again gets the same answer."
    ),
    "openapi_extra": {
        "responses": {
            200: {
                "description": (
                    "Answered, for good. 00 approved; 14 no such card; 55 wrong PIN; "
                    "62 restricted: membership closed; 75 PIN tries exceeded: suspended; "
                    "91 given up unanswered: ask with a new trace number."
                )
            },
            400: _ends("The question is malformed. Nothing was counted.", _WITH_ERRORS),
            401: _ends(
                "The key is missing, unknown, expired or revoked.",
                headers={"WWW-Authenticate": {"schema": {"type": "string"}}},
            ),
            403: _ends("The key is not for this, or the request came over plain HTTP."),
            409: _ends(
                "The trace number came before: with other contents, or, where Retry-After is "
                "given, it is being answered.",
                headers=_RETRY_AFTER,
            ),
            413: _ends("The body is too large."),
            415: _ends("The body is not application/json."),
            429: _ends(
                "Too many requests without a valid key from this address.", headers=_RETRY_AFTER
            ),
            503: _ends(
                "Not answered now; ask again as it is, with the same trace number.",
                _WITH_CODE,
                _RETRY_AFTER,
            ),
        }
    },
}
