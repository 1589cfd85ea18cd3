"""Which part of the record an auditor asks for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credentials.models import Event
from credentials.record.export import Asked
from members.numbers import plain_digits, validate_member_number

_MOMENT = "%Y-%m-%dT%H:%M"


def _moment(label: Any) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=_MOMENT),
    )


class RecordFilterForm(forms.Form):
    """The filter of the record: everything in it may be left empty, but for `people`.

    `people`: it asks for the people whom one member of staff saw between two times, so that
    these three must be there.
    """

    member = forms.CharField(label=_("Member number"), required=False, max_length=40)
    staff = forms.CharField(label=_("Staff name"), required=False, max_length=150)
    act = forms.ChoiceField(
        label=_("act"), required=False, choices=[("", _("all")), *Event.Act.choices]
    )
    since = _moment(_("From"))
    until = _moment(_("Until (not included)"))

    def __init__(self, *args: Any, people: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = people
        if people:
            for name in ("staff", "since", "until"):
                self.fields[name].required = True

    def clean_member(self) -> str:
        """Read the number as people type it."""
        number = plain_digits(self.cleaned_data["member"])
        if number:
            validate_member_number(number)
        return number

    def clean_staff(self) -> str:
        """Take the name as the record writes it, too."""
        name: str = self.cleaned_data["staff"]
        return name.strip().removeprefix("staff:")

    def clean(self) -> dict[str, Any]:
        """Refuse a time that ends before it begins."""
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until <= since:
            self.add_error("until", _("This is not after the beginning."))
        return cleaned

    def asked(self) -> Asked:
        """Return what is asked for; everything where nothing was filled in."""
        cleaned: dict[str, Any] = getattr(self, "cleaned_data", {})
        return Asked(**{name: value for name, value in cleaned.items() if value})
