"""The top page: where a member finds the member number, and the state of things."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from members.models import User, Way


@dataclass(frozen=True)
class SignIn:
    """One sign-in, as the top page shows it."""

    at: datetime
    way: str

    @property
    def label(self) -> str:
        """The way in words."""
        return str(Way(self.way).label)


def _sign_in(at: datetime | None, way: str) -> SignIn | None:
    return SignIn(at, way) if at and way else None


@method_decorator(never_cache, name="dispatch")
class MemberPage(TemplateView):
    """A page about the signed-in member. Staff, who have no member number, go to the admin."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        if not isinstance(user, User) or user.member is None:
            # By its path: the admin's names are not there where a process serves members only.
            return redirect("/admin/")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        user = self.request.user
        assert isinstance(user, User)  # noqa: S101 dispatch sent everybody else away
        member = user.member
        card = getattr(member, "card", None)
        return super().get_context_data(
            member=member,
            card=card,
            # A suspension ends every session, so whoever sees this page is not suspended.
            card_state="active" if card and card.has_pin else "no_pin",
            web_id=getattr(member, "web_id", None),
            this_sign_in=_sign_in(user.sign_in_at, user.sign_in_way),
            previous_sign_in=_sign_in(user.previous_sign_in_at, user.previous_sign_in_way),
            call_centre_phone=settings.CALL_CENTRE_PHONE,
            **context,
        )
