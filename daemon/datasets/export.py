"""The review set for other tools: tasks for Label Studio, or a folder as MVTec AD has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from daemon.datasets.labelled import box_of
from daemon.intake import jpeg2000
from daemon.intake.decode import LEAST_PX, ImageRejected, pictured, read
from daemon.learning.answers import agreed_on
from daemon.ledger.frames import review_set
from daemon.ledger.kept import KeptFrames
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Box, JudgedFrame
from daemon.settings.models import SourceSettings
from policies.verdict import Label, Verdict

EVERY_ANSWER = 2**62
BROWSERS_SHOW = frozenset({".bmp", ".gif", ".jpg", ".png", ".webp"})
LABELS = """<View>
  <Image name="image" value="$image"/>
  <Choices name="verdict" toName="image"><Choice value="good"/><Choice value="defect"/></Choices>
  <RectangleLabels name="region" toName="image"><Label value="defect"/></RectangleLabels>
</View>
"""


@dataclass(frozen=True)
class Reviewed:
    """A frame that people were asked about or have answered for: its image as it was sent, and what people agree on.
    `label` is None where nobody answered or people disagree."""

    frame: JudgedFrame
    data: bytes
    suffix: str
    height: int
    width: int
    label: Label | None
    box: Box | None

    @property
    def name(self) -> str:
        """A file name of our own."""
        return f"{self.frame.seq:08d}{self.suffix}"

    def shown(self, source: SourceSettings) -> tuple[str, bytes]:
        """The name and the bytes of a file that a browser can show: the image's own, or in 8 bits as PNG."""
        if self.suffix in BROWSERS_SHOW:
            return self.name, self.data
        picture = pictured(self.data, max(self.height, self.width), source, None)
        return f"{self.frame.seq:08d}.png", cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


def reviewed(ledger: Ledger, kept: KeptFrames, source: SourceSettings) -> Iterator[Reviewed]:
    """Every frame that was asked about or answered for and is still kept, oldest first."""
    for frame in review_set(ledger):
        data = kept.image(frame.kept) if frame.kept else None
        if data is None:
            continue
        try:
            height, width = read(data, source.max_pixels, LEAST_PX, source.page).size_px
        except ImageRejected:
            continue
        agreed = next(iter(agreed_on(ledger, [frame.frame_id], EVERY_ANSWER)), None)
        yield Reviewed(
            frame=frame,
            data=data,
            suffix=_suffix(data),
            height=height,
            width=width,
            label=agreed.label if agreed else None,
            box=agreed.box if agreed else None,
        )


def label_studio(frames: Iterator[Reviewed], kept: KeptFrames, source: SourceSettings, out: Path) -> dict[str, int]:
    """Write `images/`, `tasks.json` (import it; serve the folder as local files, whose root is `out`) and `labels.xml`,
    the labelling interface. Images that no browser shows are PNG there. Driftline's verdict is each task's prediction,
    people's answer its annotation.

    https://labelstud.io/guide/task_format
    """
    (out / "images").mkdir(parents=True, exist_ok=True)
    tasks = []
    for one in frames:
        name, shown = one.shown(source)
        (out / "images" / name).write_bytes(shown)
        frame, threshold = one.frame, one.frame.threshold
        anomaly = kept.anomaly(frame.kept) if frame.kept else None
        hot = box_of(anomaly > threshold) if anomaly is not None and threshold is not None else None
        predicted = {Verdict.NG: Label.DEFECT, Verdict.OK: Label.GOOD}.get(frame.verdict)
        score = 1.0 - frame.p_value if frame.p_value is not None else 0.0  # Label Studio takes 0 to 1
        task: dict[str, Any] = {
            "data": {"image": f"/data/local-files/?d=images/{name}"}
            | {key: getattr(frame, key) for key in ("frame_id", "part_id", "verdict", "score", "threshold", "version")}
        }
        if predicted:
            model = f"driftline version {frame.version}"
            task["predictions"] = [{"model_version": model, "score": score, "result": _results(one, predicted, hot)}]
        if one.label:
            task["annotations"] = [{"result": _results(one, one.label, one.box)}]
        tasks.append(task)
    (out / "tasks.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False))
    (out / "labels.xml").write_text(LABELS)
    return {"tasks": len(tasks), "annotated": sum("annotations" in task for task in tasks)}


def mvtec(frames: Iterator[Reviewed], out: Path) -> dict[str, int]:
    """Write what people agreed on: `test/good`, `test/defect`, and in `ground_truth/defect` the mask of each region
    that was marked, white inside."""
    counts = {"good": 0, "defect": 0, "masks": 0, "unanswered": 0}
    for one in frames:
        if one.label is None:
            counts["unanswered"] += 1
            continue
        counts[one.label.value] += 1
        path = out / "test" / one.label / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)
        if one.label is Label.DEFECT and one.box:
            counts["masks"] += 1
            masks = out / "ground_truth" / "defect"
            masks.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(masks / f"{path.stem}_mask.png"), _mask(one))
    return counts


def _results(one: Reviewed, label: Label, box: Box | None) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {"from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": [label.value]}}
    ]
    if box and label is Label.DEFECT:
        left, top, right, bottom = (100 * share for share in box)
        value = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
        results.append(
            {
                "from_name": "region",
                "to_name": "image",
                "type": "rectanglelabels",
                "original_width": one.width,
                "original_height": one.height,
                "value": value | {"rectanglelabels": ["defect"]},
            }
        )
    return results


def _mask(one: Reviewed) -> npt.NDArray[np.uint8]:
    mask = np.zeros((one.height, one.width), dtype=np.uint8)
    assert one.box  # noqa: S101  # its caller has checked
    left, top, right, bottom = one.box
    mask[round(top * one.height) : round(bottom * one.height), round(left * one.width) : round(right * one.width)] = 255
    return mask


def _suffix(data: bytes) -> str:
    """The file suffix of an image, by its first bytes."""
    kinds = {
        b"\x89PNG": ".png",
        b"\xff\xd8": ".jpg",
        b"BM": ".bmp",
        b"II*\0": ".tif",
        b"MM\0*": ".tif",
        b"GIF8": ".gif",
        b"P5": ".pgm",
        b"P6": ".ppm",
        jpeg2000.SIGNATURE: ".jp2",
    }
    return next((suffix for start, suffix in kinds.items() if data.startswith(start)), ".webp")
