"""Lists of which nobody counts the rows: a count of a large table takes longer than the page.

A page asks for one row more than it shows; so it knows whether there is a next one.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.paginator import Page, Paginator
from django.http import HttpRequest

# Skipping rows takes time as well: whoever is here looks for something and can say more of it.
LAST_PAGE = 100


class UncountedPage(Page):
    """A page that knows whether there is another after it, and nothing of how many."""

    def __init__(self, object_list: Any, number: int, paginator: Any, *, more: bool) -> None:
        super().__init__(object_list, number, paginator)
        self._more = more

    def has_next(self) -> bool:
        return self._more


class UncountedPaginator(Paginator):
    """Pages of a query, from the first to LAST_PAGE, without `COUNT(*)`."""

    def page(self, number: int | str) -> UncountedPage:
        """Return a page by its number, the nearest one where there is none of that number."""
        at = min(max(int(number), 1), LAST_PAGE)
        first = (at - 1) * self.per_page
        rows = list(self.object_list[first : first + self.per_page + 1])
        more = len(rows) > self.per_page and at < LAST_PAGE
        return UncountedPage(rows[: self.per_page], at, self, more=more)


class UncountedList(ChangeList):
    """The admin's list, with "previous" and "next" in place of the pages' numbers."""

    def get_results(self, request: HttpRequest) -> None:
        """Fetch one page, and set what the admin's templates ask for."""
        paginator = UncountedPaginator(self.queryset, self.list_per_page)
        page = paginator.page(self.page_num)
        at = self.page_num = page.number
        self.paginator = paginator
        self.result_list = page.object_list
        self.result_count = len(self.result_list)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.result_list)
        self.more = page.has_next()
        self.next_page = self.get_query_string({PAGE_VAR: at + 1}) if self.more else ""
        self.previous_page = self.get_query_string({PAGE_VAR: at - 1}) if at > 1 else ""


class Uncounted(admin.ModelAdmin):
    """A ModelAdmin whose list is not counted."""

    change_list_template = "admin/uncounted_list.html"
    list_per_page = 50
    show_full_result_count = False
    paginator = UncountedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return which list the admin builds."""
        return UncountedList
