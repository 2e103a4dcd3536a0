"""Exported models as scorers: what another tool says of an image, judged by our threshold, gate and ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from conftest import NOW_MS, frame, make_service, untracked
from onnx import TensorProto, helper
from pictures import INPUT_PX, png

from daemon.datasets.rendered import STEADY, Flaw, part
from daemon.learning import answers, lesson
from daemon.learning.teach import draft, images_in, teach
from daemon.settings.load import ConfigError, Settings, load
from daemon.streams import RedisStreams
from memory.backends import library
from memory.errors import DriftlineError, UnknownDetector
from memory.exported.detector import EXPORTED, as_features
from memory.exported.model import ExportedModel, UnsuitableModel
from memory.extract import Extractor
from memory.features import Features, Image, View
from memory.learners import learner_of

SIDE_PX = 32
Nodes = Sequence[onnx.NodeProto]
Save = Callable[..., Path]

BRIGHT = helper.make_node("ReduceMax", ["image"], ["anomaly_map"], axes=[1], keepdims=1)
WORST = helper.make_node("ReduceMax", ["anomaly_map"], ["most"], keepdims=0)
TWICE = helper.make_node("Add", ["most", "most"], ["pred_score"])
SCORE = helper.make_node("ReduceMax", ["image"], ["pred_score"], keepdims=0)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a model of these nodes, and tell its file."""

    def saved(nodes: Nodes, outputs: dict[str, Sequence[int]], batch: int | str = 1, channels: int = 3) -> Path:
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, SIDE_PX, SIDE_PX])
        told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(list(nodes), "model", [given], told)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    return saved


def extracting(scorer: ExportedModel) -> Extractor:
    """The tests' extractor with an exported model beside it."""
    own = {"model": "resnet18", "layers": (1,), "weights": "untrained", "input_px": INPUT_PX, "normalize": True}
    return Extractor(**own, device="cpu", scorer=scorer)  # type: ignore[arg-type]  # plain values by name


def for_openvino(file: Path) -> None:
    """Write the model beside its ONNX file, by the library that tells nobody how it is used."""
    openvino = library("openvino")
    openvino.save_model(openvino.convert_model(file), file.with_suffix(".xml"), compress_to_fp16=False)


def spot(row: int, column: int) -> Image:
    """A black image with a white pixel."""
    image = np.zeros((1, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    image[0, row, column] = 255
    return image


def test_a_cell_has_the_largest_value_of_the_map_in_it(save: Save) -> None:
    model = ExportedModel(save([BRIGHT], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX]}), 1)
    values = model(spot(9, 30), (4, 4)).reshape(4, 4)
    assert values[1, 3] == 1.0
    assert values.sum() == 1.0
    assert model(spot(9, 30), (3, 64)).reshape(3, 64).max() == 1.0


def test_the_model_s_own_score_is_the_largest_value(save: Save) -> None:
    file = save([BRIGHT, WORST, TWICE], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX], "pred_score": []})
    assert ExportedModel(file, 1)(spot(9, 30), (4, 4)).max() == 2.0


def test_a_score_without_a_map_counts_everywhere(save: Save) -> None:
    model = ExportedModel(save([SCORE], {"pred_score": []}, batch="batch"), 1)
    assert model(spot(3, 3), (2, 3)).tolist() == [[1.0] * 6]
    assert model(np.zeros((2, 50, 70, 3), np.uint8), (2, 3)).tolist() == [[0.0] * 6] * 2, "of any size and number"


def test_a_model_of_two_images_is_given_one_twice(save: Save) -> None:
    """As anomalib exports PatchCore."""
    each = helper.make_node("ReduceMax", ["anomaly_map"], ["pred_score"], axes=[1, 2, 3], keepdims=0)
    outputs = {"pred_score": [2], "anomaly_map": [2, 1, SIDE_PX, SIDE_PX]}
    model = ExportedModel(save([BRIGHT, each], outputs, batch=2), 1)
    assert model(spot(9, 30), (4, 4)).reshape(4, 4)[1, 3] == 1.0


def test_weights_that_lie_apart_are_part_of_the_model(save: Save) -> None:
    file = save([BRIGHT], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX]})
    alone = ExportedModel(file, 1).sha256
    assert ExportedModel(file, 1).sha256 == alone
    file.with_name("model.onnx.data").write_bytes(b"weights")
    assert ExportedModel(file, 1).sha256 != alone


