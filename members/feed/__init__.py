"""The member feed: a UTF-8 CSV file from the lender's core system, brought in line by line.

    bytes --lines--> cells --entries--> Entry --chunks--> Member, Card and User
                 \\________ rejects ________/

`import_feed` is the way in. The file is read as it streams, a chunk of lines is one transaction,
and a second run of the same file changes nothing; so a run that was cut short is finished by
running it again. Source of the format: design.md "The member feed".
"""

from members.feed.importing import Counts, import_feed
from members.feed.lines import COLUMNS, OPTIONAL_COLUMNS, FeedRefused, FeedStopped
from members.feed.plan import Change
from members.feed.rejects import rejects_path

__all__ = [
    "COLUMNS",
    "OPTIONAL_COLUMNS",
    "Change",
    "Counts",
    "FeedRefused",
    "FeedStopped",
    "import_feed",
    "rejects_path",
]
