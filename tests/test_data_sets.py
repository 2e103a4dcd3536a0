"""Published data sets are read as their authors laid them out, with every oddity that the real ones have."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.datasets.annotations import Boxes, MaskFile, NamedBox, RunLengths
from daemon.datasets.labelled import DataSet, LabelledImage, LabelsError, Split
from daemon.datasets.readers import (
    flat,
    kolektor2,
    magnetic_tiles,
    mvtec,
    mvtec_3d,
    mvtec_ad2,
    mvtec_loco,
    neu_det,
    severstal,
    visa,
    yolo,
)
from daemon.datasets.readers.registry import LAYOUTS, layout

HEIGHT, WIDTH = 40, 60


def picture(suffix: str = ".png", height: int = HEIGHT, width: int = WIDTH) -> bytes:
    grey = np.tile(np.arange(width, dtype=np.uint8), (height, 1))
    return cv2.imencode(suffix, np.stack([grey] * 3, axis=2))[1].tobytes()


def marks(value: int = 255, dtype: type = np.uint8, suffix: str = ".png", columns: slice = slice(10, 30)) -> bytes:
    """A mask of rows 5 to 14 and these columns."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=dtype)
    mask[5:15, columns] = value
    return cv2.imencode(suffix, mask)[1].tobytes()


MARKED = np.zeros((HEIGHT, WIDTH), dtype=bool)
MARKED[5:15, 10:30] = True


def tree(root: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def summary(found: DataSet) -> list[tuple[str, str, str]]:
    return [(one.path.name, one.split.value, one.kind) for one in found.images]


def the(found: DataSet, name: str) -> LabelledImage:
    (image,) = (one for one in found.images if one.path.name == name)
    return image


def mask_in(found: DataSet, name: str) -> npt.NDArray[np.bool_]:
    mask = the(found, name).mask()
    assert mask is not None
    return mask


@pytest.mark.parametrize(
    ("mask", "data"),
    [
        ("burr/000_mask.png", marks()),
        ("burr/000.PNG", marks()),
        ("burr/000_mask.bmp", marks(suffix=".bmp")),
        ("burr/000_mask.png", marks(1)),
        ("burr/000_mask.tif", marks(40_000, np.uint16, ".tif")),
        ("burr/000/a.png", marks()),
    ],
)
def test_mvtec_ad_and_every_way_to_name_a_mask(tmp_path: Path, mask: str, data: bytes) -> None:
    root = tree(
        tmp_path,
        {
            "train/good/000.png": picture(),
            "train/good/readme.txt": "text",
            "test/good/000.png": picture(),
            "test/burr/000.png": picture(),
            "test/burr/001.JPG": picture(".jpg"),
            f"ground_truth/{mask}": data,
            "ground_truth/burr/007_mask.png": marks(),
        },
    )
    found = mvtec.read(root)
    assert summary(found) == [
        ("000.png", "train", "good"),
        ("000.png", "test", "burr"),
        ("001.JPG", "test", "burr"),
        ("000.png", "test", "good"),
    ]
    burr, unmarked, good = found.images[1:]
    assert np.array_equal(np.logical_or.reduce([region.mask for region in burr.regions()]), MARKED)
    assert burr.box == pytest.approx((10 / 60, 5 / 40, 30 / 60, 15 / 40))
    assert unmarked.mask() is None, "nobody knows where"
    none = good.mask()
    assert none is not None
    assert not none.any()
    assert [line.rpartition("/")[2] for line in found.ignored] == [
        "readme.txt: not named as an image",
        "007_mask.png: a mask without its image",
    ]
    assert [one.path.name for one in found.goods] == ["000.png"]


def test_a_mask_of_another_scale_is_scaled_and_one_of_another_shape_refused(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "train/good/000.png": picture(),
            "test/burr/000.png": picture(height=2 * HEIGHT, width=2 * WIDTH),
            "ground_truth/burr/000_mask.png": marks(),
            "test/burr/001.png": picture(height=WIDTH, width=HEIGHT),
            "ground_truth/burr/001_mask.png": marks(),
            "test/burr/002.png": picture(),
            "ground_truth/burr/002_mask.png": b"no image",
        },
    )
    found = mvtec.read(root)
    assert np.array_equal(found.images[1].regions()[0].mask, MARKED.repeat(2, 0).repeat(2, 1))
    with pytest.raises(LabelsError, match="in the shape of its image, 40×60"):
        the(found, "001.png").mask()
    with pytest.raises(LabelsError, match=r"no image: .*002_mask"):
        the(found, "002.png").mask()


