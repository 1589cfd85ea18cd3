"""Stories that nobody wrote: events in any order, acts in any interleaving, and a simple model.

`model` says what the domain's rules make of an event, `paused` runs an act as far as its hashing
and lets the machine decide when it goes on, `world` joins both with the real portal.
"""
