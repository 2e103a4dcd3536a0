"""Pages are in the reader's language, whole; programs are answered in English."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browsing
import pytest
from conftest import NOW_MS, frame
from fastapi.testclient import TestClient
from pictures import png
from playwright.sync_api import Browser, Page, expect
from test_console_pages import EVERY_PAGE

from daemon.cli.console import line_view
from daemon.console.access import access
from daemon.console.app import application
from daemon.console.events import EventBroadcaster
from daemon.console.jobs import Jobs, Work
from daemon.console.status_view import StatusView
from daemon.datasets.rendered import STEADY, Flaw
from daemon.languages import speaking
from daemon.languages.speaking import languages, said
from daemon.learning import answers
from daemon.ledger.state import open_state
from daemon.ledger.studies import plan
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.settings.models import ConsoleSettings
from memory.errors import DriftlineError
from policies.verdict import Label
from tools.words import collected

browser, page, url = browsing.browser, browsing.page, browsing.url
line, small = browsing.line, browsing.small
GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"}
# Names, units and words that are the same in every language.
UNSAID = [
    *("Driftline", "part", "frame", "taught", "torch", "cpu", "CSV", "JSON", "Lines", "PDF", "Kappa", "AIAG", "UTC"),
    *("anna", "bert", "eva", "autumn", "console", "test", "pytest", "English", "Esperanto"),
]
LEFT_OVER = r"""(names) => {
  const own = (text) => { // what stands outside of the brackets
    let depth = 0, out = "";
    for (const char of text) {
      if (char === "⟧") depth -= 1;
      if (!depth) out += char;
      if (char === "⟦") depth += 1;
    }
    return out.replace(/\S*\.png|[0-9a-f]{16}…/g, ""); // files and checksums
  };
  const said = ["aria-label", "placeholder", "alt"];
  const texts = [...document.querySelectorAll("[aria-label], [placeholder], [alt]")]
    .flatMap((each) => said.map((name) => each.getAttribute(name) ?? ""));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("script, textarea, code")) texts.push(walker.currentNode.data);
  }
  const unsaid = (text) => (own(text).match(/[A-Za-z]{3,}/g) ?? []).some((word) => !names.includes(word));
  return [...new Set(texts)].filter(unsaid);
}"""


@pytest.fixture
def client(service: Service, settings: Settings) -> Iterator[TestClient]:
    """A program before an open console; a part was passed and one rejected."""
    service.engine.judge(frame("good", png(500)))
    service.engine.judge(frame("bad", png(610, STEADY, Flaw.BURR)))
    view = line_view(settings, open_state(settings.state_dir), service.streams)
    with TestClient(application(view, access(ConsoleSettings())), base_url="http://127.0.0.1") as one:
        yield one


def test_programs_are_answered_in_english_and_browsers_in_theirs(client: TestClient) -> None:
    bad, _ = client.get("/api/frames").json()
    assert bad["reason"].startswith("score ")
    bad, _ = client.get("/api/frames", headers=GERMAN).json()
    assert (bad["verdict"], bad["reason"].split()[0]) == ("NG", "Wert")
    assert bad["question"] == "Es wurde aussortiert. Ist es wirklich fehlerhaft?"


def test_an_error_says_what_it_is_in_every_language(client: TestClient) -> None:
    for headers, came, do in (
        ({}, "none", "teach good parts first"),
        (GERMAN, "keine", "lernen Sie erst Gutteile an"),
    ):
        told = client.post("/api/setup/live", json={"draft": "x"}, headers=headers).json()
        assert (told["kind"], told["came"], told["do"]) == ("NothingTaught", came, do)
    refused = client.get("/parts/99", headers={**GERMAN, "Accept": "text/html"})
    assert "Diese Adresse" not in refused.text
    assert 'lang="de"' in refused.text
    assert "suchen Sie sie unter" in refused.text


def test_a_report_is_in_the_reader_s_language(client: TestClient) -> None:
    assert "False rejects a day" in client.get("/reports/report.html").text
    assert "Pseudofehler je Tag" in client.get("/reports/report.html", headers=GERMAN).text
    assert "false rejects" in client.get("/reports/report.csv", headers=GERMAN).text, "figures are for programs"


def test_scripts_get_the_words_that_they_say(client: TestClient) -> None:
    text = client.get("/words/de.js").text
    words = json.loads(text.partition("const WORDS = ")[2].partition(";\n")[0])
    assert words["No connection to the console."] == "Keine Verbindung zur Konsole."
    assert words["A lesson comes after {count} more answer."][1].startswith("Nach {count} weiteren Antworten")
    assert "Add the folder" not in words
    assert "const FORM = (n) => Number((n != 1));" in text
    assert client.get("/words/en.js").text.startswith("const WORDS = {};\n")
    assert client.get("/words/tlh.js").status_code == 404


def test_everybody_hears_news_in_their_language(service: Service, settings: Settings) -> None:
    news = EventBroadcaster(StatusView(line_view(settings, open_state(settings.state_dir), service.streams)))

    async def scenario() -> tuple[str, str]:
        reading = asyncio.create_task(news.run())
        with news.subscribed() as english, speaking.speaking("de"), news.subscribed() as german:
            heard = str(await english.get()), str(await german.get())
        news.end()
        await reading
        return heard

    english, german = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert "The service is not running" in english
    assert "Der Dienst l\\u00e4uft nicht" in german


def test_who_comes_while_news_are_read_in_other_languages_waits_for_the_next(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.console.events.POLL_S", 0.01)
    news = EventBroadcaster(StatusView(line_view(settings, open_state(settings.state_dir), service.streams)))
    read, reading, gone_on = news._read, threading.Event(), threading.Event()

    def slowly(*asked: Any) -> Any:
        reading.set()
        gone_on.wait(10)
        return read(*asked)

    monkeypatch.setattr(news, "_read", slowly)

    async def scenario() -> str:
        running = asyncio.create_task(news.run())
        with news.subscribed():
            await asyncio.to_thread(reading.wait, 10)
            with speaking.speaking("de"), news.subscribed() as german:
                gone_on.set()
                heard = str(await german.get())
        news.end()
        await running
        return heard

    assert "Der Dienst l" in asyncio.run(asyncio.wait_for(scenario(), 20))


def test_work_tells_its_reader_what_it_does_and_finds_in_the_language_of_whoever_began() -> None:
    jobs, ended = Jobs(), threading.Event()

    def run(work: Work) -> None:
        work.found = {"what": said("none known")}
        list(work.track([1], "known defects"))
        ended.set()
        raise DriftlineError(expected="a draft", came="none", do="teach again")

    with speaking.speaking("de"):
        jobs.start("x", "eva", run)
    assert ended.wait(10)
    jobs.stop()
    assert jobs.newest is not None
    told = jobs.newest.told()
    assert (told["step"], told["found"]) == ("known defects", {"what": "keine bekannt"})
    assert told["error"] == "expected a draft; came none; teach again"
    with speaking.speaking("de"):
        assert jobs.newest.told()["step"] == "bekannte Fehler"


@pytest.mark.redis
@pytest.mark.slow
def test_a_reader_s_choice_stands_on_every_page(page: Page, url: str) -> None:
    page.goto(f"{url}/parts")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("#language").select_option("de")
    expect(page.locator("nav [aria-current]")).to_have_text("Teile")
    page.goto(f"{url}/review")
    expect(page.locator("#good")).to_contain_text("Gut")
    expect(page.locator("#lesson")).to_contain_text("weiteren Antworten folgt ein Lernlauf")
    page.locator("#language").select_option("en")
    expect(page.locator("#good")).to_contain_text("Good")


@pytest.mark.redis
@pytest.mark.slow
def test_no_word_of_any_page_is_without_a_translation(
    browser: Browser,
    line: tuple[Service, Settings],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a language that puts each of its words in brackets, nothing but names and numbers stands outside of them."""
    entries = ['msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n']
    for message in collected():
        where = "".join(f"#: {path}\n" for path, _ in message.locations)
        texts = [message.id] if isinstance(message.id, str) else message.id
        quote = [json.dumps(text, ensure_ascii=False) for text in texts]
        in_brackets = [f'"⟦{text[1:-1]}⟧"' for text in quote]
        if len(quote) == 1 and message.id:
            entries.append(f"{where}msgid {quote[0]}\nmsgstr {in_brackets[0]}\n")
        elif message.id:
            forms = "\n".join(f"msgstr[{at}] {text}" for at, text in enumerate(in_brackets))
            entries.append(f"{where}msgid {quote[0]}\nmsgid_plural {quote[1]}\n{forms}\n")
    (tmp_path / "eo.po").write_text("\n".join(entries))
    monkeypatch.setattr(speaking, "FOLDER", tmp_path)
    languages.cache_clear()
    ledger = line[0].engine.ledger
    answers.record(ledger, answers.answer("f610", "defect", "anna"), NOW_MS)
    plan(ledger, NOW_MS, "eva", "autumn", 2, ["console"], {"f500": Label.GOOD, "f611": Label.DEFECT})
    context = browser.new_context(locale="eo")
    page = context.new_page()
    try:
        left = {}
        for path in (*EVERY_PAGE, "parts/2", "studies/1", "studies/1/rate", "login", "nowhere"):
            page.goto(f"{url}/{path}")
            page.wait_for_timeout(1_000)
            found = page.evaluate(LEFT_OVER, UNSAID)
            if found:
                left[path] = found
        assert left == {}
    finally:
        languages.cache_clear()
        context.close()


@pytest.mark.redis
@pytest.mark.slow
def test_scripts_know_every_plural_of_a_third_language(
    browser: Browser, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cs.po").write_text(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;\\n"\n\n'
        '#: daemon/console/static/parts.js\nmsgid "{count} part"\nmsgid_plural "{count} parts"\n'
        'msgstr[0] "{count} díl"\nmsgstr[1] "{count} díly"\nmsgstr[2] "{count} dílů"\n'
    )
    monkeypatch.setattr(speaking, "FOLDER", tmp_path)
    languages.cache_clear()
    context = browser.new_context(locale="cs-CZ")
    try:
        page = context.new_page()
        page.goto(f"{url}/parts")
        said = page.evaluate('[0, 1, 3, 5].map((n) => _n("{count} part", "{count} parts", n))')
        assert said == ["0 dílů", "1 díl", "3 díly", "5 dílů"]
    finally:
        languages.cache_clear()
        context.close()
