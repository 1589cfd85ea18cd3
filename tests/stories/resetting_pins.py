"""PIN re-sets: prepared, started, their tickets typed right, wrong, late and twice."""

from __future__ import annotations

from functools import partial
from typing import Any

from credentials import pin_reset
from credentials.refusals import Refusal
from tests.stories.model import Account, Ticket
from tests.stories.signing_in import SigningIn
from tests.stories.world import EITHER, Act, Tab, move

WRONG_TICKET = "00000000"
WEAK_PIN = "1111"


class ResettingPins(SigningIn):
    """Staff start it, somebody types the ticket; meanwhile there is the other way in."""

    @move(3)
    def staff_start_a_re_set(self) -> None:
        account = self.draw_account()
        ticket = self._start(account.member)
        if account.closed:
            assert isinstance(ticket, Refusal)
            return
        account.new_ticket(Ticket(ticket, self.now, self.now))
        self._started(account, ticket)

    @move(3, when=lambda self: self.tabs[0] in self.free and not self.accounts[0].ticket)
    def sign_in_by_the_other_way_meanwhile(self) -> None:
        account = self.accounts[0]
        if account.web_id and account.is_open(self.now):
            account.new_ticket(Ticket(self._start(account.member), self.now, self.now))
            self._started(account, account.ticket.digits)
            self.the_member_signs_in(at_once=True)
            if self.dice.choice(EITHER) and self.tabs[1] in self.free:
                self._type(
                    self.tabs[1], account, "right", weak=False, at_once=self.dice.choice(EITHER)
                )

    @move(2, old=EITHER)
    def staff_start_what_was_prepared(self, old: bool) -> None:
        account = self.draw_account()
        digits = account.ticket.digits if account.ticket else WRONG_TICKET
        if old and account.old_tickets:
            digits = account.old_tickets[-1]
        ticket = self._start(account.member, prepared_ticket=digits)
        if account.closed:
            assert isinstance(ticket, Refusal)
        elif account.is_prepared(digits, self.now):
            account.ticket.started = self.now
            self._started(account, ticket)
        else:
            assert isinstance(ticket, Refusal)
            self.expected.append(Act.TICKET_FAILED)

    def _start(self, member: Any, **how: Any) -> Any:
        place = {"document": "passport", "place": "Ueno"}
        return pin_reset.start(member=member, by=self.store, **place, **how)

    def _started(self, account: Any, ticket: str) -> None:
        self.typed(ticket)
        account.stop_pin()
        self.expected += [Act.IDENTITY_VERIFIED, Act.PIN_RESET_STARTED]

    @move(2, when=lambda self: any(tab.holder for tab in self.free))
    def the_member_prepares_one(self) -> None:
        tab = self.dice.choice([tab for tab in self.free if tab.holder])
        account = tab.holder
        context = tab.client.post("/pin/prepare/").context
        if account.at_the_terminal(self.now):
            assert context.get("refusal"), "another ticket while one is good at the terminal"
            return
        ticket = context["digits"].replace(" ", "")
        self.typed(ticket)
        account.new_ticket(Ticket(ticket, self.now))
        self.expected.append(Act.PIN_RESET_PREPARED)

    @move(
        10,
        when=lambda self: self.free and any(one.ticket for one in self.accounts),
        which=["right", "right", "right", "old", "wrong"],
        weak=[False, False, True],
        at_once=EITHER,
    )
    def type_a_ticket(self, which: str, weak: bool, at_once: bool) -> None:
        account = self.dice.choice([one for one in self.accounts if one.ticket])
        self._type(self.draw_tab(), account, which, weak=weak, at_once=at_once)

    def _type(self, tab: Tab, account: Account, which: str, *, weak: bool, at_once: bool) -> None:
        digits = WRONG_TICKET
        if which == "right":
            digits = account.ticket.digits
        elif which == "old" and account.old_tickets:
            digits = account.old_tickets[-1]
        pin = WEAK_PIN if weak else self.dice.choice(self.pins[:-1])
        self.typed(digits, pin)
        number = account.member.card.number
        fields = {"card_number": number, "ticket": digits, "pin1": pin, "pin2": pin}
        ticket = account.takes_ticket(digits, self.now)
        if ticket and weak:
            # The ticket stays good for another PIN.
            ticket.tries -= 1
            assert tab.client.post("/pin/", fields).status_code == 200
            return
        act = partial(tab.client.post, "/pin/", fields)
        paused = self.begin(act, judged=ticket is not None)

        def end(answer: Any) -> None:
            if ticket is None or account.ticket is not ticket:
                assert answer.status_code == 200, "a ticket that is not good any more"
                self.expected.append(Act.TICKET_FAILED)
                return
            assert answer["Location"] == "/pin/done/"
            account.pin_set(pin)
            self.expected.append(Act.PIN_SET)

        self.leave(tab.name, paused, end, at_once=at_once, account=account)
