"""The command line of a benchmark: its options, and `--short` for a run of seconds."""

from __future__ import annotations

import argparse


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser that says what the benchmark's module says."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def parse(options: argparse.ArgumentParser, **short: object) -> argparse.Namespace:
    """The command line's options; with `--short`, those that it does not name have their `short` values."""
    options.add_argument("--short", action="store_true", help="seconds, on rendered parts: does it run, not how good")
    if options.parse_known_args()[0].short:
        options.set_defaults(**short)
    return options.parse_args()
