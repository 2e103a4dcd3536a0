"""The language in which words are said now: that of the reader, and English where nobody has asked for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.core import Locale, negotiate_locale
from markupsafe import Markup

from daemon.languages.catalogue import THIN, Catalogue, read_catalogue

ENGLISH = "en"
FOLDER = Path(__file__).parent
MOST_WANTED = 20  # languages in one header


@dataclass(frozen=True)
class Language:
    """A language: its code (ISO 639), its own name, and its words."""

    code: str
    name: str
    catalogue: Catalogue


def codes() -> list[str]:
    """The codes of all languages, without reading them."""
    return [ENGLISH, *sorted(file.stem for file in FOLDER.glob("*.po"))]


def known(code: str) -> str:
    """The code, if there is such a language. Raises ValueError for others."""
    if code not in codes():
        raise ValueError(f"expected one of {', '.join(codes())}; came {code}")
    return code


@cache
def languages() -> dict[str, Language]:
    """All languages by code: English, and one for each file of this folder."""
    found = {ENGLISH: Language(ENGLISH, "English", Catalogue({}, (), {}, "(n != 1)"))}
    for code in codes()[1:]:
        name = Locale.parse(code).get_display_name(code) or code
        found[code] = Language(code, name.capitalize(), read_catalogue(FOLDER / f"{code}.po"))
    return found


_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Say everything in this language meanwhile, in this context."""
    before = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> Language:
    """The language that is spoken now."""
    return languages()[_spoken.get()]


def wanted(chosen: str, accepted: str) -> str:
    """The code of the language for a reader: the one that was `chosen`, or the best of what the browser accepts (RFC
    9110, 12.5.4); English where there is none of these."""
    if chosen in languages():
        return chosen
    ranked = []
    for place, each in enumerate(accepted.lower().split(",")[:MOST_WANTED]):
        tag, *parameters = (part.strip() for part in each.split(";"))
        qualities = [value for name, _, value in (one.partition("=") for one in parameters) if name.strip() == "q"]
        try:
            ranked.append((-float(qualities[0] if qualities else 1), place, tag))
        except ValueError:
            continue
    known = {code.lower().replace("_", "-"): code for code in languages()}
    preferred = [tag for weight, _, tag in sorted(ranked) if weight < 0 and tag]
    return known.get(negotiate_locale(preferred, list(known), sep="-") or ENGLISH, ENGLISH)


def said(text: str) -> str:
    """A sentence that is on record in English, for the reader."""
    return spoken().catalogue.said(text)


def gettext(text: str, **values: object) -> Markup:
    """A text of a page (HTML) for the reader, with its values, which are escaped."""
    return Markup(spoken().catalogue.word(text)).format(**values)  # noqa: S704  # the templates' and catalogues' own words


def ngettext(one: str, many: str, count: int, **values: object) -> Markup:
    """Likewise a text for a `count`, which is also its value {count}."""
    text = spoken().catalogue.plural(one, many, count)
    return Markup(text).format(count=grouped(count), **values)  # noqa: S704  # likewise


def grouped(number: int) -> str:
    """A whole number with its thousands set apart, as every language reads it (ISO 80000-1)."""
    return f"{number:,}".replace(",", THIN)


IN_TEMPLATES = {"_": gettext, "_n": ngettext, "grouped": grouped, "spoken": spoken, "languages": languages}
