"""HTML on paper: PDF by WeasyPrint, in a process of its own, which takes a hundred megabytes and gives them back."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from memory.errors import DriftlineError

MOST_S = 120
TOLD_CHARS = 200


class NoPdf(DriftlineError):
    """A page cannot be made a PDF here."""


def available() -> bool:
    """Whether WeasyPrint is installed."""
    return importlib.util.find_spec("weasyprint") is not None


def pdf(html: str) -> bytes:
    """The page as a PDF. It may use nothing but what it holds. Raises NoPdf without WeasyPrint, or where that fails."""
    if not available():
        raise NoPdf(
            expected="WeasyPrint, which makes PDFs",
            came="a Python without it",
            do="pip install 'driftline[pdf]' and apt-get install libpangoft2-1.0-0; or print the page from the browser",
        )
    command = ["nice", "-n", "19", sys.executable, "-m", "weasyprint", "--quiet", "-", "-"]
    try:
        made = subprocess.run(command, input=html.encode(), capture_output=True, timeout=MOST_S, check=False)  # noqa: S603  # our own
    except subprocess.TimeoutExpired as error:
        raise NoPdf(expected=f"a PDF within {MOST_S} s", came="none", do="print the page from the browser") from error
    if made.returncode or not made.stdout.startswith(b"%PDF"):
        raise NoPdf(
            expected="a PDF from WeasyPrint",
            came=made.stderr.decode(errors="replace").strip()[-TOLD_CHARS:] or f"exit code {made.returncode}",
            do="print the page from the browser; `python -m weasyprint --info` says what is missing",
        )
    return made.stdout
