"""A language's catalogue: its words for the pages' own, and for the sentences that are on record in English."""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

PLACE = re.compile(r"\{(\w+)\}")
SHORT_CHARS = (
    8  # of a template's own words: it could be found in any sentence, so its values are single words or shares
)
BETWEEN = ("; ", ". ", ": ", ", ")  # what joins sentences, the widest first
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
THIN = "\u202f"  # between groups of digits (ISO 80000-1): no language reads it as a decimal sign


@dataclass(frozen=True)
class Template:
    """An English sentence with places for values, as an expression that finds it, and what it is called."""

    longest: str
    expression: re.Pattern[str]
    translated: str


class Catalogue:
    """A language's words. What it has none for stays English."""

    def __init__(self, words: Mapping[str, str | tuple[str, ...]], plural: Callable[[int], int]) -> None:
        self._words = words
        self._plural = plural
        one_form = {text: said for text, said in words.items() if isinstance(said, str)}
        with_values = sorted((text for text in one_form if PLACE.search(text)), key=_own_chars, reverse=True)
        self._templates = [_template(text, one_form[text]) for text in with_values]
        self._said = lru_cache(4096)(self._say)

    def word(self, text: str) -> str:
        """What a text of the pages is called."""
        said = self._words.get(text, text)
        return said if isinstance(said, str) else said[0]

    def plural(self, one: str, many: str, count: int) -> str:
        """Likewise for a `count`: the language's own form for it, of all that its plurals have."""
        forms = self._words.get(one)
        if not isinstance(forms, tuple):
            return one if count == 1 else many
        return forms[self._plural(count)]

    def said(self, text: str) -> str:
        """A finished English sentence, or several joined, found by the template that it was made from, with its values;
        a value that is a sentence too is said likewise."""
        return self._said(text) if self._words else text

    def _say(self, text: str) -> str:
        found = self._phrase(text)
        if found is None and text.endswith("."):
            whole = self._phrase(text[:-1])
            found = None if whole is None else f"{whole}."
        if found is not None:
            return found
        for between in BETWEEN:
            parts = text.split(between)
            if len(parts) > 1:
                return between.join(self._said(part) for part in parts)
        return THOUSANDS.sub(THIN, text)

    def _phrase(self, text: str) -> str | None:
        exact = self._words.get(text)
        if exact is not None:
            return exact if isinstance(exact, str) else exact[0]
        for template in self._templates:
            if template.longest not in text:
                continue
            found = template.expression.fullmatch(text)
            if found:
                values = {name: self._said(value) for name, value in found.groupdict().items()}
                return filled(template.translated, values)
        return None

    def of_script(self, texts: set[str]) -> dict[str, str | tuple[str, ...]]:
        """The words for these texts."""
        return {text: said for text, said in self._words.items() if text in texts}


def read_catalogue(file: Path) -> tuple[Catalogue, Catalog]:
    """A language's file (gettext PO), to be used, and as it stands. What is not translated, or only guessed, is left
    out."""
    with file.open("rb") as lines:
        catalog = read_po(lines, locale=file.stem)
    words: dict[str, str | tuple[str, ...]] = {}
    for message in catalog:
        said = message.string or ""
        if message.id and not message.fuzzy and all([said] if isinstance(said, str) else said):
            key = message.id if isinstance(message.id, str) else message.id[0]
            words[key] = said if isinstance(said, str) else tuple(said)
    return Catalogue(words, gettext.c2py(catalog.plural_expr)), catalog


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its {places} filled; one without a value stays as it is."""
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def _own_chars(text: str) -> int:
    return len(PLACE.sub("", text))


def _template(text: str, translated: str) -> Template:
    value = ".+?" if _own_chars(text) > SHORT_CHARS else r"\S+?(?: %)?"
    pieces, names, at = [], set(), 0
    for place in PLACE.finditer(text):
        pieces.append(re.escape(text[at : place.start()]))
        pieces.append(f"(?P={place[1]})" if place[1] in names else f"(?P<{place[1]}>{value})")
        names.add(place[1])
        at = place.end()
    pieces.append(re.escape(text[at:]))
    return Template(max(PLACE.split(text)[::2], key=len), re.compile("".join(pieces), re.DOTALL), translated)
