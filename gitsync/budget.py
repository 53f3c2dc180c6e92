"""Memory that several may take together, each with a share of his own. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Spent(Exception):
    """There is no more, of ``most`` bytes that one may have; ``together``: that all of them may."""

    def __init__(self, most: int, *, together: bool) -> None:
        super().__init__(f"more than {most >> 20} MiB of memory")
        self.most = most
        self.together = together


@dataclass(eq=False)
class Budget:
    """``most`` bytes, of which ``taken`` are taken; ``always`` are for each, however much the others have."""

    most: int
    always: int
    taken: int = 0


class Share:
    """What one has of a budget: ``most`` bytes at most."""

    def __init__(self, budget: Budget, most: int) -> None:
        self._budget = budget
        self._most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises: Spent."""
        if self.taken + size > self._most:
            raise Spent(self._most, together=False)
        if self._budget.taken + size > self._budget.most and self.taken + size > self._budget.always:
            raise Spent(self._budget.most, together=True)
        self._add(size)

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._add(-size)

    def _add(self, size: int) -> None:
        self.taken += size
        self._budget.taken += size


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
        """Raises: Spent."""
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
