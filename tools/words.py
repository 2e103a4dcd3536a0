"""The words of pages and reports, collected from the sources and written into every language's catalogue.

usage: python -m tools.words [--check]

Collected are the texts that templates and scripts mark (`_`, `_n`), and the English sentences that the code makes or
records: f-strings, as templates with places for their values. What a catalogue lacks then is told; with --check nothing
is written. A new language: copy `daemon/languages/de.po` to its code, and translate.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TypeGuard

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from daemon.languages.catalogue import own_letters
from daemon.languages.speaking import FOLDER

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {"_": None, "_n": (1, 2)}
WITHIN_TEMPLATES = {"parse_template_string": "true"}  # of JavaScript
HEAD = """# Words of pages and reports; their English is collected by `python -m tools.words`.
msgid ""
msgstr ""
"Language: {code}\\n"
"Plural-Forms: {plural_forms}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
LEAST_LETTERS = 2  # of a sentence's own: else it is nothing but its values
# All that these files say is for people.
SPEAKERS = (
    *(f"policies/{name}.py" for name in ("ask", "notices", "reliability", "setup_check", "taught_set", "threshold")),
    *(f"policies/{name}.py" for name in ("admission", "gate", "lesson", "recalibration", "remedies", "verdict")),
    *(f"daemon/console/{name}.py" for name in ("charts", "history", "parts", "refusals", "setup_check", "status_view")),
    *(f"daemon/reporting/{name}.py" for name in ("geometry_text", "shift")),
    *(f"memory/{name}/detector.py" for name in ("composition", "exported", "simplenet")),
    "memory/patch_bank/bank.py",
    "drift/causes.py",
    "memory/errors.py",
    "daemon/evaluation/contact_sheet.py",
)
# Of others, what their errors say, and what they call with a sentence.
ERRORS = {"expected", "came", "do", "reason"}
CALLS = {
    *("HTTPException", "_no", "_refused", "rejected", "refused", "lost"),
    *("said", "steps", "track", "Decision", "Hold"),
}
NOBODY_S = {"ValueError", "writerow", "writerows", "Markup", "isoformat"}  # for programmers, CSV and markup
ROOMS = ("memory", "policies", "drift", *(f"daemon/{room}" for room in ("console", "inference", "intake", "learning")))
FILES = ("daemon/streams.py", "daemon/outages.py", "daemon/ledger/provenance.py", "daemon/reporting/pdf.py")
# Single words, which look like any other string of the code.
TERMS = {
    "the scene": "stable, compensating, drifting, untrusted, unknown, light, colour, contrast, blur, noise, shift,"
    " rotation, material, compensated, watched, not known, exposure, red, blue,"
    " sharpness, shift_x, shift_y, texture, camera, disk, redis",
    "verdicts and answers": "good, defect, OK, NG, UNKNOWN, any, counts",
    "why a version was made": "teach, admission, recalibration, retraining, rollback, threshold, revocation, no part",
    "who may do what": "viewer, operator, engineer",
    "pages": "Live, Review, Parts, Drift, Versions, Threshold, Reports, Studies, Setup",
    "groups and signals of the charts": "Light, Camera, Material, Material {number}, Contrast, Sharpness, Noise,"
    " Rotation, Texture",
    "refusals": "Not Found, Method Not Allowed",
    "reports": "8 hours, 24 hours, 7 days",
    "work and its steps": "teach, compare, remedies, advise, images, features, defects, loading the backbone",
    "appraisals": "acceptable, marginal, not acceptable, the line",
}


def collected() -> Catalog:
    """Every text that can be said, with the files that say it."""
    found = Catalog(charset="utf-8")
    for path, texts in itertools.chain(_marked(), _recorded()):
        for text in texts:
            found.add(text, locations=[(path, 0)])
    for kind, words in TERMS.items():
        for word in words.split(", "):
            found.add(word, locations=[("tools/words.py", 0)], user_comments=[kind])
    return found


def _marked() -> Iterator[tuple[str, Iterable[str | tuple[str, ...]]]]:
    for method, pattern in (("jinja2.ext:babel_extract", "daemon/*/templates/*.j2"), ("javascript", "daemon/**/*.js")):
        for file in sorted(ROOT.glob(pattern)):
            messages = extract_from_file(method, str(file), keywords=KEYWORDS, options=WITHIN_TEMPLATES)
            yield str(file.relative_to(ROOT)), [text for _, text, _, _ in messages]


