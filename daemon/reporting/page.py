"""Templates of self-contained HTML pages."""

from __future__ import annotations

import jinja2

from daemon.languages.speaking import IN_TEMPLATES, said


def template(package: str, name: str) -> jinja2.Template:
    """A template of a package's `templates`, in which every value is escaped and must be there, and words are those of
    the language that is spoken."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.globals |= IN_TEMPLATES
    environment.filters["said"] = said
    return environment.get_template(name)
