"""A backend judges only versions of which it says what the reference says; otherwise torch judges, and it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from conftest import NOW_MS, details, frame, make_service
from pictures import png
from stand_ins import Change, StandIn, nearly, noisy
from versions import good_of

from daemon.cli import doctor
from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference.sight import sight_of
from daemon.intake.decode import decode
from daemon.learning import answers
from daemon.ledger.records import JudgedFrame
from daemon.service import Service
from daemon.settings.load import Settings
from daemon.streams import RedisStreams
from memory import backends
from memory.extract import Extractor
from memory.features import Patches
from memory.version import Model, Version
from policies.parity import TOLERANCE, Parity, compare
from policies.threshold import Threshold


def grey(patches: Patches) -> Patches:
    """Everything looks like the middle of the image: no defect is seen."""
    return np.broadcast_to(patches.mean(axis=1, keepdims=True), patches.shape).astype(np.float32)


def start(
    settings: Settings,
    extractor: Extractor,
    wire: RedisStreams,
    patch: pytest.MonkeyPatch,
    change: Change,
    build: str = "one",
) -> Service:
    """The taught line's service after it was given another backend."""
    patch.setattr(backends, "compiled", lambda *_: StandIn(extractor.backend, change, build))
    accelerated = settings.model_copy(update={"extractor": settings.extractor.model_copy(update={"backend": "onnx"})})
    service = make_service(accelerated, extractor, wire)
    service.start()
    return service


def teach_defect(service: Service) -> None:
    for number in (610, 611):
        service.engine.judge(frame(f"d{number}", burred(number)))
        answers.record(service.engine.ledger, answers.answer(f"d{number}", "defect", "anna"), NOW_MS)
    service.recalibrate()
    assert len(service.store.load(service.store.version(2)).snapshot.confirmed_defects) == 2


def burred(number: int) -> bytes:
    return png(number, STEADY, Flaw.BURR)


def comparisons(service: Service) -> list[Mapping[str, object]]:
    return details(service.engine.ledger, "backend")


def judged(service: Service, frame_id: str, flaw: Flaw | None = None) -> JudgedFrame:
    return service.engine.judge(frame(frame_id, png(700, STEADY, flaw)))


def head(service: Service) -> Model:
    version = service.store.head()
    assert version is not None
    return service.store.load(version)


def test_the_reference_agrees_with_itself_to_the_bit(service: Service, extractor: Extractor) -> None:
    teach_defect(service)
    model = head(service)
    pictures = service.engine.pictures(sight_of(model, extractor))

    def look(sample: str) -> object:
        image = pictures.sample(sample)
        return None if image is None else extractor(image)

    parity = compare(model, look)  # type: ignore[arg-type]  # features or none
    assert (parity.parts, parity.defects) == (16, 2)
    assert (parity.worst, parity.shift, parity.differing, parity.gone) == (0, 0, (), ())
    assert parity.threshold == Threshold.of(model.version.threshold)
    assert Parity.of(json.loads(json.dumps(parity.to_json()))) == parity


