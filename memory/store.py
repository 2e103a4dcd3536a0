"""The store of versions on disk: `Store.commit` is the only durable change to the model.

Layout: `blobs/<sha256>` and `versions/000042.json`. A version exists once its manifest does, and the highest
valid manifest is the head, so there is no pointer that could disagree (after delta-rs' numbered commits).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memory import blobs
from memory.durable import disk, sync, write_draft
from memory.errors import Damaged, StaleParent, StoreError, UnknownDetector
from memory.version import Model, Snapshot, Version, VersionDraft, decode

REST_S = 3600.0


class Store:
    """Numbered, immutable, checksummed versions in one folder, which is created if absent.

    Raises StoreError from every method when the disk is full or refuses.
    """

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._versions = root / "versions"
        with disk(root):
            self._blobs.mkdir(parents=True, exist_ok=True)
            self._versions.mkdir(parents=True, exist_ok=True)

    def newest_number(self) -> int:
        """The highest number taken, valid or not; 0 in an empty store. One folder listing, for polling."""
        return max((int(p.stem) for p in self._manifests()), default=0)

    def head(self, *, by_sums: bool = False) -> Version | None:
        """The highest version whose manifest and blobs are intact, or None in a store that has none. For who only names
        it, `by_sums` alone: that reads the blobs too, and keeps nothing of them."""
        for path in sorted(self._manifests(), reverse=True):
            with contextlib.suppress(Damaged):
                version = self._read(path)
                if by_sums:
                    for name in version.blobs:
                        self._check_sum(version, name)
                else:
                    self._check(version)
                return version
        return None

    def damaged(self) -> list[str]:
        """One line for every version above the head that cannot be used, and for every unreadable manifest."""
        head, damages = self.head(), []
        for path in sorted(self._manifests()):
            try:
                version = self._read(path)
                if head is None or version.number > head.number:
                    self._check(version)
            except Damaged as error:
                damages.append(error.came)
        return damages

    def history(self) -> list[Version]:
        """Every readable manifest, oldest first, also of versions whose blobs retention has removed."""
        versions = []
        for path in sorted(self._manifests()):
            with contextlib.suppress(Damaged):
                versions.append(self._read(path))
        return versions

    def version(self, number: int) -> Version:
        """The manifest of one version. Raises StoreError when there is none or it is damaged."""
        path = self._path(number)
        if not path.exists():
            raise StoreError(
                expected="a version of this store",
                came=f"number {number}",
                do="see `driftline versions list`",
            )
        return self._read(path)

    def load(self, version: Version) -> Model:
        """The version with its snapshot, each blob checked against its SHA-256. Raises StoreError,
        and UnknownDetector where nothing is installed for its kind."""
        return Model(version, self._snapshot(version))

    def defects(self, version: Version) -> tuple[str, ...] | None:
        """The samples of a version's confirmed defects; None where its snapshot is gone or damaged."""
        path = self._blobs / version.blobs["replay"]
        with disk(path), contextlib.suppress(Damaged):
            return blobs.samples(path) if path.exists() else None
        return None

    def regimes(self, version: Version) -> Mapping[str, npt.NDArray[np.float64]] | None:
        """The arrays of a version's regimes; None where its snapshot is gone or damaged."""
        if "regimes" not in version.blobs:  # before format 5 there were none
            return {}
        with contextlib.suppress(Damaged):
            return blobs.arrays(self._blob(version, "regimes"))
        return None

    def reference(self, version: Version) -> Mapping[str, npt.NDArray[np.float64]]:
        """The arrays of a version's reference. Raises StoreError where its snapshot is gone or damaged."""
        return blobs.arrays(self._blob(version, "reference"))

    def current(self) -> Model:
        """The head with its snapshot. Raises StoreError in an empty store."""
        head = self.head()
        if head is None:
            raise StoreError(expected="a taught version", came="an empty store", do="run `driftline teach DIR`")
        return self.load(head)

    def commit(self, snapshot: Snapshot, draft: VersionDraft) -> Version:
        """Make `snapshot` the next version, durably, and return its manifest.

        A power cut at any step leaves the old head or the new one. Raises StaleParent when the draft's parent is no
        longer the head, StoreError when the disk refuses; then nothing has changed.
        """
        # The number comes first: whoever commits between this line and the link takes it from us.
        number = self.newest_number() + 1
        head, parent = self.head(), draft.parent
        if (head.number if head else None) != (parent.number if parent else None):
            raise _stale(parent, head.number if head else 0)
        with disk(self._blobs):
            digests = {name: self._write_blob(data) for name, data in blobs.encode(snapshot).items()}
            sync(self._blobs)
        version = draft.numbered(number, digests, snapshot.detector)
        with disk(self._versions):
            manifest = write_draft(self._path(number), version.encode())
            try:
                os.link(manifest, self._path(number))
            except FileExistsError:
                raise _stale(parent, number) from None
            finally:
                manifest.unlink()
            sync(self._versions)
        return version

    def copy_to(self, root: Path, through: int) -> None:
        """Copy the versions up to number `through` into a new store; blobs that retention has removed, or removes
        meanwhile, are left out."""
        copy = Store(root)
        for version in self.history():
            if version.number <= through:
                with disk(root):
                    for digest in version.blobs.values():
                        with contextlib.suppress(FileNotFoundError):
                            if not (copy._blobs / digest).exists():
                                shutil.copy2(self._blobs / digest, copy._blobs / digest)
                    shutil.copy2(self._path(version.number), copy._path(version.number))

    def prune(self, keep: int, now: float) -> list[int]:
        """Delete the blobs of all but the newest `keep` versions and the last one that was taught from a folder,
        from which every later one can be made again; manifests, the audit log, stay for ever.

        Returns the numbers of versions that lost blobs. Blobs that no manifest names (of an interrupted commit) go too.
        What was written or reused within `REST_S` of `now`, a Unix time in seconds, is spared: a commit in another
        process may be about to name it.
        """
        history, head = self.history(), self.head()
        taught = [v for v in history if v.cause == "teach"]
        kept = [*history[-max(keep, 1) :], *taught[-1:], *([head] if head else [])]
        wanted = {digest for version in kept for digest in version.blobs.values()}
        gone: set[str] = set()
        with disk(self._blobs):
            for path in list(self._blobs.iterdir()):
                if path.name not in wanted and now - path.stat().st_mtime > REST_S:
                    path.unlink()
                    gone.add(path.name)
            for path in self._versions.glob(".*.tmp"):
                if now - path.stat().st_mtime > REST_S:
                    path.unlink()
        return [v.number for v in history if gone & set(v.blobs.values())]

    def _manifests(self) -> Iterator[Path]:
        return (p for p in self._versions.iterdir() if re.fullmatch(r"\d{6,}\.json", p.name))

    def _path(self, number: int) -> Path:
        return self._versions / f"{number:06d}.json"

    def _read(self, path: Path) -> Version:
        with disk(path):
            version = decode(path.read_bytes(), path.name)
        if version.number != int(path.stem):
            raise Damaged(
                expected=f"number {int(path.stem)} in {path.name}",
                came=f"{path.name}: it says {version.number}",
                do="restore the file from a backup",
            )
        return version

    def _check(self, version: Version) -> None:
        """Raises Damaged unless the version's snapshot is intact. Of a kind of detector that is not installed only the
        sums are known."""
        with contextlib.suppress(UnknownDetector):
            self._snapshot(version)

    def _snapshot(self, version: Version) -> Snapshot:
        return blobs.decode({name: self._blob(version, name) for name in version.blobs}, version.detector)

    def _blob(self, version: Version, name: str) -> bytes:
        path = self._blobs / version.blobs[name]
        with disk(path):
            data = path.read_bytes() if path.exists() else b""
        self._require(version, name, hashlib.sha256(data).hexdigest(), there=bool(data))
        return data

    def _check_sum(self, version: Version, name: str) -> None:
        path = self._blobs / version.blobs[name]
        with disk(path):
            if not path.exists():
                self._require(version, name, "", there=False)
            with path.open("rb") as data:
                self._require(version, name, hashlib.file_digest(data, "sha256").hexdigest(), there=True)

    def _require(self, version: Version, name: str, digest: str, *, there: bool) -> None:
        wanted = version.blobs[name]
        if digest != wanted:
            raise Damaged(
                expected=f"an intact {name} of version {version.number}",
                came=f"version {version.number}: blob {wanted[:12]} is"
                f" {'altered' if there else 'missing (retention, or a lost file)'}",
                do="use a newer version, or restore the blob from a backup",
            )

    def _write_blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        target = self._blobs / digest
        if not target.exists() or hashlib.sha256(target.read_bytes()).hexdigest() != digest:
            write_draft(target, data).replace(target)
        else:
            os.utime(target)  # `prune` spares what was touched lately
        return digest


def _stale(parent: Version | None, number: int) -> StaleParent:
    return StaleParent(
        expected=f"version {parent.number if parent else 0} to be the head still",
        came=f"version {number}",
        do="propose again from the new head",
    )
