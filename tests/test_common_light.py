"""Images without a line are judged in the light that they have in common."""

from __future__ import annotations

import numpy as np
import pytest
from lessons import judge
from pictures import UNUSABLE, png

from daemon.datasets.rendered import STEADY, Flaw, Scene
from daemon.inference.common_light import LEAST_IMAGES, judge_in_common_light
from daemon.service import Service

OTHER = Scene(light=1.15, tint=(1.12, 1.0, 0.85))
GOODS = range(504, 504 + 12)


def gain(service: Service) -> np.ndarray:
    assert service.engine.active is not None
    return service.engine.active.monitor.gain


def score(service: Service, data: bytes) -> float:
    assert service.engine.active is not None
    return service.engine.score_image(service.engine.decode(data), service.engine.active).score.value


def test_another_lamp_is_no_defect_where_all_images_show_it(service: Service) -> None:
    files = [png(n, OTHER) for n in GOODS] + [png(610 + n, OTHER, Flaw.BURR) for n in range(4)]
    as_taught = np.array([score(service, png(n)) for n in GOODS])
    before = np.array([score(service, data) for data in files[:12]])
    judge_in_common_light(service.engine, files, service.engine.decode)
    after = np.array([score(service, data) for data in files[:12]])
    assert np.exp(gain(service)) == pytest.approx(1.15 * np.array(OTHER.tint), rel=0.05)
    assert np.abs(after - as_taught).mean() < 0.3 * np.abs(before - as_taught).mean()
    assert all(score(service, data) > service.engine.active.threshold.value for data in files[12:])  # type: ignore[union-attr]  # it is active


def test_files_that_cannot_be_judged_are_left_out(service: Service) -> None:
    files = [*UNUSABLE.values(), *(png(n, OTHER) for n in GOODS)]
    judge_in_common_light(service.engine, files, service.engine.decode)
    assert np.exp(gain(service)) == pytest.approx(1.15 * np.array(OTHER.tint), rel=0.05)


def test_few_images_tell_nothing_of_the_lamp(service: Service) -> None:
    judge_in_common_light(service.engine, [png(n, OTHER) for n in range(LEAST_IMAGES - 1)], service.engine.decode)
    assert (gain(service) == 0).all()


def test_a_line_that_has_judged_keeps_its_own_light(service: Service) -> None:
    judge(service, "f", 504, STEADY)
    own = gain(service)
    judge_in_common_light(service.engine, [png(n, OTHER) for n in GOODS], service.engine.decode)
    assert (gain(service) == own).all()
