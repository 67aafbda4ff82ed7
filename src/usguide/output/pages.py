"""The one way from a template to a page: everything escaped, nothing missing."""

from __future__ import annotations

import functools

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, **values: object) -> str:
    """Fill in a template.

    Parameters
    ----------
    package : str
        Package in whose ``templates`` folder it is; what it includes may also lie in those of
        ``usguide.output``.
    template : str
        Its name.
    **values
        What it speaks of; a name it uses that is not among them is an error.

    Returns
    -------
    str
        The page.
    """
    return _templates(package).get_template(template).render(**values)


@functools.cache
def _templates(package: str) -> Environment:
    """Compile templates once in a process: an archive has thousands of pages."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("usguide.output")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