LOCO = [
    {"defect_name": "missing pin", "pixel_value": 255, "saturation_threshold": 100, "relative_saturation": False},
    {"defect_name": "scratch", "pixel_value": 254, "saturation_threshold": 0.5, "relative_saturation": True},
]


def test_mvtec_loco_has_a_mask_for_each_defect_and_tells_what_must_be_found(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "defects_config.json": json.dumps(LOCO),
            "train/good/000.png": picture(),
            "validation/good/000.png": picture(),
            "test/good/000.png": picture(),
            "test/logical_anomalies/000.png": picture(),
            "ground_truth/logical_anomalies/000/000.png": marks(255),
            "ground_truth/logical_anomalies/000/001.png": marks(254, columns=slice(40, 50)),
        },
    )
    found = mvtec_loco.read(root)
    assert [split for _, split, _ in summary(found)] == ["train", "validation", "test", "test"]
    bad = found.images[3]
    assert [(region.kind, int(region.mask.sum()), region.saturation_px) for region in bad.regions()] == [
        ("missing pin", 200, 100.0),
        ("scratch", 100, 50.0),
    ]
    (root / "defects_config.json").write_text("[]")
    with pytest.raises(LabelsError, match="no kinds of defects"):
        mvtec_loco.read(root)
    (root / "defects_config.json").write_text(json.dumps(LOCO))
    tree(root, {"ground_truth/logical_anomalies/000/002.png": marks(7)})
    with pytest.raises(LabelsError, match=r"one of the values \[254, 255\]"):
        mvtec_loco.read(root).images[3].regions()


def test_a_saturation_beyond_the_region_is_all_of_it(tmp_path: Path) -> None:
    large = [LOCO[0] | {"saturation_threshold": 10_000}]
    root = tree(
        tmp_path,
        {
            "defects_config.json": json.dumps(large),
            "train/good/000.png": picture(),
            "test/logical_anomalies/000.png": picture(),
            "ground_truth/logical_anomalies/000/000.png": marks(),
        },
    )
    (region,) = mvtec_loco.read(root).images[1].regions()
    assert region.saturation_px == 200


def test_mvtec_ad_2_has_a_public_test_set_and_tells_of_the_private_ones(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "train/good/000_regular.png": picture(),
            "validation/good/001_regular.png": picture(),
            "test_public/good/002_shift_1.png": picture(),
            "test_public/bad/003_overexposed.png": picture(),
            "test_public/ground_truth/bad/003_overexposed_mask.png": marks(),
            "test_private/004_regular.png": picture(),
            "test_private_mixed/005_mixed.png": picture(),
        },
    )
    found = mvtec_ad2.read(root)
    assert [(split, kind) for _, split, kind in summary(found)] == [
        ("train", "good"),
        ("validation", "good"),
        ("test", "good"),
        ("test", "bad"),
    ]
    assert np.array_equal(mask_in(found, "003_overexposed.png"), MARKED)
    assert [line.partition(": ")[2] for line in found.ignored] == ["1 images, whose labels are not published"] * 2


def test_mvtec_3d_has_positions_beside_colours(tmp_path: Path) -> None:
    positions = cv2.imencode(".tiff", np.zeros((HEIGHT, WIDTH, 3), np.float32))[1].tobytes()
    root = tree(
        tmp_path,
        {
            "train/good/rgb/000.png": picture(),
            "train/good/xyz/000.tiff": positions,
            "test/good/rgb/000.png": picture(),
            "test/good/xyz/000.tiff": positions,
            "test/good/gt/000.png": marks(0),
            "test/hole/rgb/001.png": picture(),
            "test/hole/xyz/001.tiff": positions,
            "test/hole/gt/001.png": marks(),
        },
    )
    found = mvtec_3d.read(root)
    hole = the(found, "001.png")
    assert (hole.kind, hole.depth) == ("hole", root / "test/hole/xyz/001.tiff")
    assert np.array_equal(mask_in(found, "001.png"), MARKED)
    (root / "test/hole/xyz/001.tiff").unlink()
    with pytest.raises(LabelsError, match=r"the positions of .*hole/rgb/001\.png"):
        mvtec_3d.read(root)


