"""What the domain's rules make of an event: one account, in plain figures, with a clock of its own.

Written from the rules (docs/adr/0002, README's policies), not from the code: how many were
judged, when a suspension begins and ends, what ends the open sessions, which code and which
ticket is good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from members.models import Member

LIMIT = 2
IN_A_ROW = 2
LIFETIME = LIMIT * IN_A_ROW
SUSPENDED_FOR = 24 * 3600
CODE_LIFE = 600
CODE_TRIES = 2
MAILS = 3
TICKET_LIFE = 900
PREPARED_FOR = 24 * 3600
TICKET_TRIES = 2
HOUR = 3600
# What nothing takes longer than: an attempt that is older was left by a crash.
CRASHED_AFTER = 60


@dataclass(eq=False)
class Attempt:
    """A secret that was typed and judged; `end` is the account's when it was begun."""

    right: bool
    end: int


@dataclass
class Asked:
    """A registration under way: the last browser that asked, and the last code that was mailed."""

    browser: str = ""
    waits: bool = False
    code: str = ""
    sent: float = -inf
    end: int = -1
    confirmed: float = -inf
    used: bool = False
    tries: int = 0
    mails: int = 0
    # Since when wrong codes, and mails, are counted; never: nobody has asked yet.
    tries_since: float = -inf
    mails_since: float = -inf

    def confirmed_by(self, browser: str) -> bool:
        return self.browser == browser and self.confirmed > -inf and not self.used

    def anew(self, browser: str, now: float) -> None:
        """The code and what came of it go; the counts stay."""
        if self.tries_since == -inf:
            self.tries_since = self.mails_since = now
        self.browser, self.waits = browser, True
        self.code, self.sent, self.end = "", -inf, -1
        self.confirmed, self.used = -inf, False


@dataclass(eq=False)
class Ticket:
    """A PIN re-set: `started` when staff saw the document, and not before."""

    digits: str
    prepared: float
    started: float = -inf
    tries: int = 0


@dataclass(eq=False)
class Account:
    """One member's."""

    member: Member
    pin: str
    web_id: str = ""
    password: str = ""
    closed: bool = False
    # Grows with all that ends the open sessions.
    end: int = 0
    judged: list[Attempt] = field(default_factory=list)
    failures: list[Attempt] = field(default_factory=list)
    judged_at: float = -inf
    suspended_until: float = -inf
    in_a_row: int = 0
    asked: Asked = field(default_factory=Asked)
    ticket: Ticket | None = None
    old_codes: list[str] = field(default_factory=list)
    old_tickets: list[str] = field(default_factory=list)
    old_pins: list[str] = field(default_factory=list)

    # --- Signing in ---

    def is_suspended(self, now: float) -> bool:
        return now < self.suspended_until

    def is_open(self, now: float) -> bool:
        """Neither closed nor suspended."""
        return not self.closed and not self.is_suspended(now)

    def begin(self, *, right: bool, now: float) -> Attempt | None:
        """Count an attempt; None where it is not to be judged."""
        if not self.is_open(now) or len(self.judged) >= LIMIT:
            return None
        attempt = Attempt(right, self.end)
        self.judged.append(attempt)
        self.failures.append(attempt)
        self.judged_at = now
        return attempt

    def opens(self, attempt: Attempt | None, now: float) -> bool:
        """Whether this attempt opens, now that it is judged; it clears what came before it."""
        if not attempt or not attempt.right or attempt.end != self.end or not self.is_open(now):
            return False
        for attempts in (self.judged, self.failures):
            if attempt in attempts:
                del attempts[: attempts.index(attempt) + 1]
        self.suspended_until, self.in_a_row = -inf, 0
        return True

    def fails(self, attempt: Attempt | None, now: float) -> bool:
        """Whether this failure suspends: the last one allowed, or after a crash at the limit."""
        if not self.is_open(now) or len(self.judged) < LIMIT:
            return False
        last = attempt in self.judged[LIMIT - 1 :] if attempt else False
        if not last and now - self.judged_at < CRASHED_AFTER:
            return False
        self.in_a_row += 1
        self.suspended_until = inf if self.in_a_row >= IN_A_ROW else now + SUSPENDED_FOR
        self.judged.clear()
        self.end += 1
        return True

    def may_be_lifted(self, *, in_person: bool, now: float) -> bool:
        return self.is_suspended(now) and (in_person or self.suspended_until < inf)

    def lifted(self, *, in_person: bool) -> None:
        """Staff lifted it; only in person the row of suspensions begins anew."""
        self.judged.clear()
        self.suspended_until = -inf
        if in_person:
            self.in_a_row = 0
            self.failures.clear()

    def close(self) -> None:
        """The membership ends: the card, both ways in, what is under way."""
        self.closed = True
        self.end += 1
        if self.ticket:
            self.old_tickets.append(self.ticket.digits)
        self.ticket, self.pin, self.password = None, "", ""

    # --- Registering ---

    def gets_code(self, now: float) -> bool:
        """Count a mail that the worker writes; whether a code is in it."""
        asked = self.asked
        if not asked.waits or self.closed:
            asked.waits = False
            return False
        asked.waits = False
        if now - asked.mails_since > HOUR:
            asked.mails, asked.mails_since = 0, now
        if asked.mails >= MAILS:
            return False
        asked.mails += 1
        return not self.web_id and not self.is_suspended(now)

    def takes_code(self, browser: str, code: str, now: float) -> bool:
        """Count a code that came back; whether it is right."""
        asked = self.asked
        if asked.browser != browser:
            return False
        if now - asked.tries_since > HOUR:
            asked.tries, asked.tries_since = 0, now
        if asked.tries >= CODE_TRIES:
            return False
        asked.tries += 1
        lives = now - asked.sent < CODE_LIFE and asked.confirmed == -inf
        if not (lives and code == asked.code):
            return False
        asked.confirmed = now
        return True

    def may_choose(self, browser: str, now: float) -> bool:
        """Whether this browser may choose Web-ID and password now."""
        asked = self.asked
        return (
            asked.browser == browser
            and now - asked.confirmed < CODE_LIFE
            and not asked.used
            and asked.end == self.end
            and self.is_open(now)
            and not self.web_id
        )

    # --- PIN re-set ---

    def at_the_terminal(self, now: float) -> bool:
        return self.ticket is not None and now - self.ticket.started < TICKET_LIFE

    def new_ticket(self, ticket: Ticket) -> None:
        if self.ticket:
            self.old_tickets.append(self.ticket.digits)
        self.ticket = ticket

    def takes_ticket(self, digits: str, now: float) -> Ticket | None:
        """Count a ticket that was typed; return it where it is right."""
        if not self.ticket or not self.at_the_terminal(now) or self.ticket.tries >= TICKET_TRIES:
            return None
        self.ticket.tries += 1
        return self.ticket if digits == self.ticket.digits else None

    def is_prepared(self, digits: str, now: float) -> bool:
        """Whether this ticket was prepared, lately, and not started yet."""
        ticket = self.ticket
        if not ticket or ticket.digits != digits or ticket.started > -inf:
            return False
        return now - ticket.prepared < PREPARED_FOR

    def stop_pin(self) -> None:
        """A re-set begins: the old PIN stops at once."""
        if self.pin:
            self.old_pins.append(self.pin)
        self.pin = ""
        self.end += 1

    def pin_set(self, pin: str) -> None:
        assert self.ticket
        self.old_tickets.append(self.ticket.digits)
        self.ticket, self.pin = None, pin
        self.end += 1
        self.judged.clear()
        self.failures.clear()
        self.suspended_until, self.in_a_row = -inf, 0
