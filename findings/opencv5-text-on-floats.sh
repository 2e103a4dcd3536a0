#!/usr/bin/env bash
# OpenCV 5 draws text on 8-bit pictures alone; lines, circles and polygons it still draws on float32.
#
# cv2.putText on a float32 picture writes the text with opencv-python-headless 4.13.0.92. With 5.0.0.93 the same call raises
# cv2.error, "(-215:Assertion failed) img.depth() == CV_8U", while cv2.line, cv2.circle and cv2.fillPoly go on taking
# float32. So code that renders in float32 breaks at its labels only. Way round: write on an 8-bit mask and blend it in.
# Seen on 27 November 2026; fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/draw.py" <<'PY'
import cv2
import numpy as np

picture = np.zeros((60, 200), dtype=np.float32)
corners = np.array([[5, 5], [20, 5], [20, 20]], dtype=np.int32)
cv2.line(picture, (0, 30), (199, 30), 0.5, 2)
cv2.circle(picture, (100, 30), 10, 0.7, -1)
cv2.fillPoly(picture, [corners], 0.9)
drawn = float(picture.sum())
try:
    cv2.putText(picture, "4711", (10, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1.0, 2)
    told = "text drawn" if picture.sum() > drawn else "nothing drawn"
except cv2.error as error:
    told = "cv2.error: " + str(error).strip().split("error: ")[-1].split(" in function")[0]
print(cv2.__version__, "shapes drawn" if drawn > 0 else "no shapes", "|", told)
PY

told() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$1" "numpy==2.3.5" >&2
    "$folder/$1/bin/python" "$folder/draw.py"
}
before=$(told 4.13.0.92)
now=$(told 5.0.0.93)
echo "$before"
echo "$now"
[[ $before == "4.13.0 shapes drawn | text drawn" ]]
[[ $now == "5.0.0 shapes drawn | cv2.error: (-215:Assertion failed) img.depth() == CV_8U" ]]
echo "as described"
