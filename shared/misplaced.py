"""What is read of Redis where somebody may have put something else under the name of one of our keys.

Whoever may write an account's keys may do that. It must not keep anybody from looking at all other accounts.
"""

from collections.abc import Awaitable
from typing import TypeVar

from redis.exceptions import ResponseError

from shared.plainly import wrong_type

T = TypeVar("T")


async def unless_misplaced(asked: Awaitable[T], otherwise: T) -> T:
    """What the server answers; `otherwise` when the key is something else than what was asked for.

    Raises all other redis errors.
    """
    try:
        return await asked
    except ResponseError as error:
        if not wrong_type(error):
            raise
        return otherwise
