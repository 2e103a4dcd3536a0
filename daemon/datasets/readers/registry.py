"""The data sets that can be read by name: where each is to be had, under which licence, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.datasets.labelled import DataSet, LabelsError
from daemon.datasets.readers import (
    flat,
    kolektor2,
    lookout,
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

NON_COMMERCIAL = "CC BY-NC-SA 4.0"
OWN = "your own"


@dataclass(frozen=True)
class Layout:
    """A published data set's layout: how a folder of it is read, where the set is to be had, and its licence.

    `metric` is the figure that its authors rank by. With `categories`, each is a folder of its own below the root.
    """

    read: Callable[[Path], DataSet]
    source: str
    licence: str
    metric: str
    categories: tuple[str, ...] = ()

    def folders(self, root: Path) -> dict[str, Path]:
        """The folders to read, by category: those that are there; the root itself where there are no categories, or it
        is one of them. Raises LabelsError where none is there."""
        root = root.resolve()
        if not self.categories or root.name in self.categories:
            return {root.stem: root}
        there = {name: root / name for name in self.categories if (root / name).is_dir()}
        if not there:
            raise LabelsError(
                expected=f"a folder with some of {', '.join(self.categories)}",
                came=f"none of them in {root}",
                do=f"get the set at {self.source} (licence: {self.licence}) and unpack it there",
            )
        return there


MVTEC_URL = "https://www.mvtec.com/company/research/datasets"
AD = "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush transistor wood zipper"
AD2 = "can fabric fruit_jelly rice sheet_metal vial wallplugs walnuts"
LOCO = "breakfast_box juice_bottle pushpins screw_bag splicing_connectors"
AD3D = "bagel cable_gland carrot cookie dowel foam peach potato rope tire"
VISA = "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum"

LAYOUTS = {
    "mvtec-ad": Layout(mvtec.read, f"{MVTEC_URL}/mvtec-ad", NON_COMMERCIAL, "AUROC", tuple(AD.split())),
    "mvtec-ad2": Layout(mvtec_ad2.read, f"{MVTEC_URL}/mvtec-ad-2", NON_COMMERCIAL, "SegF1", tuple(AD2.split())),
    "mvtec-loco": Layout(mvtec_loco.read, f"{MVTEC_URL}/mvtec-loco", NON_COMMERCIAL, "sPRO", tuple(LOCO.split())),
    "mvtec-3d": Layout(mvtec_3d.read, f"{MVTEC_URL}/mvtec-3d-ad", NON_COMMERCIAL, "AUPRO", tuple(AD3D.split())),
    "visa": Layout(visa.read, "https://github.com/amazon-science/spot-diff", "CC BY 4.0", "AUROC", tuple(VISA.split())),
    "kolektor2": Layout(kolektor2.read, "https://www.vicos.si/resources/kolektorsdd2", NON_COMMERCIAL, "AP"),
    "neu-det": Layout(neu_det.read, "http://faculty.neu.edu.cn/songkechen", "for research", "mAP"),
    "severstal": Layout(
        severstal.read, "https://www.kaggle.com/c/severstal-steel-defect-detection", "the competition's rules", "Dice"
    ),
    "yolo": Layout(yolo.read, "its authors, as for the weld X-rays on Kaggle and Roboflow", "its authors'", "mAP"),
    "magnetic-tiles": Layout(
        magnetic_tiles.read, "https://github.com/abin24/Magnetic-tile-defect-datasets.", "for research", "AUROC"
    ),
    "mvtec-style": Layout(mvtec.read, OWN, OWN, "AUROC"),
    "folder": Layout(flat.read, OWN, OWN, "AUROC"),
    "lookout": Layout(lambda path: flat.held_out(lookout.read(path, path.parent)), OWN, OWN, "AUROC"),
}


def layout(name: str) -> Layout:
    """The layout of this name. Raises LabelsError for one that is not known."""
    if name not in LAYOUTS:
        raise LabelsError(
            expected=f"one of {', '.join(LAYOUTS)}",
            came=repr(name),
            do="choose the layout in which your set is, or 'folder'",
        )
    return LAYOUTS[name]
