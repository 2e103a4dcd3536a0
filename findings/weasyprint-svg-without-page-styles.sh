#!/usr/bin/env bash
# WeasyPrint 70: an <svg> within HTML is drawn without the page's style sheet, so that a chart that browsers show in
# colours comes out black on paper.
#
# Browsers apply <style> of the page to the shapes of an inline <svg>, as HTML asks for: classes such as `.beyond { fill:
# red }` colour a chart. WeasyPrint lays the page itself out by the same rules, and draws the svg as if it were an image of
# its own: fill, stroke, stroke-width and stroke-dasharray of the page's sheet are left out, so that shapes are filled with
# black, and lines are hairlines or gone. The log says "Ignored `fill: …`, unknown property", as it does for any property
# that it does not know; --quiet hides that. Attributes of the shapes count, and so does a <style> inside of the <svg>, in
# both. Way round: write colours and widths as attributes (`fill="#b3121d"`); a style sheet still wins over them in
# browsers, as for a dark look. Seen on 29 November 2026 with WeasyPrint 70.0 on Python 3.11; fails if that changes. It needs
# Debian's libpangoft2-1.0-0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/charts.py" <<'PY'
import importlib.metadata
import logging

import weasyprint

SHEET = "<style>p { color: #00ff00 } .mark { fill: #ff0000 }</style>"
RED, GREEN = b"1 0 0 rg", b"0 1 0 rg"  # how a PDF sets the colour of what is filled
said = []
logging.getLogger("weasyprint").addHandler(logging.Handler())
logging.getLogger("weasyprint").handlers[-1].emit = lambda record: said.append(record.getMessage())


def drawn(inside):
    """The PDF of a page with a word and a chart."""
    html = f"{SHEET}<p>word</p><svg width='20' height='20'>{inside}</svg>"
    return weasyprint.HTML(string=html).write_pdf(uncompressed_pdf=True)


by_page = drawn("<rect class='mark' width='9' height='9'/>")
by_attribute = drawn("<rect fill='#ff0000' width='9' height='9'/>")
by_own = drawn("<style>.mark { fill: #ff0000 }</style><rect class='mark' width='9' height='9'/>")
print("WeasyPrint", importlib.metadata.version("weasyprint"))
for name, pdf in (("the page's sheet", by_page), ("an attribute", by_attribute), ("a sheet in the svg", by_own)):
    print(f"a shape that is red by {name}: {'red' if RED in pdf else 'not red'} in the PDF")
print("warnings:", said)
assert GREEN in by_page, "the page's sheet counts for the word beside it"
assert RED not in by_page
assert RED in by_attribute
assert RED in by_own
assert said and all("unknown property" in line for line in said)
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check weasyprint==70.0
"$folder/venv/bin/python" "$folder/charts.py"
