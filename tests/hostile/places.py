"""Where something can be sent: every address of the URLconf, every field of every form.

A new page, or a new field, is found here and needs no line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django import forms
from django.apps import apps
from django.urls import URLResolver, get_resolver

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_OF_MODEL = re.compile(r"admin/(\w+)/(\w+)/")


def addresses() -> list[str]:
    """Return every address of the portal, with `<name>` where something is to be filled in."""
    return sorted(set(_routes("/", get_resolver().url_patterns)))


def _routes(before: str, patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        here = before + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _routes(here, pattern.url_patterns)
        else:
            yield _PARAMETER.sub(r"<\1>", here)


def _plain(route: str) -> str:
    """Return a route without what makes it a regular expression."""
    return re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", route).replace("\\", "").strip("^$")


def filled_in(address: str, value: str = "") -> str:
    """Return the address of something that exists, or with `value` in its place."""
    if value or "<" not in address:
        return re.sub(r"<\w+>", value, address)
    of_model = _OF_MODEL.search(address)
    rows = apps.get_model(*of_model.groups())._default_manager.all() if of_model else []
    one = str(rows[0].pk) if rows else "1"
    return re.sub(r"<\w+>", one, address)


def field_names() -> list[str]:
    """Return the name of every field of every form that the portal's code knows."""
    found = {name for form in _kinds_of(forms.BaseForm) for name in form.base_fields}
    return sorted(found)


def _kinds_of(kind: Any) -> Iterator[Any]:
    for one in kind.__subclasses__():
        if hasattr(one, "base_fields"):
            yield one
        yield from _kinds_of(one)


@dataclass
class Input:
    """One field as a page shows it."""

    name: str
    kind: str
    value: str = ""
    chosen: bool = False
    choices: list[str] = field(default_factory=list)


@dataclass
class Form:
    """One form as a page shows it."""

    method: str
    action: str
    inputs: list[Input] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.inputs}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None
        self._in: Input | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = Form(has.get("method", "get").lower(), has.get("action", ""))
            self.found.append(self._form)
        elif tag == "option" and self._in:
            self._in.choices.append(has.get("value", ""))
            if "selected" in has:
                self._in.value = has.get("value", "")
        elif tag in ("input", "select", "textarea", "button") and self._form and "name" in has:
            self._in = Input(
                has["name"], has.get("type", tag), has.get("value", ""), "checked" in has
            )
            self._form.inputs.append(self._in)

    def handle_data(self, data: str) -> None:
        if self._in and self._in.kind == "textarea":
            # A browser drops the first newline, which Django writes for that.
            self._in.value += data if self._in.value else data.removeprefix("\n").lstrip("\r")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag in ("select", "textarea"):
            self._in = None


def forms_of(page: str) -> list[Form]:
    """Return the forms on a page."""
    parser = _Forms()
    parser.feed(page)
    parser.close()
    return parser.found