def _recorded() -> Iterator[tuple[str, Iterable[str]]]:
    files = {*SPEAKERS, *FILES, *(str(p.relative_to(ROOT)) for room in ROOMS for p in (ROOT / room).rglob("*.py"))}
    for file in sorted(files):
        tree = ast.parse((ROOT / file).read_text())
        said = _all_texts(tree) if file in SPEAKERS else _texts_for_people(tree)
        texts = [text for node in said for text in templates(node)]
        yield file, list(dict.fromkeys(text for text in texts if own_letters(text) >= LEAST_LETTERS))


def _texts_for_people(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            said = list(node.args) if _called(node) in CALLS else []
            for value in [*said, *(one.value for one in node.keywords if one.arg in ERRORS)]:
                yield from _all_texts(value)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _all_texts(node: ast.AST) -> Iterator[ast.expr]:
    """The outermost strings below a node that are sentences: with a space, and no docstring."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        if any(" " in text.strip() for text in templates(node)):
            yield node
        if isinstance(node, ast.JoinedStr):
            for value in node.values:
                if isinstance(value, ast.FormattedValue) and not _chooses(value.value):
                    yield from _all_texts(value.value)
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.Call) and _called(child) in NOBODY_S:
            continue
        yield from _all_texts(child)


def templates(node: ast.expr) -> list[str]:
    """The texts that a string of the code can become, its values as {name}; several where it chooses between words."""
    if not isinstance(node, ast.JoinedStr):
        return [str(node.value)] if isinstance(node, ast.Constant) else []
    names: dict[str, str] = {}
    pieces = [_piece(value, names) for value in node.values]
    return ["".join(choice) for choice in itertools.product(*pieces)]


def _piece(node: ast.expr, names: dict[str, str]) -> list[str]:
    if not isinstance(node, ast.FormattedValue):
        return templates(node)
    value = node.value
    if _chooses(value):
        return [*templates(value.body), *templates(value.orelse)]
    source, name = ast.unparse(value), _name(value)
    while names.setdefault(name, source) != source:
        name += "_"
    return [f"{{{name}}}"]


def _chooses(node: ast.expr) -> TypeGuard[ast.IfExp]:
    """Whether a value is one of two words."""
    return isinstance(node, ast.IfExp) and all(isinstance(each, ast.Constant) for each in (node.body, node.orelse))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id.lower().strip("_")
    if isinstance(node, ast.Attribute):
        return node.attr.lower().strip("_")
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    inner = next(
        (child for child in ast.walk(node) if child is not node and isinstance(child, ast.Attribute | ast.Name)), None
    )
    return _name(inner) if inner is not None else "value"


def translated(message: Message) -> list[str]:
    """What a message is translated to: one text, or one for each form of the plural."""
    said = message.string
    return [said] if isinstance(said, str) else list(said or [""])


def renewed(file: Path, template: Catalog) -> tuple[bytes, list[str]]:
    """A language's file with the texts of today, and those that it does not translate."""
    with file.open("rb") as lines:
        catalog = read_po(lines, locale=file.stem)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    lacking = [str(one.id) for one in catalog if one.id and (one.fuzzy or not all(translated(one)))]
    for message in catalog:
        message.flags.clear()
    text = BytesIO()
    write_po(text, catalog, width=0, omit_header=True, sort_output=True, include_lineno=False)
    head = HEAD.format(code=file.stem, plural_forms=catalog.plural_forms)
    return head.encode() + text.getvalue(), lacking


def main(check: bool) -> int:
    """Renew every catalogue; returns how many texts have no translation."""
    template, lacking = collected(), 0
    for file in sorted(FOLDER.glob("*.po")):
        text, missing = renewed(file, template)
        lacking += len(missing)
        for one in missing:
            print(f"{file.name} lacks: {one}")
        if not check:
            file.write_bytes(text)
    return lacking


if __name__ == "__main__":
    sys.exit(1 if main("--check" in sys.argv[1:]) else 0)