def test_a_backend_that_agrees_judges(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_defect(service)
    plain = judged(service, "plain")
    quick = start(settings, extractor, wire, monkeypatch, nearly)
    assert quick.status()["backend"] == "one"
    assert quick.status()["backend_refused"] is None
    row = judged(quick, "f")
    assert (plain.backend, row.backend) == (extractor.backend.description, "one")
    assert row.score == pytest.approx(plain.score, rel=TOLERANCE)
    assert 0 < abs(row.threshold - plain.threshold) < TOLERANCE * plain.threshold
    assert judged(quick, "flawed", Flaw.BURR).verdict == "NG"
    (comparison,) = comparisons(quick)
    assert comparison["certified"]
    assert 0 < float(str(comparison["worst"])) < TOLERANCE


@pytest.mark.parametrize("change", [noisy, grey])
def test_a_broken_backend_is_refused_with_the_figures(
    change: Change,
    service: Service,
    settings: Settings,
    extractor: Extractor,
    wire: RedisStreams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teach_defect(service)
    quick = start(settings, extractor, wire, monkeypatch, change)
    refused = str(quick.status()["backend_refused"])
    assert "%" in refused or "spreads" in refused
    assert quick.status()["backend"] == extractor.backend.description
    assert judged(quick, "f", Flaw.BURR).backend == extractor.backend.description
    (comparison,) = comparisons(quick)
    assert (comparison["certified"], comparison["reason"]) == (False, refused)
    (finding,) = (f for f in doctor.examine(quick.engine.settings) if f.check == "backend")
    assert finding.level == doctor.Severity.WARN
    assert refused in finding.found


@pytest.mark.usefixtures("service")
def test_a_backend_that_misses_a_confirmed_defect_is_refused(
    settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It agrees on every good part; the first defect that it would pass costs it its place, and the line does not
    stop: torch judges the version that learned the defect."""
    good, *flawed = (decode(data, extractor.input_px, 10**6) for data in (png(0), *map(burred, (610, 611))))
    missed = {extractor.backend(image[None]).tobytes() for image in flawed}

    def blind(patches: Patches) -> Patches:
        return extractor.backend(good[None]) if patches.tobytes() in missed else patches

    quick = start(settings, extractor, wire, monkeypatch, blind)
    assert quick.status()["backend"] == "one"
    teach_defect(quick)
    assert quick.status()["version"] == 2
    assert "d610, d611 would be judged otherwise" in str(quick.status()["backend_refused"])
    assert judged(quick, "f", Flaw.BURR).verdict == "NG"
    assert [each["certified"] for each in comparisons(quick)] == [True, False]


def test_a_version_is_compared_once_for_each_build_of_a_backend(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    for build in ("one", "one", "two"):
        start(settings, extractor, wire, monkeypatch, nearly, build)
    assert [each["backend"] for each in comparisons(service)] == ["one", "two"]


def test_a_lost_image_proves_nothing(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_defect(service)
    row = service.engine.ledger.frame("d610")
    assert row is not None
    service.engine.kept.drop(row.kept)
    quick = start(settings, extractor, wire, monkeypatch, nearly)
    assert "d610" in str(quick.status()["backend_refused"])
    assert "gone" in str(quick.status()["backend_refused"])
    service.engine.kept.keep("d610", burred(610), None, durable=True)
    again = start(settings, extractor, wire, monkeypatch, nearly)
    assert again.status()["backend_refused"] is None


def test_a_line_that_kept_no_images_is_told_to_teach_again(
    service: Service, settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lines of before backends could be chosen."""
    for name in head(service).snapshot.calibration_set.samples:
        service.engine.kept.drop(service.engine.kept.name(f"taught {name}"))
    quick = start(settings, extractor, wire, monkeypatch, nearly)
    assert "teach again" in str(quick.status()["backend_refused"])
    assert judged(quick, "f").backend == extractor.backend.description


@pytest.mark.usefixtures("service")
def test_what_is_learned_is_the_reference_s(
    settings: Settings, extractor: Extractor, wire: RedisStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lessons under a quick backend make the same bank as without it, so that backends may change at any time."""
    quick = start(settings, extractor, wire, monkeypatch, nearly)
    for number in range(3):
        quick.engine.judge(frame(f"g{number}", png(630 + number, Scene(wear=1.0, warmth=1.0))))
        answers.record(quick.engine.ledger, answers.answer(f"g{number}", "good", "anna"), NOW_MS)
    quick.recalibrate()
    version = quick.store.version(2)
    assert isinstance(version, Version)
    bank = good_of(quick.store.load(version).snapshot)
    assert set(version.added) & set(bank.samples)
    assert quick.status()["backend"] == "one"
    pictures = quick.engine.pictures(sight_of(quick.store.load(version), extractor))
    for row in np.flatnonzero(np.isin(bank.sample_index, [bank.samples.index(name) for name in version.added])):
        image = pictures.sample(bank.sample_of(int(row)))
        assert image is not None
        assert np.array_equal(bank.vectors[row], extractor(image).patches[bank.patch_index[row]])
    assert comparisons(quick)[-1]["number"] == 2
