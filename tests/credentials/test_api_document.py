"""The API against its own document, with questions that schemathesis makes up."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import given
from pytest_django.fixtures import Settings
from schemathesis import GenerationMode

from credentials import api_keys
from credentials.models import ApiClient, ApiKey
from tests.factories import StaffFactory
from tests.settings import ALLOWED_HOSTS

# Each request ends as a real one does: its connection is closed or kept, no transaction is open.
pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = 40


class BehindProxy:
    """The portal as a WSGI application, over TLS and behind the one proxy that tests trust."""

    def __init__(self) -> None:
        self._portal = WSGIHandler()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ |= {
            "HTTP_HOST": ALLOWED_HOSTS[0],
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_FOR": "203.0.113.7",
        }
        return self._portal(environ, start_response)


@pytest.fixture
def document(transactional_db: None, settings: Settings) -> schemathesis.BaseSchema:
    settings.SOURCE_FAILURE_LIMIT = "1000000/hour"
    new = api_keys.make(
        client=ApiClient.objects.create(name="card host"),
        scope=ApiKey.Scope.CARD_VERIFICATIONS,
        days=None,
        reason="tests",
        by=StaffFactory(is_superuser=True),
    )
    assert isinstance(new, api_keys.NewKey)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", BehindProxy())
    schema.config.update(headers={"Authorization": f"Bearer {new.text}"})
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_does_what_its_document_says(
    document: schemathesis.BaseSchema, mode: GenerationMode
) -> None:
    """Asked as the document says, and asked otherwise: the answers are those it describes."""
    met: set[int] = set()

    @given(case=document.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        response = case.call_and_validate()
        met.add(response.status_code)
        assert response.headers["cache-control"] == ["no-store"]
        assert "set-cookie" not in response.headers

    ask()
    assert met == ({200} if mode is GenerationMode.POSITIVE else {400}) | (met & {409, 415})
