"""From an :class:`~usguide.model.Analysis` to files: JSON, tables, overlay video and report."""

from usguide.output.writing import check_directory, write_results

__all__ = ["check_directory", "write_results"]
