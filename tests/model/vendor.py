"""The terminal: executes requests, remembers marks, and says what it was asked to do twice or out of order."""

from tests.model.state import Call, Terminal, put
from tests.model.story import Story


def empty(marks: int) -> Terminal:
    """An account without positions. A mark is the number of its fact, plus their count for each attempt after it."""
    zeros = (0,) * marks
    return Terminal(zeros, zeros, zeros, zeros)


def execute(terminal: Terminal, call: Call, story: Story) -> Terminal | None:
    """The terminal after the request; None when it refuses (the position is gone or smaller than asked)."""
    return _open(terminal, call, story) if call.kind == "open" else _close(terminal, call)


def _open(terminal: Terminal, call: Call, story: Story) -> Terminal:
    if terminal.opened[call.mark]:
        wrong = f"two deals for one opening: {story[call.mark % len(story)].name}"
        doubled = put(terminal.doubled, call.mark, terminal.doubled[call.mark] + call.volume)
        return terminal._replace(doubled=doubled, wrong=terminal.wrong or wrong)
    wrong = ""
    if (
        call.mark < len(story)
        and terminal.newest_opening > call.mark not in terminal.excused
        and _same_instrument(story, terminal.newest_opening, call.mark)
    ):
        wrong = f"openings out of order: {story[call.mark].name} after {story[terminal.newest_opening].name}"
    return terminal._replace(
        volume=put(terminal.volume, call.mark, call.volume),
        opened=put(terminal.opened, call.mark, call.volume),
        newest_opening=max(terminal.newest_opening, call.mark if call.mark < len(story) else -1),
        wrong=terminal.wrong or wrong,
    )


def _close(terminal: Terminal, call: Call) -> Terminal | None:
    there = terminal.volume[call.ticket]
    if abs(there) < abs(call.volume) or there == 0:
        return None
    return terminal._replace(
        volume=put(terminal.volume, call.ticket, there - call.volume),
        closed=put(terminal.closed, call.mark, terminal.closed[call.mark] + call.volume),
    )


def _same_instrument(story: Story, a: int, b: int) -> bool:
    return story[a].instrument == story[b].instrument


def leave_behind(terminal: Terminal, call: Call) -> Terminal:
    """The child is dead, the request is still in the terminal: it may yet run, or never."""
    return terminal._replace(left_behind=tuple(sorted((*terminal.left_behind, call))))


def without(terminal: Terminal, call: Call) -> Terminal:
    """The request that was left behind is gone from the terminal."""
    rest = list(terminal.left_behind)
    rest.remove(call)
    return terminal._replace(left_behind=tuple(rest))
