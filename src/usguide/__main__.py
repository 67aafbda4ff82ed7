"""``python -m usguide`` is the ``usguide`` command."""

from usguide.cli import main

main()
