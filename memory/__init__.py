"""The model: features, detectors, versions and their store."""

import os

from memory.runtime import configure_libraries

configure_libraries(os.environ)  # they read it while they are loaded, and every package of ours imports this one first
