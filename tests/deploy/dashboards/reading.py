"""A panel as an operator finds it: by its title on a board."""

from deploy.dashboards.panels import Board, Panel


def panel(board: Board, title: str) -> Panel:
    """The one panel of this title."""
    (found,) = [each for each in board.panels if each.title == title]
    return found


def asked(board: Board, title: str) -> str:
    """Everything that a panel asks for."""
    return "\n".join(query.text for query in panel(board, title).queries)
