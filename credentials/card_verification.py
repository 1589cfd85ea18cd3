"""The card at the ATM: the lender's card host asks whether card and PIN go together.

The same count and the same suspension as at the portal, to the digit, from both sides at once:
the attempt goes through `attempts`, like a sign-in. Answers are response codes of ISO 8583, field
39. A question has a trace number of the card host's; under one trace number a PIN is judged at
most once, and the answer that was written first stands:

    ask → (slot) → reserve → verify → settle and answer, in one transaction

A question that a crash left unanswered is given up after a minute: it is answered UNAVAILABLE,
for good. It is never judged again, since the attempt may be counted already, and whoever types a
PIN once must not be charged twice by us; asking anew, under a new trace number, is the card
host's to decide. Given up in mid-judgement, a question is not approved by whoever comes late.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from credentials import audit, suspension
from credentials.attempts import ABANDONED_AFTER, Attempt, accounts, reserve, settle_success
from credentials.codes import digest, same
from credentials.models import ApiKey, CardVerification, Event
from credentials.refusals import BUSY, Refusal, Why
from members import pins
from members.hashing import NoSlot, slots, verify_nobody
from members.models import Way

# For so long a trace number is known again; the record keeps what happened for ever.
TRACES_KEPT = timedelta(days=30)


class Code(StrEnum):
    """ISO 8583 field 39, as far as this question can be answered."""

    APPROVED = "00"
    NO_SUCH_CARD = "14"
    WRONG_PIN = "55"
    RESTRICTED = "62"
    TRIES_EXCEEDED = "75"
    UNAVAILABLE = "91"


OTHER_CONTENTS = Refusal(Why.TAKEN, reason="This trace number came before with other contents.")
STILL_RUNNING = Refusal(Why.BUSY, retry_after=1, reason="This trace number is being answered.")


def verify(
    *, by: ApiKey, card_number: str, pin: str, terminal: str, trace: str, source: str
) -> Code | Refusal:
    """Answer one question of the card host, which asks with the key `by`.

    `trace` is unique for each question of the key's client. `source`: the client's address.

    Refused: OTHER_CONTENTS where the trace number came before with another card, PIN or terminal;
    STILL_RUNNING where the first of two equal questions is not answered yet; BUSY, with nothing
    charged or written, where no hashing slot was free. The last two may be asked again as they are.
    """
    contents = [
        digest("trace", str(by.client_id), trace, terminal, fingerprint)
        for fingerprint in pins.fingerprints(pin, card_number=card_number)
    ]
    asked = CardVerification.objects.filter(client_id=by.client_id, trace=trace)
    earlier = asked.first()
    if earlier:
        return _answer_again(earlier, contents)
    try:
        # The slot first: who is turned away for want of one leaves no trace.
        with slots.take() as hashing:
            question = _ask(by, trace, terminal, contents[0])
            if question:
                attempt = reserve(Way.ATM, card_number)
                matched = (
                    hashing(pins.matches, attempt.sealed_pin, pin, card_number=card_number)
                    if attempt
                    else hashing(verify_nobody, pin)
                )
    except NoSlot:
        return BUSY
    if question is None:
        return _answer_again(asked.get(), contents)
    return _settle(question, by, attempt, matched, card_number, source)


def _ask(by: ApiKey, trace: str, terminal: str, contents: str) -> CardVerification | None:
    """Write the question down; None where an equal trace number was faster."""
    try:
        with transaction.atomic():
            return CardVerification.objects.create(
                client_id=by.client_id, trace=trace, terminal=terminal, request_digest=contents
            )
    except IntegrityError:
        return None


def _answer_again(earlier: CardVerification, contents: list[str]) -> Code | Refusal:
    if not any(same(earlier.request_digest, one) for one in contents):
        return OTHER_CONTENTS
    if not earlier.response_code:
        unanswered = CardVerification.objects.filter(pk=earlier.pk, response_code="")
        abandoned = unanswered.filter(asked_at__lt=Now() - ABANDONED_AFTER)
        abandoned.update(response_code=Code.UNAVAILABLE)
        earlier.refresh_from_db()
    return Code(earlier.response_code) if earlier.response_code else STILL_RUNNING


def _answer(question: CardVerification, code: Code) -> Code:
    """Write the answer, in the caller's transaction; return the one that stands."""
    unanswered = CardVerification.objects.filter(pk=question.pk, response_code="")
    if unanswered.update(response_code=code):
        return code
    question.refresh_from_db()
    return Code(question.response_code)


def _settle(
    question: CardVerification,
    by: ApiKey,
    attempt: Attempt | None,
    matched: bool,
    card_number: str,
    source: str,
) -> Code:
    """Settle, record and answer in one transaction, so that a crash leaves all of it or nothing."""
    how: dict[str, Any] = {
        "terminal": question.terminal,
        "client": by.client.name,
        "key": by.prefix,
    }
    if attempt and matched:
        with transaction.atomic():
            if settle_success(attempt) and _answer(question, Code.APPROVED) is Code.APPROVED:
                audit.record(
                    Event.Act.CARD_VERIFIED,
                    by=audit.CARD_HOST,
                    whom=attempt.whom,
                    source=source,
                    **how,
                )
                return Code.APPROVED
            # Too late: the attempt stays counted, and what was not told is not on record.
            transaction.set_rollback(True)
    with transaction.atomic():
        suspended = suspension.fail(
            attempt,
            way=Way.ATM,
            name=card_number,
            source=source,
            act=Event.Act.CARD_REFUSED,
            **how,
        )
        if attempt and not matched:
            code = Code.TRIES_EXCEEDED if suspended else Code.WRONG_PIN
        else:
            code = _not_judged(attempt, card_number)
        return _answer(question, code)


def _not_judged(attempt: Attempt | None, card_number: str) -> Code:
    """Say why a PIN was not judged, or came too late.

    The card host may know; visitors of the portal may not.
    """
    user = accounts(Way.ATM, card_number).first()
    if user is None:
        return Code.NO_SUCH_CARD
    if not user.is_active:
        return Code.RESTRICTED
    if attempt and not suspension.is_in_force(user):
        # A secret of the member changed in the meantime: nothing is wrong with card or PIN.
        return Code.UNAVAILABLE
    # Suspended, or every attempt that the limit allows is being judged at this moment.
    return Code.TRIES_EXCEEDED


def forget_old_traces() -> None:
    """Delete the questions whose trace numbers need not be known again (the worker does)."""
    CardVerification.objects.filter(asked_at__lt=Now() - TRACES_KEPT).delete()
