"""The next reconciliation, as the model sees it: what the terminal shows that the ledger cannot explain."""

from tests.model.state import Ledger, Terminal
from tests.model.story import Story

REFUSED = frozenset({"rejected", "denied", "superseded"})


def drifts(story: Story, terminal: Terminal, ledger: Ledger) -> list[str]:
    """Disagreements between positions, marked deals and the ledger; empty when all is explained."""
    found = []
    for n, link in enumerate(ledger.links):
        has = sum(volume for mark, volume in enumerate(terminal.volume) if story[mark % len(story)].link == n)
        if has != link.own:
            found.append(f"link {n}: the terminal has {has}, the ledger {link.own}")
        refused = any(r in REFUSED for fact, r in zip(story, ledger.done, strict=True) if fact.link == n)
        if not refused and link.own != (link.followed or 0):
            found.append(f"link {n}: we have {link.own}, the source {link.followed}")
    for mark, doubled in enumerate(terminal.doubled):
        if doubled:
            found.append(f"«{story[mark % len(story)].name}» was opened once more: {doubled}")
    for mark, opened in enumerate(terminal.opened):
        fact, result = story[mark % len(story)], ledger.done[mark % len(story)]
        if opened and result != "filled":
            found.append(f"«{fact.name}» ended {result}, but its mark has deals of {opened}")
    return found
