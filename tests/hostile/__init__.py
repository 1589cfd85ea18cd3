"""Hostile input at every page there is: found in the URLconf and on the pages, not listed."""
