"""What newer facts leave of an opening that waited: exits go past it, and so may take what it was to bring."""

from executor.book import Link
from executor.follow import total
from executor.settings import Account
from executor.steps import Open, Opening
from shared.facts import Fact


def overtaken(step: Opening, fact: Fact, link: Link | None, account: Account) -> bool:
    """Whether an opening need not be made any more; nothing of it may have been sent.

    It need not when the newest total that was followed is no more than there was before the fact: opened now, all of it
    would be closed again at once. Nor when the fact only caught up with its source, which newer ones have done since.
    """
    if link is None or link.revision <= fact.exposure.revision:
        return False
    before, after = (total(amount, account) for amount in (fact.exposure.before, fact.exposure.after))
    newest = link.followed
    gone = not newest or (newest * before > 0 and abs(newest) <= abs(before))
    grows = abs(after) > abs(before) or after * before < 0
    return gone or (isinstance(step, Open) and not grows)
