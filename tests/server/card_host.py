"""The lender's card host, as it asks the running portal."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from itertools import count
from typing import Any

from credentials.codes import digest
from tests.server.portal import Person, Portal
from tests.server.visitor import HOST, Answer

ADDRESS = "/api/v1/card-verifications"
_traces = count(1)


class CardHost:
    """A client with a key of its own, put straight into the portal's database."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        # The tests' settings and the running portal have the same SECRET_KEY.
        self._key = "msp_cardhost_" + "k" * 43
        [(client,)] = portal.database.rows(
            "INSERT INTO credentials_apiclient (name, is_active) VALUES (%s, %s) RETURNING id",
            "card host",
            True,
        )
        portal.database.rows(
            "INSERT INTO credentials_apikey"
            " (client_id, prefix, key_digest, scope, created_by, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, '2999-12-31 00:00:00')",
            client,
            self._key[:12],
            digest("api-key", self._key),
            "card-verifications",
            "staff:tests",
        )

    def ask(self, person: Person, pin: str, trace: str = "") -> Answer:
        """Ask about a person's card, under a new trace number where none is given."""
        question = {
            "card_number": person.card_number,
            "pin": pin,
            "terminal": "ATM-0001",
            "trace": trace or f"trace{next(_traces)}",
        }
        headers = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "192.0.2.10",
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
        }
        connection = HTTPConnection("127.0.0.1", self._portal.port, timeout=60)
        try:
            connection.request("POST", ADDRESS, json.dumps(question), headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()


def code_of(answer: Answer) -> str:
    """Return the response code of an answer."""
    told: dict[str, Any] = json.loads(answer.text)
    return str(told["response_code"])
