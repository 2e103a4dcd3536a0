#!/usr/bin/env bash
# torch on Debian 12 (glibc 2.36) keeps a freed 20 MB tensor for each small one that a loop keeps: gigabytes in seconds.
#
# A loop makes a temporary of 20 MB, keeps a tensor of one number, and drops the temporary: nothing large is alive, yet the
# process holds about 11 MB more after every round, 2 GB after 200. With a kept list and greedy selection (k-centre
# coresets do just this) a few thousand rounds end in the kernel's out-of-memory killer. torch asks for aligned blocks
# (posix_memalign, 64 bytes), and a hole that such a block left is a few bytes too small for the next one of its size. It
# hangs on the size: 16 and 20 MB grow, 24 and 40 MB do not. Blocks from the kernel do not grow either: way round is a
# fixed mmap threshold, MALLOC_MMAP_THRESHOLD_=1048576, at the price of fresh pages for each block.
# Seen on 28 November 2026 with torch 2.14.1; fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/loop.py" <<'PY'
import ctypes
import sys

import torch


def held_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


torch.set_num_threads(1)
source = torch.zeros(int(sys.argv[1]) * 1_000_000 // 4)
kept = []
for number in range(200):
    temporary = source - 1.0
    if sys.argv[2] == "keep":
        kept.append(torch.tensor(float(number)))
    del temporary
    if number == 9:
        before = held_mb()
libc = ctypes.CDLL(None)
libc.gnu_get_libc_version.restype = ctypes.c_char_p
grown = "grows" if held_mb() - before > 1000 else "stays"
print(torch.__version__.split("+")[0], "glibc", libc.gnu_get_libc_version().decode(), sys.argv[1], "MB,", sys.argv[2] + ":", grown)
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "torch==2.14.1" "numpy==2.3.5" >&2
loop() { "$folder/venv/bin/python" "$folder/loop.py" "$@"; }
told=$(
    loop 20 keep
    loop 20 drop
    loop 40 keep
    MALLOC_MMAP_THRESHOLD_=1048576 loop 20 keep
)
echo "$told"
[[ $told == "2.14.1 glibc 2.36 20 MB, keep: grows
2.14.1 glibc 2.36 20 MB, drop: stays
2.14.1 glibc 2.36 40 MB, keep: stays
2.14.1 glibc 2.36 20 MB, keep: stays" ]]
echo "as described"
