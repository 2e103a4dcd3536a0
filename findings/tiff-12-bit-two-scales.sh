#!/usr/bin/env bash
# OpenCV 5.0 against Pillow 13.0 and tifffile 2026.3.3: one packed 12-bit TIFF, values sixteen times apart.
#
# The file says BitsPerSample 12. Pillow and tifffile give the 12-bit values; OpenCV moves them up to 16 bits and says
# nothing, so 4095 becomes 65520. A threshold, a bit depth "found" from the largest value or a mean grey that was measured
# with one of them is wrong by 16 with the other. Seen on 27 November 2026; fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6 opencv-python-headless==5.0.0.93 pillow==13.0.0
"$folder/venv/bin/python" - <<'PY'
import io

import cv2
import numpy as np
import PIL.Image
import tifffile

ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
out = io.BytesIO()
tifffile.imwrite(out, ramp, bitspersample=12, byteorder="<")
data = out.getvalue()
seen = {
    "tifffile": tifffile.imread(io.BytesIO(data)),
    "Pillow": np.asarray(PIL.Image.open(io.BytesIO(data))),
    "OpenCV": cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED),
}
print({name: int(values.max()) for name, values in seen.items()})
assert np.array_equal(seen["tifffile"], ramp), "tifffile no longer gives 12-bit values"
assert np.array_equal(seen["Pillow"], ramp), "Pillow no longer gives 12-bit values"
assert np.array_equal(seen["OpenCV"], ramp * 16), "OpenCV no longer moves them up to 16 bits"
PY
