"""From an :class:`~usguide.model.Analysis` to files and to the terminal."""
