"""Our commands with one safety taken out, for drills that have to notice. Arguments: the mutation, then the command."""

import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

REWIND = "_rewind"


def no_mark_search() -> None:
    """What may have been sent is sent again without a look."""
    from executor.search import Search

    async def search(_self: Any, attempt: Any, step: Any) -> None:
        attempt.unknown.discard(step.name)
        attempt.absent.add(step.name)

    Search.search = search  # type: ignore[method-assign,assignment]


def no_checks_in_the_commit() -> None:
    """A commit writes whatever it is given. Lease, version and pending check each catch an earlier end as well."""
    from executor import scripts

    refusals = ("return {'moved'", "return {'lease'", "return {'done'")
    assert all(refusal in scripts.COMMIT for refusal in refusals), "the commit does not refuse for that any more"
    kept = [line for line in scripts.COMMIT.splitlines() if not any(refusal in line for refusal in refusals)]
    scripts.COMMIT = "\n".join(kept)
    _renewal_says_nothing()


def no_lease_check() -> None:
    """Whoever asks the fence may call. The version stays, which tells what another lane has written.

    An executor that wakes up renews its lease in the same moment as it asks; which answer comes first is chance, so
    that the renewal's own look at the lease is taken out with the fence's.
    """
    from executor import scripts

    scripts.FENCE = _without(scripts.FENCE, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end\n")
    _renewal_says_nothing()


def _renewal_says_nothing() -> None:
    """Who has lost the lease does not learn it from its renewal, and renews nobody else's."""
    from executor import scripts

    check = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return %s end\n"
    assert check % "'lease'" in scripts.RENEW, "the renewal does not look at the lease any more"
    scripts.RENEW = scripts.RENEW.replace(check % "'lease'", check % "'ok'")


def no_return_to_a_gap() -> None:
    """The publisher never goes back to what the stream has lost: it goes on as if all were there."""
    from ingest.publishing import Courier

    async def rewind(self: Any, _last: int) -> None:
        self._outbox.renew(self.source)

    assert hasattr(Courier, REWIND), "the publisher has no such method any more"
    setattr(Courier, REWIND, rewind)


def deltas() -> None:
    """Facts are read as changes: whatever was followed before, the difference they state is made."""
    from executor import follower

    total = follower.translate  # type: ignore[attr-defined]

    def translate(fact: Any, book: Any, account: Any) -> Any:
        links = {
            key: replace(link, followed=fact.exposure.before.total, revision=0)
            if key.endswith(f"/{fact.exposure.position}")
            else link
            for key, link in book.links.items()
        }
        return total(fact, replace(book, links=links), account)

    follower.translate = translate  # type: ignore[attr-defined]


MUTATIONS: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (no_mark_search, no_lease_check, no_checks_in_the_commit, no_return_to_a_gap, deltas)
}


def _without(script: str, line: str) -> str:
    assert line in script, f"the script has no {line!r} any more"
    return script.replace(line, "")


def main() -> None:
    """Break what the first argument names, then run the rest as `tradecopier` or the scripted source would."""
    mutation = sys.argv.pop(1)
    MUTATIONS[mutation]()
    if sys.argv[1] == "source":
        sys.argv.pop(1)
        from deploy.chaos.source import main as run
    else:
        from deploy.cli import main as run
    run()


if __name__ == "__main__":
    main()
