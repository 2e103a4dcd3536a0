"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "config.yaml", *sorted((ROOT / "docs").rglob("*.md"))]
FILE = re.compile(r"\b(?:daemon|memory|policies|drift|bench|tests|tools)/[a-z0-9_/]+\.(?:py|safetensors)\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    gone = sorted({name for name in FILE.findall(text) if not (ROOT / name).exists()})
    assert gone == []
