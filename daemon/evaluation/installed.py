"""Whether what figures need is installed; asked before anything that imports it."""

from __future__ import annotations

from importlib.util import find_spec

from daemon.settings.load import ConfigError


def need_scikit_learn() -> None:
    """Raises ConfigError where scikit-learn is not installed."""
    if find_spec("sklearn") is None:
        raise ConfigError(
            expected="scikit-learn, which computes the figures",
            came="it is not installed",
            do="pip install 'driftline[bench]'",
        )
