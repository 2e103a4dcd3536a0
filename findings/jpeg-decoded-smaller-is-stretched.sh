#!/usr/bin/env bash
# A JPEG that is decoded to a half, a quarter or an eighth is stretched where its sides cannot be divided by that.
#
# libjpeg-turbo computes fewer pixels for each block of 8 × 8 when a smaller picture is asked for, which is several times as
# fast as decoding all and averaging. It rounds the size up: 2,073 px at a quarter are 519 columns, which stand for 2,076.
# The last column is mostly padding, and nothing says so: not OpenCV's IMREAD_REDUCED_COLOR_4, not simplejpeg's min_width.
# Who takes the picture for the whole image and resizes it has all of it moved to the left, the farther right the more, by
# more than a third of a pixel of 256: enough to tell the picture from one that was decoded whole, and edges by many grey
# levels. Pillow's draft() returns the true box (518.25 wide), and thumbnail() resizes by it. Sides that can be divided are
# not moved. Way round: decode smaller only by what divides both sides, or resize from the true box.
# Seen on 30 November 2026 with opencv-python-headless 5.0.0.93, simplejpeg 1.9.0 and Pillow 13.0.0 on Python 3.11; fails if
# that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/stretched.py" <<'PY'
import io

import cv2
import numpy as np
import PIL.Image
import simplejpeg

DARK, BRIGHT, TO = 60, 190, 256


def edge_px(picture):
    """Where the one upright edge of a picture (H, 256, …) lies, by the share that is dark."""
    return TO * (BRIGHT - float(np.asarray(picture).mean())) / (BRIGHT - DARK)


def seen(width):
    """Where each way of making a picture of 256 px puts an edge at 19/20 of a JPEG of this width, beside where it is."""
    at = width * 19 // 20
    image = np.full((400, width, 3), BRIGHT, dtype=np.uint8)
    image[:, :at] = DARK
    file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    bytes_ = np.frombuffer(file, dtype=np.uint8)

    def small(picture):
        return cv2.resize(picture, (TO, 50), interpolation=cv2.INTER_AREA)

    thumbnail = PIL.Image.open(io.BytesIO(file))
    box = thumbnail.draft("RGB", (width // 4, 100))[1]
    by_box = thumbnail.resize((TO, 50), PIL.Image.Resampling.BILINEAR, box=box)
    return {
        "true": at * TO / width,
        "whole, OpenCV": edge_px(small(cv2.imdecode(bytes_, cv2.IMREAD_COLOR))),
        "a quarter, OpenCV": edge_px(small(cv2.imdecode(bytes_, cv2.IMREAD_REDUCED_COLOR_4))),
        "a quarter, simplejpeg": edge_px(small(simplejpeg.decode_jpeg(file, min_width=-(-width // 4), min_height=100))),
        "a quarter, Pillow by its box": edge_px(by_box),
    }


for width in (2073, 2072):
    places = seen(width)
    print(f"{width} px wide:", ", ".join(f"{name} {place:.2f}" for name, place in places.items()))
    off = {name: places["true"] - place for name, place in places.items()}
    stretched = width % 4 != 0
    assert abs(off["whole, OpenCV"]) < 0.05, off
    assert abs(off["a quarter, Pillow by its box"]) < 0.05, off
    for name in ("a quarter, OpenCV", "a quarter, simplejpeg"):
        assert (off[name] > 0.2) == stretched, off
        assert stretched or abs(off[name]) < 0.05, off
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 simplejpeg==1.9.0 pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" "$folder/stretched.py"
