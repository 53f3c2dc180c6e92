"""Memory that several may take together, each with a share of his own. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

#: What there may be in memory at a moment, in bytes, of all that others have written and that is bounded by budgets:
#: each has its own bound, and not all can be at it at once.
INPUT: Final = 128 << 20


class Spent(Exception):
    """There is no more, of ``most`` bytes that one may have; ``together``: that all of them may, and ``else_too``: with
    what is bounded by other budgets."""

    def __init__(self, most: int, *, together: bool, else_too: bool = False) -> None:
        super().__init__(f"more than {most >> 20} MiB of memory" + (", with all else that is read" if else_too else ""))
        self.most = most
        self.together = together


@dataclass(eq=False)
class Budget:
    """``most`` bytes, of which ``taken`` are taken; ``always`` are for each, however much the others have. ``within``
    is another one that this is a part of."""

    most: int
    always: int
    within: Budget | None = None
    taken: int = 0

    @classmethod
    def of_input(cls) -> Budget:
        """For what others have written; one for a process."""
        return cls(INPUT, 0)

    def add(self, size: int) -> None:
        """So many bytes more are taken."""
        self.taken += size
        if self.within is not None:
            self.within.add(size)

    def exceeded(self, size: int) -> Budget | None:
        """The one, this or what it is a part of, that has no room for so many bytes more; None when there is room."""
        if self.taken + size > self.most:
            return self
        return self.within.exceeded(size) if self.within is not None else None


class Share:
    """What one has of a budget: ``most`` bytes at most."""

    def __init__(self, budget: Budget, most: int) -> None:
        self._budget = budget
        self._most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Take ``size`` bytes, all or none of them. Raises: Spent where that is more than the share, or than is left of
        the budget and of what this is a part of, and more than ``always``, which each may have."""
        if self.taken + size > self._most:
            raise Spent(self._most, together=False)
        exceeded = self._budget.exceeded(size)
        if exceeded is not None and self.taken + size > self._budget.always:
            raise Spent(exceeded.most, together=True, else_too=exceeded is not self._budget)
        self._add(size)

    def give(self, size: int) -> None:
        """Give ``size`` bytes back, which have been taken before."""
        self._add(-size)

    def _add(self, size: int) -> None:
        self.taken += size
        self._budget.add(size)


class Loan:
    """What is taken of a share for one purpose, to be given back together; without a share nothing is counted."""

    def __init__(self, share: Share | None) -> None:
        self._share = share
        self._taken = 0

    @property
    def counts(self) -> bool:
        """Whether anything is counted."""
        return self._share is not None

    def take(self, size: int) -> None:
        """Take ``size`` bytes more; without a share any number of them. Raises: Spent, as ``Share.take``."""
        if self._share is not None:
            self._share.take(size)
            self._taken += size

    def close(self) -> None:
        """Give all of it back."""
        if self._share is not None:
            self._share.give(self._taken)
            self._taken = 0


@contextmanager
def lent(share: Share | None) -> Iterator[Loan]:
    """A loan that is given back at the end."""
    loan = Loan(share)
    try:
        yield loan
    finally:
        loan.close()
