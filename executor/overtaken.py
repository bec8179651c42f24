"""What newer facts leave of an opening that waited: exits go past it, and so may take what it was to bring."""

from decimal import Decimal

from executor.book import Link
from executor.follow import total
from executor.settings import Account
from executor.steps import Open, Opening
from shared.facts import Fact


def overtaken(step: Opening, fact: Fact, link: Link | None, behind: Fact | None, account: Account) -> bool:
    """Whether an opening need not be made any more; nothing of it may have been sent.

    It need not when the newest total that was followed is no more than there was before the fact: opened now, all of it
    would be closed again at once. Nor when the fact only caught up with its source, which newer ones have done since.
    What a fact says that waits `behind` it for this end counts like one that was followed; not where the position was
    turned, since what that has closed is gone.
    """
    before, after = (total(amount, account) for amount in (fact.exposure.before, fact.exposure.after))
    grows = abs(after) > abs(before) or after * before < 0
    adds = isinstance(step, Open) and grows and after * before >= 0
    if adds and behind is not None and behind.exposure.revision > fact.exposure.revision:
        newest = total(behind.exposure.after, account)
        if _takes_back(newest, before):
            return True
    if link is None or link.revision <= fact.exposure.revision:
        return False
    return _takes_back(link.followed, before) or (isinstance(step, Open) and not grows)


def _takes_back(newest: Decimal, before: Decimal) -> bool:
    """Whether a total is no more than there was before."""
    return not newest or (newest * before > 0 and abs(newest) <= abs(before))
