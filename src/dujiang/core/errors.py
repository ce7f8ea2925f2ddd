"""What can go wrong, and which exit code each has.

    DujiangError
    ├── InputError        exit 1   the input has problems; carries all of them
    └── OperationError    exit 3   the disk, a server, a lock: can be tried again

Wrong usage of the command line (exit 2) is click's. Anything else that is raised is our own mistake.
"""

from collections.abc import Iterable

from dujiang.core.problem import Problem
from dujiang.core.text import Lang, Text


class DujiangError(Exception):
    """Base of all errors that a user may see."""

    exit_code = 3


class InputError(DujiangError):
    """The input has problems; `problems` lists all of them."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(p.say() for p in self.problems))


class OperationError(DujiangError):
    """An operation failed and can be tried again once its cause is gone."""

    exit_code = 3

    def __init__(self, message: Text) -> None:
        self.message = message
        super().__init__(message.en)

    def say(self, lang: Lang) -> str:
        """Return the message in the language asked for."""
        return self.message.say(lang)
