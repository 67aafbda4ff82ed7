"""The one way from a template to a page: everything escaped, nothing missing."""

from __future__ import annotations

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
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("usguide.output")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
