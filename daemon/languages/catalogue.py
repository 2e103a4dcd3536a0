"""A language's catalogue: its words for the pages' own, and for the sentences that are on record in English."""

from __future__ import annotations

import gettext
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

PLACE = re.compile(r"\{(\w+)\}")
SHORT_LETTERS = 4  # of a template's own: it could be found in any sentence, so its values are words or shares
MOST_CHARS = 1_000  # of a sentence: longer ones are said as they are
MOST_WITHIN = 3  # parts of a sentence between such signs, where several are joined
BETWEEN = ("; ", ". ", ": ", ", ")  # what joins sentences, the widest first
NUMBER = re.compile(r"\d{1,3}(,\d{3})+")
THIN = "\u202f"  # between groups of digits (ISO 80000-1): no language reads it as a decimal sign
# Values that are names, which stay what they are whatever else their letters may mean.
NAMES = {
    *("operator", "who", "name", "part", "frame", "frame_id", "sample", "names", "first", "lost", "pivot_part"),
    *("file", "path", "folder", "place", "url", "host", "camera", "model", "kind", "producer"),
}
Words = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Template:
    """An English sentence with places for values, as its own words and the names of the places between them; what it
    is called; and whether it is so `short` that its values must be words or shares."""

    own: tuple[str, ...]
    places: tuple[str, ...]
    translated: str
    short: bool

    @classmethod
    def of(cls, text: str, translated: str) -> Template:
        """The template of a text with {places}."""
        pieces = PLACE.split(text)
        return cls(tuple(pieces[::2]), tuple(pieces[1::2]), translated, own_letters(text) <= SHORT_LETTERS)

    def values(self, text: str) -> dict[str, str] | None:
        """The values by which this template has become a text, each as short as can be from the left; None where it has
        not. It takes time in proportion to the text."""
        if not text.startswith(self.own[0]) or not text.endswith(self.own[-1]):
            return None
        found: dict[str, str] = {}
        at, end = len(self.own[0]), len(text) - len(self.own[-1])
        for number, (place, own) in enumerate(zip(self.places, self.own[1:], strict=True), 1):
            last = number == len(self.places)
            to = end if last or not own else text.find(own, at + 1, end)
            if to < at + (len(own) > 0 and not last) or found.get(place, text[at:to]) != text[at:to]:
                return None
            found[place] = text[at:to]
            at = to + len(own)
        sentence = any(" " in value.removesuffix(" %") for value in found.values())
        return None if self.short and sentence else found


class Catalogue:
    """A language's words. What it has none for stays English. `recorded` are those texts that the code makes: sentences
    are found by these alone. `scripts` are the words that scripts of pages need. `plural` is the rule of the language's
    forms, an expression of n as C and JavaScript have it."""

    def __init__(self, words: Words, recorded: Collection[str], scripts: Words, plural: str) -> None:
        self._words = words
        self.scripts = scripts
        self.plural_rule = plural
        self._form = gettext.c2py(plural)
        texts = [(text, said) for text, said in words.items() if isinstance(said, str) and text in recorded]
        made = [Template.of(text, said) for text, said in texts if PLACE.search(text)]
        self._templates = sorted(made, key=lambda one: -sum(map(len, one.own)))
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
        return forms[self._form(count)]

    def said(self, text: str) -> str:
        """A finished English sentence, or several joined, found by the template that it was made from, with its values;
        a value that is a sentence too is said likewise."""
        return self._said(text) if self._words and len(text) <= MOST_CHARS else text

    def _say(self, text: str) -> str:
        parts = text.split("; ")
        each = [self._phrase(part) for part in parts]
        if None not in each:
            return "; ".join(filter(None, each))
        whole = self._phrase(text) if len(parts) > 1 else None
        if whole is not None:
            return whole
        for between in BETWEEN:
            parts = text.split(between)
            if len(parts) > 1:
                return between.join(self._each(parts, between))
        return text.replace(",", THIN) if NUMBER.fullmatch(text) else text

    def _each(self, parts: list[str], between: str) -> Iterator[str]:
        """Each of the sentences that were joined, of which some have the same sign within."""
        at = 0
        while at < len(parts):
            for to in range(min(at + MOST_WITHIN, len(parts)), at, -1):
                phrase = self._phrase(between.join(parts[at:to]))
                if phrase is not None:
                    break
            yield self._said(parts[at]) if phrase is None else phrase
            at = to

    def _phrase(self, text: str) -> str | None:
        found = self._found(text)
        if found is None and text.endswith("."):
            whole = self._found(text[:-1])
            return None if whole is None else f"{whole}."
        return found

    def _found(self, text: str) -> str | None:
        exact = self._words.get(text)
        if exact is not None:
            return exact if isinstance(exact, str) else exact[0]
        for template in self._templates:
            values = template.values(text)
            if values is not None:
                said = {name: value if name in NAMES else self._said(value) for name, value in values.items()}
                return filled(template.translated, said)
        return None


def read_catalogue(file: Path) -> Catalogue:
    """A language's file (gettext PO). What is not translated, or only guessed, is left out."""
    with file.open("rb") as lines:
        catalog = read_po(lines, locale=file.stem)
    words: dict[str, str | tuple[str, ...]] = {}
    scripts: dict[str, str | tuple[str, ...]] = {}
    recorded = set()
    for message in catalog:
        said = message.string or ""
        if message.id and not message.fuzzy and all([said] if isinstance(said, str) else said):
            key = message.id if isinstance(message.id, str) else message.id[0]
            words[key] = said if isinstance(said, str) else tuple(said)
            kinds = {Path(path).suffix for path, _ in message.locations}
            if ".py" in kinds:
                recorded.add(key)
            if ".js" in kinds:
                scripts[key] = words[key]
    return Catalogue(words, recorded, scripts, catalog.plural_expr)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its {places} filled; one without a value stays as it is."""
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def own_letters(text: str) -> int:
    """How many letters a text has beside its {places}."""
    return sum(char.isalpha() for char in PLACE.sub("", text))
