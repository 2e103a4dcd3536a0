"""Pages and reports speak the reader's language: every word has one, and records in English are said in it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from daemon.languages import speaking
from daemon.languages.catalogue import PLACE, Catalogue, filled, read_catalogue
from daemon.languages.speaking import FOLDER, codes, languages, said, wanted
from daemon.ledger.frame_list import question
from daemon.settings.load import Settings
from memory.errors import DriftlineError
from policies.setup_check import SetupCheck, unlike_line
from policies.threshold import calibrate
from policies.verdict import Verdict
from tools.words import collected, renewed

FILES = sorted(FOLDER.glob("*.po"))
GERMAN = languages()["de"].catalogue


def in_german(text: str) -> str:
    with speaking.speaking("de"):
        return said(text)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_catalogue_has_a_word_for_everything_and_nothing_else(file: Path) -> None:
    text, lacking = renewed(file, collected())
    assert lacking == []
    assert file.read_bytes() == text, "run `python -m tools.words`"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_translation_has_the_values_of_its_text_and_its_markup(file: Path) -> None:
    with file.open("rb") as lines:
        catalog = read_po(lines, locale=file.stem)
    for message in list(catalog)[1:]:  # the first is the head
        texts = [message.id] if isinstance(message.id, str) else message.id
        said_as = [message.string] if isinstance(message.string, str) else message.string
        for each in said_as or ():
            assert set(PLACE.findall(each)) == set(PLACE.findall(texts[-1])), message.id
            assert each.count("<") == texts[-1].count("<"), message.id


def test_every_recorded_sentence_is_found_by_its_own_template() -> None:
    numbers = itertools.count(11)
    for message in collected():
        recorded = any(path.endswith(".py") for path, _ in message.locations)
        if recorded and isinstance(message.id, str) and PLACE.search(message.id):
            values = {name: str(next(numbers)) for name in PLACE.findall(message.id)}
            assert GERMAN.said(filled(message.id, values)) == filled(GERMAN.word(message.id), values)


@given(st.text(max_size=60))
def test_what_nobody_has_translated_stays_as_it_is(text: str) -> None:
    nothing = Catalogue({}, (), {}, "(n != 1)")
    assert nothing.said(text) == text
    assert isinstance(GERMAN.said(text), str)


def test_records_are_said_with_their_values() -> None:
    missed = SetupCheck((2.0, 3.0, 0.5)).words
    assert missed.startswith("2 of 3 known defects are found")
    assert in_german(missed) == (
        "2 von 3 bekannten Fehlern werden gefunden: von allen solchen Fehlern 9 bis 99 %, mit 95 % Sicherheit."
        " Die übersehenen erreichen das 0.50- bis 0.50-Fache der Schwelle"
    )
    why = question(Verdict.OK, 0.02, audited=False, disputed=False, unconfirmed=False)
    assert in_german(why) == (
        "Es wurde durchgelassen, obwohl nur 2 % der Gutteile so auffällig sind. Wurde ein Fehler übersehen?"
    )
    assert in_german(unlike_line([2.0] * 12)).startswith("Sie würde 12 der neuesten 12 Teile aussortieren")
    promise = in_german(calibrate([0.1 * number for number in range(1, 61)], 0.05).promise)
    assert promise.startswith("vorgegeben sind 5.0% Pseudofehler; ")
    assert "confidence" not in promise


def test_an_error_is_said_whole() -> None:
    error = DriftlineError(expected="a draft", came="none", do="teach good parts first")
    assert in_german(str(error)) == "erwartet: ein Entwurf; erhalten: keine; lernen Sie erst Gutteile an"


def test_names_stay_what_they_are() -> None:
    assert in_german("Light said good at 10:00 UTC") == "Light hat bereits „gut“ geantwortet (10:00 UTC)"
    assert in_german("part 1,234 of lot 5,100.png") == "part 1,234 of lot 5,100.png"
    assert in_german("Go back to version 11; none").startswith("Go back to version 11; "), "no record says so"


@pytest.mark.parametrize(
    "text", ["b" + " bytes of × , after each line" * 30, "; ".join("abcdefgh"), "x, " * 300, "{" * 900]
)
def test_whatever_is_said_takes_no_longer_than_it_is_long(text: str) -> None:
    """By how often templates are looked for, since tests assert no times."""
    looked: list[int] = []
    catalogue = read_catalogue(FOLDER / "de.po")
    found = catalogue._found

    def counted(part: str) -> str | None:
        looked.append(len(part))
        return found(part)

    catalogue._found = counted  # type: ignore[method-assign]
    catalogue.said(text)
    assert sum(looked) < 60 * len(text)


def test_digits_are_grouped_as_every_language_reads_them() -> None:
    assert in_german("at most 10,000 images") == "höchstens 10\u202f000 Bilder"
    assert said("at most 10,000 images") == "at most 10,000 images"


@pytest.mark.parametrize(
    ("chosen", "accepted", "spoken"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "en-GB,de;q=0.5", "en"),
        ("", "fr;q=0.9, de;q=0.4, en;q=0.2", "de"),
        ("", "de;q=0", "en"),
        ("", "de;q=much,en", "en"),
        ("", "*", "en"),
        ("", "DE", "de"),
        ("", "EN", "en"),
        ("", "De-at", "de"),
        ("", "fr; q=0.9, de ; Q=0.8;x=1", "de"),
        ("", ";;;,,q=", "en"),
        ("en", "de", "en"),
        ("de", "", "de"),
        ("../../etc/passwd", "de", "de"),
    ],
)
def test_the_reader_s_choice_comes_first_then_the_browser_s(chosen: str, accepted: str, spoken: str) -> None:
    assert wanted(chosen, accepted) == spoken


def test_a_third_language_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cs.po").write_text(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;\\n"\n\n'
        'msgid "Parts"\nmsgstr "Díly"\n\n'
        'msgid "{count} part"\nmsgid_plural "{count} parts"\n'
        'msgstr[0] "{count} díl"\nmsgstr[1] "{count} díly"\nmsgstr[2] "{count} dílů"\n'
    )
    monkeypatch.setattr(speaking, "FOLDER", tmp_path)
    languages.cache_clear()
    try:
        assert codes() == ["en", "cs"]
        assert languages()["cs"].name == "Čeština"
        with speaking.speaking(wanted("", "cs-CZ")):
            assert speaking.gettext("Parts") == "Díly"
            assert [speaking.ngettext("{count} part", "{count} parts", n) for n in (1, 3, 5)] == [
                *("1 díl", "3 díly", "5 dílů")
            ]
            assert speaking.gettext("Live") == "Live", "what it lacks is said in English"
    finally:
        languages.cache_clear()


def test_what_is_only_guessed_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text('msgid ""\nmsgstr ""\n\n#, fuzzy\nmsgid "Parts"\nmsgstr "Torte"\n')
    assert read_catalogue(tmp_path / "de.po").word("Parts") == "Parts"


def test_values_of_a_page_s_text_are_escaped() -> None:
    with speaking.speaking("de"):
        assert speaking.gettext("Rate as {name}", name="<b>") == "Als &lt;b&gt; bewerten"


def test_a_report_s_language_must_be_known() -> None:
    assert Settings.model_validate({"reports": {"language": "de"}}).reports.language == "de"
    with pytest.raises(ValueError, match="expected one of en, de; came tlh"):
        Settings.model_validate({"reports": {"language": "tlh"}})


@pytest.mark.parametrize(
    ("recorded", "in_words"),
    [
        ("light +12 %", "Licht +12 %"),
        ("contrast -12 %", "Kontrast -12 %"),
        ("scene beyond trust: shift_x is +9.1 spreads from the taught parts", "Szene nicht vertrauenswürdig: Versatz"),
        (
            "camera is away: expected images from camera 1; came no image for 10 s;"
            " check cable, address and power; it is tried again",
            "Kamera ist nicht da: erwartet: Bilder von Kamera 1; erhalten: seit 10 s kein Bild; Kabel, Adresse",
        ),
        (
            "light: light +12 %, likely lamp, shutter or daylight. nothing; see to the lamp if it goes on",
            "Licht: Licht",
        ),
    ],
)
def test_what_the_scene_and_its_troubles_are_called(recorded: str, in_words: str) -> None:
    assert in_german(recorded).startswith(in_words)
    assert not set(in_german(recorded).split()) & {
        "away",
        "light",
        "expected",
        "came",
        "likely",
        "nothing;",
        "judged",
        "at",
    }


@pytest.mark.parametrize(
    ("recorded", "in_words"),
    [
        (
            "images of 256×256 px, judged at full resolution in one tile; 8 bits, as source.bits says",
            "Bilder von 256×256 px, beurteilt in voller Auflösung in einer Kachel; 8 Bit, wie source.bits sagt",
        ),
        (
            "images of many sizes, each squeezed to 256×256 px, judged in 3 tiles, in a region of 40% of the image",
            "Bilder vieler Größen, jedes auf 256×256 px gestaucht, beurteilt in 3 Kacheln, in einem Bereich von 40%",
        ),
        ("features", "Merkmale"),
        ("by padim: known defects", "mit padim: bekannte Fehler"),
    ],
)
def test_what_setup_says_is_said_whole(recorded: str, in_words: str) -> None:
    assert in_german(recorded).startswith(in_words)
