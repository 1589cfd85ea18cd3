"""The staff's side in the Django admin, a module for each desk."""

from credentials.admin import card_host, checks, members, outbox, record, staff

__all__ = ["card_host", "checks", "members", "outbox", "record", "staff"]
