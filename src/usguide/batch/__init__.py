"""An archive of recordings through the same analysis as one clip, resumable, into one table.

::

    sources -> archive -> identity -> engine (workers run examination) -> store -> tables, index

A clip is known by its content and by what was asked of it, so a run that was stopped goes on where
it was, and nothing is analysed or counted twice.
"""

TIME_LIMIT_S = 1800.0
"""For each clip, if nothing else is asked for: far more than any took."""