def test_visa_is_read_by_its_list_and_its_masks_hold_numbers(tmp_path: Path) -> None:
    rows = [
        "object,split,label,image,mask",
        "candle,train,normal,candle/Data/Images/Normal/0000.JPG,",
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png",
        "candle,test,anomaly,candle/Data/Images/Anomaly/gone.JPG,",
        "candle,later,normal,candle/Data/Images/Normal/0000.JPG,",
        "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
    ]
    root = tree(
        tmp_path,
        {
            "split_csv/1cls.csv": "\n".join(rows),
            "candle/Data/Images/Normal/0000.JPG": picture(".jpg"),
            "candle/Data/Images/Anomaly/000.JPG": picture(".jpg"),
            "candle/Data/Masks/Anomaly/000.png": marks(3),
        },
    )
    found = visa.read(root / "candle")
    assert summary(found) == [("0000.JPG", "train", "good"), ("000.JPG", "test", "anomaly")]
    assert np.array_equal(mask_in(found, "000.JPG"), MARKED)
    assert [line.split(":")[0] for line in found.ignored] == [f"split_csv/1cls.csv, line {n}" for n in (4, 5)]
    assert layout("visa").folders(root) == {"candle": root / "candle"}


def test_kolektor_2_has_sizes_of_its_own_and_a_stray_copy(tmp_path: Path) -> None:
    black, other = marks(0), picture(height=HEIGHT + 3, width=WIDTH - 1)
    small = cv2.imencode(".png", np.zeros((HEIGHT + 3, WIDTH - 1), np.uint8))[1].tobytes()
    root = tree(
        tmp_path,
        {
            "train/10000.png": picture(),
            "train/10000_GT.png": black,
            "train/10001.png": picture(),
            "train/10001_GT.png": marks(),
            "train/10301_GT (copy).png": black,
            "train/10002.png": picture(),
            "test/20000.png": other,
            "test/20000_GT.png": small,
        },
    )
    found = kolektor2.read(root)
    assert summary(found) == [
        ("10000.png", "train", "good"),
        ("10001.png", "train", "defect"),
        ("20000.png", "test", "good"),
    ]
    assert np.array_equal(mask_in(found, "10001.png"), MARKED)
    assert mask_in(found, "20000.png").shape == (HEIGHT + 3, WIDTH - 1)
    assert [line.partition(": ")[2] for line in found.ignored] == [
        "an image without its mask 10002_GT.png",
        "a copy of another file",
    ]


def voc(*boxes: tuple[str, int, int, int, int], filename: str = "crazing_1") -> str:
    things = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for kind, a, b, c, d in boxes
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>1</depth></size>"
    return f"<annotation><filename>{filename}</filename>{size}{things}</annotation>"


@pytest.mark.parametrize(
    ("pictures", "notes"), [("train/images/crazing", "train/annotations"), ("IMAGES", "ANNOTATIONS")]
)
def test_neu_det_goes_by_the_note_s_own_name_and_each_box_s_own_kind(tmp_path: Path, pictures: str, notes: str) -> None:
    root = tree(
        tmp_path,
        {
            f"{pictures}/rolled-in_scale_1.jpg": picture(".jpg"),
            f"{notes}/rolled-in_scale_1.xml": voc(("rolled-in_scale", 11, 6, 30, 15), ("patches", 41, 0, 60, 40)),
            f"{pictures}/crazing_2.jpg": picture(".jpg"),
            f"{notes}/crazing_3.xml": voc(),
        },
    )
    found = neu_det.read(root)
    assert summary(found) == [("rolled-in_scale_1.jpg", "train", "rolled-in_scale")]
    first, second = found.images[0].regions()
    assert np.array_equal(first.mask, MARKED)
    assert (second.kind, int(second.mask.sum())) == ("patches", 20 * HEIGHT)
    assert [line.partition(": ")[2] for line in found.ignored] == [
        "boxes without their image",
        "an image without boxes",
    ]


@pytest.mark.parametrize(
    "note", ["<a>", voc(("x", 30, 5, 10, 15)), voc(("x", 0, 0, 61, 10)), "<annotation><object/></annotation>"]
)
def test_a_wrong_note_of_neu_det_is_named(tmp_path: Path, note: str) -> None:
    tree(tmp_path, {"IMAGES/crazing_1.jpg": picture(".jpg"), "ANNOTATIONS/crazing_1.xml": note})
    with pytest.raises(LabelsError, match=r"crazing_1\.xml"):
        neu_det.read(tmp_path)


def runs_of(mask: npt.NDArray[np.bool_]) -> str:
    """Run lengths as Severstal has them, by another way than ours: pixel by pixel."""
    words, before = [], False
    flat_mask = [bool(mask[row, column]) for column in range(mask.shape[1]) for row in range(mask.shape[0])]
    for number, marked in enumerate([*flat_mask, False], start=1):
        if marked and not before:
            words.append(number)
        if before and not marked:
            words.append(number - words[-1])
        before = marked
    return " ".join(map(str, words))


