"""Templates of self-contained HTML pages."""

from __future__ import annotations

import jinja2


def template(package: str, name: str) -> jinja2.Template:
    """A template of a package's `templates`, in which every value is escaped and must be there."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template(name)