def test_boxes_have_the_confidence_of_the_surest_over_them(save: Save) -> None:
    boxes = np.zeros((1, 6, 9), dtype=np.float32)  # x, y, width, height, two classes
    boxes[0, :, 0] = (8, 8, 16, 16, 0.9, 0.1)
    boxes[0, :, 1] = (8, 8, 30, 30, 0.2, 0.4)
    boxes[0, :, 2] = (28, 28, 4, 4, 0.0, 0.6)
    model = ExportedModel(save(constantly(boxes), {"output0": [1, 6, 9]}), 1)
    values = model(spot(0, 0), (4, 4)).reshape(4, 4)
    expected = [[0.9, 0.9, 0.4, 0], [0.9, 0.9, 0.4, 0], [0.4, 0.4, 0.4, 0], [0, 0, 0, 0.6]]
    assert values == pytest.approx(np.array(expected, dtype=np.float32))
    corners = np.zeros((1, 20, 6), dtype=np.float32)  # without duplicates: left, top, right, bottom, confidence, class
    corners[0, 0] = (0, 0, 16, 16, 0.9, 3)
    model = ExportedModel(save(constantly(corners), {"output0": [1, 20, 6]}), 1)
    assert np.count_nonzero(model(spot(0, 0), (4, 4))) == 4
    with pytest.raises(UnsuitableModel, match="between 0 and 1"):
        ExportedModel(save(constantly(10 * boxes), {"output0": [1, 6, 9]}), 1)


def constantly(boxes: npt.NDArray[np.float32]) -> Nodes:
    """A model that says the same of every image."""
    constant = helper.make_node("Constant", [], ["boxes"], value=onnx.numpy_helper.from_array(boxes))
    still = helper.make_node("Mul", ["image", "nought"], ["nothing"])
    nought = helper.make_node("Constant", [], ["nought"], value=onnx.numpy_helper.from_array(np.float32([0])))
    summed = helper.make_node("ReduceSum", ["nothing"], ["sum"], keepdims=0)
    added = helper.make_node("Add", ["boxes", "sum"], ["output0"])
    return [constant, nought, still, summed, added]


def test_openvino_says_what_onnx_runtime_says(save: Save, tmp_path: Path, rng: np.random.Generator) -> None:
    file = save([BRIGHT, WORST, TWICE], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX], "pred_score": []})
    for_openvino(file)
    images = rng.integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    other = ExportedModel(tmp_path / "model.xml", 1)
    assert other(images, (4, 4)) == pytest.approx(ExportedModel(file, 1)(images, (4, 4)), abs=1e-6)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(UnsuitableModel, match="weights data"):
        ExportedModel(tmp_path / "model.xml", 1)


SAME = helper.make_node("Identity", ["image"], ["same"])
BELOW = helper.make_node("Neg", ["anomaly_map"], ["below"])
MINUS = helper.make_node("Sub", ["below", "one"], ["minus"])
ONE = helper.make_node("Constant", [], ["one"], value=onnx.numpy_helper.from_array(np.float32([1])))
NOTHING_FINITE = helper.make_node("Log", ["anomaly_map"], ["log"])


@pytest.mark.parametrize(
    ("nodes", "outputs", "shape", "told"),
    [
        ([BRIGHT], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX]}, (1, 4), "an input of"),
        (
            [helper.make_node("Identity", ["image"], ["same"])],
            {"same": [1, 3, SIDE_PX, SIDE_PX]},
            (1, 3),
            "outputs same",
        ),
        ([BRIGHT, BELOW, ONE, MINUS], {"minus": [1, 1, SIDE_PX, SIDE_PX]}, (1, 3), "below 0"),
        ([BRIGHT, NOTHING_FINITE], {"log": [1, 1, SIDE_PX, SIDE_PX]}, (1, 3), "not finite"),
    ],
)
def test_a_model_of_another_kind_is_refused_when_it_is_opened(
    save: Save, nodes: Nodes, outputs: dict[str, Sequence[int]], shape: tuple[int, int], told: str
) -> None:
    with pytest.raises(UnsuitableModel, match=told):
        ExportedModel(save(nodes, outputs, *shape), 1)


