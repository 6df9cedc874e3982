"""Definitions tested like code: cases in YAML, played in a world without effects, in simulated time.

:func:`open_file` and :func:`read_cases` read a file of cases, :func:`play` runs one and
:func:`judge` tells what isn't as expected. :func:`replay` runs definitions over what a past execution
recorded. Nothing here touches files or the network.
"""

from tramontane.testing.cases import Case
from tramontane.testing.definitions import Definitions, Document, Kind
from tramontane.testing.judging import Mismatch, judge, summary
from tramontane.testing.playing import Played, play
from tramontane.testing.reading import OpenFile, open_file, read_cases
from tramontane.testing.recording import RecordedExecution
from tramontane.testing.replay import Difference, Replayed, replay

__all__ = [
    "Case",
    "Definitions",
    "Difference",
    "Document",
    "Kind",
    "Mismatch",
    "OpenFile",
    "Played",
    "RecordedExecution",
    "Replayed",
    "judge",
    "open_file",
    "play",
    "read_cases",
    "replay",
    "summary",
]
