"""What staff do again and again: sign in step by step, find a member, verify who it is."""

from __future__ import annotations

from tests.browser.people import HANAKO
from tests.browser.visitor import Visitor
from tests.factories import PASSWORD

PLACE = "渋谷店"


def give_password(staff: Visitor, name: str) -> None:
    """The first step of signing in."""
    staff.page.locator("[name=username]").fill(name)
    staff.page.locator("[name=password]").fill(PASSWORD)
    staff.press("Log in")


def give_code(staff: Visitor, code: str) -> None:
    """The second step of signing in."""
    staff.page.locator("[name=code]").fill(code)
    staff.press("Sign in")


def send(staff: Visitor, selector: str) -> None:
    """Press or follow what leads to another page, and look at what comes."""
    with staff.page.expect_navigation(wait_until="load"):
        staff.page.locator(selector).first.click()
    staff.look()


def find(staff: Visitor, typed: str = HANAKO.member_number) -> None:
    """Search for a member, and open what is found."""
    staff.open("/admin/members/member/")
    staff.page.locator("#searchbar").fill(typed)
    staff.press("Search")
    send(staff, '#result_list a[href*="/change/"]')


def answer(operator: Visitor, *facts: str) -> None:
    """Say which facts the caller knew."""
    for fact in facts:
        operator.page.locator(f"#answered-{fact}").check()
    operator.press("Judge the answers")


def verify_in_person(window: Visitor) -> None:
    """See a document at the window."""
    window.follow("Verify in person")
    show_document(window)
    window.press("Verify in person")
    window.reads("Verified in person. The member is open to you for 15 minutes.")


def show_document(window: Visitor) -> None:
    """Note the document that was seen, and where."""
    window.page.locator("[name=document]").select_option("driving_licence")
    window.page.locator("[name=place]").fill(PLACE)
