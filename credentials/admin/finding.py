"""Finding a member in the admin: one box for whatever somebody has, and nobody else is shown.

Every search is on record: by which kinds of things, and who was shown; never what was typed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials import audit
from credentials.admin.desk import staff_of
from credentials.admin.uncounted import Uncounted, UncountedList
from credentials.models import Event
from credentials.throttling import client_address
from members.masking import masked_name, masked_number
from members.models import Member
from members.search import KIND_LABELS, Kind, candidates, read

# More than MANY are asked to be narrowed down, of more than TOO_MANY nobody is shown.
MANY = 50
TOO_MANY = 200


class FoundMembers(UncountedList):
    """The members whom a search found: of the others nothing is read."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the members found; nobody where nothing was asked, or nothing understood."""
        self.filter_specs: list[Any] = []
        self.has_filters = self.has_active_filters = False
        self.clear_all_filters_qs = ""
        self.said = read(self.query)
        found = candidates(self.said, at_most=TOO_MANY + 1)
        self.found = len(found)
        members = self.root_queryset
        if not found or self.found > TOO_MANY:
            return members.none()
        return members.filter(pk__in=found).order_by(*self.get_ordering(request, members))

    def get_results(self, request: HttpRequest) -> None:
        """Fetch a page of them, and put on record who is shown."""
        super().get_results(request)
        if self.query.strip():
            self._record(request)

    def _record(self, request: HttpRequest) -> None:
        shown = [member.number for member in self.result_list]
        whom = self.said.facts.get(Kind.MEMBER_NUMBER, "") if self.said.kinds else ""
        audit.record(
            Event.Act.MEMBERS_SEARCHED,
            by=audit.staff(staff_of(request)),
            whom=shown[0] if len(shown) == 1 else whom,
            source=client_address(request),
            kinds=[str(kind) for kind in self.said.kinds] or ["not understood"],
            shown=shown,
            more=self.more or self.found > TOO_MANY,
        )

    @property
    def message(self) -> str | Promise:
        """What to say about the search; nothing where that is plain to see."""
        said = self.said
        if not self.query.strip():
            return ""
        if said.problem:
            return said.problem
        if self.found > TOO_MANY:
            return _("More than %(count)s people, so nobody is shown: add %(what)s.") % {
                "count": TOO_MANY,
                "what": self._what_else(),
            }
        if self.found > MANY:
            return _("More than %(count)s people: add %(what)s.") % {
                "count": MANY,
                "what": self._what_else(),
            }
        if not self.found:
            kinds = _(", ").join(str(KIND_LABELS[kind]) for kind in said.kinds)
            return _("Nobody found by %(kinds)s. Ask again how it is written.") % {"kinds": kinds}
        return ""

    def _what_else(self) -> str:
        """Return what would narrow the search down best, of what was not given yet."""
        for kind in (Kind.BIRTH_DATE, Kind.KANA, Kind.PHONE, Kind.CARD_LAST_FOUR):
            if kind not in self.said.kinds:
                return str(KIND_LABELS[kind])
        return str(KIND_LABELS[Kind.MEMBER_NUMBER])


class FindsMembers(Uncounted):
    """The list of the members' ModelAdmin: a search, and nothing but a search."""

    change_list_template = "admin/members/member/find.html"
    list_display = ("number_shown", "name_shown", "kana_shown", "birth_year", "state")
    list_display_links = ("number_shown", "name_shown")
    ordering = ("kana_key", "birth_date", "pk")
    # What the admin asks for before it shows a search box; `members.search` has the rest.
    search_fields = ("number",)
    search_help_text = gettext_lazy(
        "Type what you have: member number, card number or its last four, name in kana or letters, "
        "birth date (1983-12-31, S58.12.31), phone, Web-ID, email address. Several of them, with "
        "spaces between, must all fit."
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that searches."""
        return FoundMembers

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return nobody: only the list searches, for it puts on record who is shown."""
        return queryset.none(), False

    # As much as tells two people apart who fit the same search; the rest after verification.

    @admin.display(description=gettext_lazy("member number"))
    def number_shown(self, member: Member) -> str:
        return masked_number(member.number)

    @admin.display(description=gettext_lazy("name"))
    def name_shown(self, member: Member) -> str:
        return masked_name(member.name)

    @admin.display(description=gettext_lazy("name in kana"), ordering="kana_key")
    def kana_shown(self, member: Member) -> str:
        return masked_name(member.name_kana)

    @admin.display(description=gettext_lazy("year of birth"), ordering="birth_date")
    def birth_year(self, member: Member) -> str:
        return str(member.birth_date.year)
