"""The fifth failure stops everything; the mail says so; staff at the window lift it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.desk import find, verify_in_person
from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PIN
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser

REFUSED = (
    "We could not sign you in. Compare the card number with your card and type both again. "
    "If it does not work, the page “I can't sign in” shows what helps."
)


@in_pairs
def test_five_failures_stop_the_card_until_staff_lift_it(
    visitor: Visitor, staff: Callable[[str], Visitor], mailbox: Mailbox
) -> None:
    visitor.open("/login/")
    visitor.reads(
        "Both ways of signing in stop, and so does your card at the ATM. Failures are counted "
        "over both ways together; signing in sets the count back."
    )
    for wrong in ("1357", "1358", "1359", "1360", "1361"):
        sign_in(visitor, pin=wrong)
        visitor.is_told(REFUSED)
    # In Japanese, the language of a member who has not signed in yet.
    [mail] = mailbox.wait_for(HANAKO.email)
    assert "停止" in mail["Subject"]
    assert HANAKO.card_number[-4:] in mail.get_content()
    assert "://" not in mail.get_content()
    sign_in(visitor, pin=PIN)
    visitor.is_told(REFUSED)
    visitor.page.locator(".error-summary").get_by_role("link").click()
    visitor.page.wait_for_url("**/help/")

    window = staff("Store")
    find(window, "ヤマダ ハナコ 1983-12-31")
    assert HANAKO.card_number not in window.page.content()
    lift = window.page.get_by_role("link", name=window.say("Lift the suspension"))
    assert lift.count() == 0, "who it is comes first"
    verify_in_person(window)
    window.follow("Lift the suspension")
    window.press("Lift the suspension")
    assert window.page.locator(".errors").count() == 1
    window.page.locator("textarea").fill("Driving licence seen at the window")
    window.press("Lift the suspension")
    window.reads("The suspension is lifted.")
    assert lift.count() == 0
    assert len(mailbox.wait_for(HANAKO.email, 2)) == 2

    visitor.open("/login/")
    sign_in(visitor)
    visitor.is_at("/")