@pytest.mark.parametrize("joined", [False, True])
def test_severstal_numbers_pixels_from_1_down_the_columns(tmp_path: Path, joined: bool) -> None:
    names = [f"{n}.jpg" for n in range(5)]
    rows = [("1.jpg", "3", runs_of(MARKED)), ("1.jpg", "4", "1 2"), ("gone.jpg", "1", "1 1")]
    if joined:
        lines = ["ImageId_ClassId,EncodedPixels", *(f"{image}_{kind},{runs}" for image, kind, runs in rows), "0.jpg_1,"]
    else:
        lines = ["ImageId,ClassId,EncodedPixels", *(",".join(row) for row in rows)]
    root = tree(tmp_path, {f"train_images/{name}": picture(".jpg") for name in names} | {"train.csv": "\n".join(lines)})
    found = severstal.read(root)
    assert summary(found) == [
        ("0.jpg", "train", "good"),
        ("1.jpg", "train", "kind 3 and kind 4"),
        ("2.jpg", "train", "good"),
        ("3.jpg", "train", "good"),
        ("4.jpg", "test", "good"),
    ]
    third, fourth = the(found, "1.jpg").regions()
    assert np.array_equal(third.mask, MARKED)
    assert np.argwhere(fourth.mask).tolist() == [[0, 0], [1, 0]], "down the first column"
    assert len(found.ignored) == 1


@given(st.data())
def test_run_lengths_come_back(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    cells = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(cells, dtype=bool).reshape(height, width)
    (region,) = RunLengths({"kind": runs_of(mask)}, "train.csv").regions(height, width)
    assert np.array_equal(region.mask, mask), "a mask without a pixel too, though no set has one"


@pytest.mark.parametrize("runs", ["0 5", "1", "1 0", "2400 2", "one 2", "1 -1", "1 99999999999999999999"])
def test_runs_that_are_none_are_named(runs: str) -> None:
    with pytest.raises(LabelsError, match=r"train\.csv, line 2"):
        list(RunLengths({"kind": runs}, "train.csv, line 2").regions(HEIGHT, WIDTH))


@pytest.mark.parametrize("names", [["porosity", "crack", "Good Weld"], {0: "porosity", 1: "crack", 2: "Good Weld"}])
@pytest.mark.parametrize(("pictures", "labels"), [("train/images", "train/labels"), ("images/train", "labels/train")])
def test_yolo_s_boxes_are_shares_around_a_middle(tmp_path: Path, pictures: str, labels: str, names: object) -> None:
    root = tree(
        tmp_path,
        {
            "data.yaml": json.dumps({"names": names}) if isinstance(names, list) else f"names: {names}",
            f"{pictures}/a.jpg": picture(".jpg"),
            f"{labels}/a.txt": f"1 {20 / 60} {10 / 40} {20 / 60} {10 / 40}\n",
            f"{pictures}/b.jpg": picture(".jpg"),
            f"{labels}/b.txt": "",
            f"{pictures}/c.jpg": picture(".jpg"),
            f"{pictures}/d.jpg": picture(".jpg"),
            f"{labels}/d.txt": "2 0.5 0.5 0.5 0.5",
        },
    )
    found = yolo.read(root)
    assert summary(found) == [("a.jpg", "train", "crack"), ("b.jpg", "train", "good"), ("d.jpg", "train", "good")]
    assert np.array_equal(mask_in(found, "a.jpg"), MARKED)
    assert found.ignored == (f"{root / pictures / 'c.jpg'}: no labels: whether it is good is not known",)


def test_a_polygon_among_yolo_s_boxes_has_a_box_around_it(tmp_path: Path) -> None:
    corners = " ".join(f"{x / 60} {y / 40}" for x, y in ((10, 5), (30, 8), (20, 15)))
    tree(tmp_path, {"train/images/a.png": picture(), "train/labels/a.txt": f"0 {corners}"})
    assert np.array_equal(mask_in(yolo.read(tmp_path), "a.png"), MARKED)


@pytest.mark.parametrize("line", ["1 0.5 0.5 0.2", "1 0.5 0.5 0.2 nan", "1 0.9 0.5 0.4 0.2", "x 0.5 0.5 0.2 0.2"])
def test_a_wrong_line_of_yolo_is_named(tmp_path: Path, line: str) -> None:
    tree(tmp_path, {"train/images/a.png": picture(), "train/labels/a.txt": line})
    with pytest.raises(LabelsError, match=r"a\.txt, line 1"):
        yolo.read(tmp_path)


def test_one_magnetic_tile_is_never_on_both_sides(tmp_path: Path) -> None:
    good = [f"MT_Free/Imgs/exp{e}_num_{1000 * tile + e}.jpg" for tile in range(6) for e in (1, 2)]
    root = tree(
        tmp_path,
        dict.fromkeys(good, picture(".jpg"))
        | {
            "MT_Free/Imgs/exp1_num_1001.png": marks(0),
            "MT_Blowhole/Imgs/exp1_num_9000.jpg": picture(".jpg"),
            "MT_Blowhole/Imgs/exp1_num_9000.png": marks(),
            "MT_Free/Imgs/exp2_num_9150.jpg": picture(".jpg"),
            "MT_Free/Imgs/odd.jpg": picture(".jpg"),
        },
    )
    found = magnetic_tiles.read(root)
    sides: dict[str, set[Split]] = {}
    for one in found.images:
        sides.setdefault(one.part, set()).add(one.split)
    assert len(sides) == 7
    assert all(len(splits) == 1 for splits in sides.values())
    assert {one.split for one in found.images if "9" in one.path.stem[-4:][:1]} == {Split.TEST}, "a tile with a defect"
    assert len(found.goods) == 8
    assert np.array_equal(mask_in(found, "exp1_num_9000.jpg"), MARKED)
    assert [line.rpartition("/")[2] for line in found.ignored] == ["odd.jpg: not named exp…_num_…"]


def test_a_folder_of_folders_is_split_here(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {f"normal/{n}.png": picture() for n in range(10)}
        | {"burr/a.png": picture(), "masks/burr/a.png": marks(), "notes.txt": "text"}
        | {"chip/b.png": picture(), "masks/b_mask.png": marks()},
    )
    found = flat.read(root)
    assert len(found.goods) == 8
    assert np.array_equal(mask_in(found, "a.png"), MARKED)
    assert np.array_equal(mask_in(found, "b.png"), MARKED), "beside the folders of kinds"
    assert [region.kind for region in the(found, "b.png").regions()] == ["chip"]
    assert found.ignored == (f"{root / 'notes.txt'}: not named as an image",)


def read_all(name: str, root: Path) -> None:
    for folder in layout(name).folders(root).values():
        layout(name).read(folder)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_that_is_no_such_set_is_refused_with_a_clear_word(tmp_path: Path, name: str) -> None:
    for root in (tmp_path, tmp_path / "gone"):
        with pytest.raises(LabelsError, match=r"expected .*; came .*; ") as told:
            read_all(name, root)
        assert str(root) in str(told.value)
    with pytest.raises(LabelsError, match="'mvtec'"):
        layout("mvtec")


def test_where_a_set_is_to_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"get the set at https://www\.mvtec\.com/.* \(licence: CC BY-NC-SA 4\.0\)"):
        layout("mvtec-loco").folders(tmp_path)
    assert all(each.source and each.licence and each.metric for each in LAYOUTS.values())


