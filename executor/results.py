"""What is known about one step once the lane is finished with it: the values from which `settle` makes the end.

An unknown step has no result here; the lane parks it until one of these is true.
"""

from decimal import Decimal

from msgspec import Struct

from executor.reasons import Denied, Obstacle
from executor.steps import Step


class Done(Struct, frozen=True, kw_only=True, tag=True):
    """MT5 did it. `volume` (lots) is what was really opened, closed or placed, which may be less than asked.

    `ticket` is the order's. `identifier` is the position's; for an opening on a hedging account it equals the ticket.
    `mark` is what the request bore in `magic`, 0 when it bore none.
    """

    ticket: int = 0
    identifier: int = 0
    deal: int = 0
    volume: Decimal = Decimal(0)
    price: Decimal | None = None
    retcode: int = 0
    mark: int = 0


class Already(Struct, frozen=True, tag=True):
    """The account was as the step wanted it, so nothing was asked (or MT5 said so)."""

    retcode: int = 0


class Rejected(Struct, frozen=True, tag=True):
    """MT5 refused for good; nothing was changed by it. `text` is the official text of the code."""

    retcode: int
    reason: Obstacle
    text: str = ""


class Owed(Struct, frozen=True, tag=True):
    """It was refused for a cause that can pass, or is unknown, and must still be done."""

    reason: Obstacle
    retcode: int = 0
    text: str = ""


class Skipped(Struct, frozen=True, tag=True):
    """Not asked: the account is in shadow, the source has closed since, or a step before it was not done."""

    shadow: bool = False
    superseded: bool = False


Result = Done | Already | Denied | Rejected | Owed | Skipped


class StepResult(Struct, frozen=True):
    """A step and what became of it."""

    step: Step
    result: Result
