"""Writes the dashboards into `grafana/dashboards`."""

import json
from pathlib import Path

import deploy
from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panels import Board, dashboard

FOLDER = Path(deploy.__file__).resolve().parents[1] / "grafana" / "dashboards"


def text(board: Board) -> str:
    """A board as it is kept in its file."""
    return json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in BOARDS:
        (FOLDER / f"{each.uid.removeprefix('tradecopier-')}.json").write_text(text(each), encoding="utf-8")
