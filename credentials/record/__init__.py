"""What the record is beyond a line of it: its chain, its copy elsewhere, its check, its return.

    chain --> copy --> sealing --> check, export, since --> restore

A line is written by `credentials.audit`, which every act uses and which knows nothing of these.
"""