@pytest.mark.parametrize("name", ["gone.onnx", "gone.xml", "torn.onnx", "torn.xml", "model.pt"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"no model at all")
        (tmp_path / "torn.bin").write_bytes(b"")
    with pytest.raises(UnsuitableModel, match=name):
        ExportedModel(tmp_path / name, 1)


def test_features_carry_the_value_and_name_the_model(save: Save, extractor: Extractor) -> None:
    model = ExportedModel(save([BRIGHT], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX]}), 1)
    with_it = extracting(model)
    image = part(3)[:INPUT_PX, :INPUT_PX]
    plain, more = extractor(image), with_it(image)
    assert np.array_equal(more.patches[:, :-2], plain.patches)
    assert with_it.fingerprint != extractor.fingerprint
    detector = learner_of(EXPORTED).fit([], None, 0)  # type: ignore[arg-type]  # it looks at neither
    score = detector.score(View(more))
    assert score.value == pytest.approx(model(image[None], more.grid).max(), rel=1e-3)
    assert score.map.max() == np.float32(score.value)


def test_a_mask_looks_at_its_places_alone() -> None:
    patches = as_features(np.array([[1, 2, 3, 4]], dtype=np.float32))[0]
    view, detector = View(Features(patches, (2, 2))), learner_of(EXPORTED).load({}, ())
    assert detector.score(view).value == 4
    assert detector.score_in(view, np.array([[True, True], [False, False]])).value == 2
    assert detector.score_without(view, "any").value == 4


def test_a_line_is_judged_by_an_exported_model(
    settings: Settings, save: Save, wire: RedisStreams, good_parts: Path
) -> None:
    """A model that says how bright the brightest pixel is: burrs shine."""
    model = ExportedModel(save([SCORE], {"pred_score": []}), 1)
    memory = settings.memory.model_copy(update={"detector": EXPORTED})
    line = make_service(settings.model_copy(update={"memory": memory}), extracting(model), wire)
    teach(images_in(good_parts), line.engine, line.store, "pytest", untracked)
    line.start()
    assert line.store.version(1).detector == EXPORTED
    assert line.engine.judge(frame("good", png(5))).verdict == "OK"
    assert line.engine.judge(frame("burr", png(501, STEADY, Flaw.BURR))).verdict == "NG"
    for name, label in (("good", "good"), ("burr", "defect")):
        answers.record(line.engine.ledger, answers.answer(name, label, "anna"), NOW_MS)
    lesson.learn(line.engine, line.store, "test")
    assert line.store.head().number == 2, "the defect is remembered, and the gate asks for it"
    assert line.store.load(line.store.head()).snapshot.confirmed_defects.samples == ("burr",)


def test_the_kind_needs_a_model() -> None:
    with pytest.raises(ConfigError, match=r"needs extractor\.scorer"):
        load(None, ["memory.detector=exported"])


@pytest.mark.parametrize("value", [0.0, 1e-5, 3e-5, 0.01, 0.5, 1.0, 17.3, 400.0, 5e5])
def test_a_value_is_kept_whether_small_or_large(value: float) -> None:
    patches = as_features(np.full((1, 4), value, dtype=np.float32))[0]
    assert np.array_equal(patches, patches.astype(np.float16)), "as blobs store it"
    kept = learner_of(EXPORTED).load({}, ()).score(View(Features(patches, (2, 2)))).value
    assert kept == pytest.approx(value, rel=1e-5, abs=6e-8)


def test_many_threads_may_ask_one_model(save: Save, tmp_path: Path) -> None:
    file = save([BRIGHT, WORST, TWICE], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX], "pred_score": []})
    for_openvino(file)
    for path in (file, tmp_path / "model.xml"):
        model = ExportedModel(path, 1)

        def asked(level: int, model: ExportedModel = model) -> bool:
            image = np.full((1, SIDE_PX, SIDE_PX, 3), level, dtype=np.uint8)
            return all(model(image, (1, 1)).item() == np.float32(level / 255) * 2 for _ in range(200))

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(asked, (51, 102, 204, 255)))


def test_without_its_library_a_model_says_what_to_install(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise DriftlineError(expected="onnxruntime", came="nothing", do="pip install 'driftline[onnx]'")

    monkeypatch.setattr("memory.exported.model.library", missing)
    with pytest.raises(DriftlineError, match=r"driftline\[onnx\]"):
        ExportedModel(save([BRIGHT], {"anomaly_map": [1, 1, SIDE_PX, SIDE_PX]}), 1)


def test_the_kind_is_not_taught_without_a_model(
    settings: Settings, wire: RedisStreams, good_parts: Path, extractor: Extractor
) -> None:
    line = make_service(settings, extractor, wire)
    with pytest.raises(UnknownDetector, match=r"extractor\.scorer"):
        draft(images_in(good_parts), line.engine, line.store, untracked, detector=EXPORTED)
