"""Definitions tested like code: cases in YAML, played in a world without effects, in simulated time.

:func:`open_file` and :func:`read_cases` read a file of cases, :func:`play` runs one and
:func:`judge` tells what isn't as expected. Nothing here touches files or the network.
"""

from tramontane.testing.cases import Case
from tramontane.testing.definitions import Definitions, Document, Kind
from tramontane.testing.judging import Mismatch, judge, summary
from tramontane.testing.playing import Played, play
from tramontane.testing.reading import OpenFile, open_file, read_cases

__all__ = [
    "Case",
    "Definitions",
    "Document",
    "Kind",
    "Mismatch",
    "OpenFile",
    "Played",
    "judge",
    "open_file",
    "play",
    "read_cases",
    "summary",
]
