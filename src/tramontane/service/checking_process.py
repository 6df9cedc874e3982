"""The process that checks large documents: reads one after the other from its standard input.

Messages both ways are pickles behind their length; both ends are this program. Whatever a library
prints goes to the error output, so that it can't get between the messages.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

from tramontane.errors import DefinitionError, TramontaneError
from tramontane.service.checking import LENGTH
from tramontane.service.documents import check


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while head := requests.read(LENGTH.size):
        message = requests.read(LENGTH.unpack(head)[0])
        answer = pickle.dumps(_answer(*pickle.loads(message)))
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _answer(kind: Any, text: Any, options: Any) -> Any:
    try:
        return check(kind, text, options)
    except DefinitionError as error:
        return error.message, error.problems
    except TramontaneError as error:
        return error.message, ()
    except RecursionError:
        return "Definition could not be parsed: it is nested too deeply.", ()


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