def test_a_category_may_be_named_itself(tmp_path: Path) -> None:
    (tmp_path / "bottle").mkdir()
    assert layout("mvtec-ad").folders(tmp_path / "bottle") == {"bottle": tmp_path / "bottle"}
    assert layout("mvtec-ad").folders(tmp_path) == {"bottle": tmp_path / "bottle"}


def test_boxes_have_at_least_a_pixel() -> None:
    (region,) = Boxes((NamedBox("dot", (0.999, 0.999, 1.0, 1.0)),)).regions(10, 10)
    assert np.argwhere(region.mask).tolist() == [[9, 9]]


def test_a_mask_that_marks_nothing_has_no_region(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(marks(0))
    assert list(MaskFile(tmp_path / "m.png", "burr").regions(HEIGHT, WIDTH)) == []


TEXT = st.text(max_size=200)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    text=st.one_of(TEXT, TEXT.map(lambda t: f"ImageId,ClassId,EncodedPixels\n{t}"), TEXT.map(lambda t: f"<a>{t}</a>"))
)
@pytest.mark.parametrize(
    ("read", "file", "image"),
    [
        (severstal.read, "train.csv", "train_images/a.png"),
        (neu_det.read, "ANNOTATIONS/a.xml", "IMAGES/a.png"),
        (yolo.read, "train/labels/a.txt", "train/images/a.png"),
        (yolo.read, "data.yaml", "train/images/a.png"),
        (mvtec_loco.read, "defects_config.json", "train/good/a.png"),
        (lambda root: visa.read(root / "candle"), "split_csv/1cls.csv", "candle/a.png"),
    ],
)
def test_any_text_is_read_or_refused(
    tmp_path: Path, read: Callable[[Path], Any], file: str, image: str, text: str
) -> None:
    root = tree(tmp_path, {image: picture(), file: text.encode("utf-8", "surrogatepass")})
    with contextlib.suppress(LabelsError):
        for one in read(root).images:
            one.mask()
