#!/usr/bin/env bash
# tifffile 2026.3.3 with imagecodecs 2026.3.6: a TIFF of packed 12 bits in big-endian order is written with other values.
#
# `imwrite(..., bitspersample=12, byteorder=">")` raises nothing, and the file is a valid TIFF of the right size, but it
# does not hold the given values: tifffile itself reads zeros back, and so does OpenCV. Little-endian order is right.
# Cameras' makers do write big-endian TIFFs, so a test that makes its own files this way tests the wrong thing.
# Seen on 27 November 2026; fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PY'
import io

import cv2
import numpy as np
import tifffile

ramp = (np.arange(64, dtype=np.uint16) * 16).reshape(8, 8)
read = {}
for order in "<>":
    out = io.BytesIO()
    tifffile.imwrite(out, ramp, bitspersample=12, byteorder=order)
    read[order] = tifffile.imread(io.BytesIO(out.getvalue()))
    other = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    print(order, "tifffile", read[order][0].tolist(), "OpenCV", other[0].tolist())
assert np.array_equal(read["<"], ramp), "little-endian is no longer right"
assert not np.array_equal(read[">"], ramp), "big-endian is right now"
PY
