"""What the segments of an outbox say: where to go on from, which facts to publish again, and which segments may go."""

import logging
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from msgspec import DecodeError

from ingest import records, segments
from ingest.records import Line, Record, Snapshot
from ingest.segments import Damaged
from shared.facts import Fact

log = logging.getLogger(__name__)


def recollect(paths: list[Path]) -> Snapshot:
    """What the newest segments say: from the last sound snapshot on."""
    found: list[Record] = []
    for path in reversed(paths):
        found = [*_records(path), *found]
        if found and isinstance(found[0], Snapshot):
            break
    state = Snapshot()
    for record in found:
        state = records.follow(state, record)
    return state


def facts_after(paths: list[Path], line: Line) -> list[Fact]:
    """The facts of the line's producer that were not published, in their order, as far as they are on disk."""
    found: dict[int, Fact] = {}
    for path in reversed(paths):
        content = _records(path)
        for record in content:
            found |= {
                f.seq: f for f in records.stated(record) if f.producer == line.producer and f.seq > line.published
            }
        if content and isinstance(content[0], Snapshot) and _before(content[0], line):
            break
    return [found[seq] for seq in sorted(found)]


def outdated(paths: list[Path], lines: Mapping[str, Line], before: float) -> list[Path]:
    """The segments, oldest first, that were written before that time and hold nothing unpublished."""
    old = []
    for path, following in pairwise(paths):
        if path.stat().st_mtime >= before or not _all_published(following, lines):
            break
        old.append(path)
    return old


def _before(snapshot: Snapshot, line: Line) -> bool:
    """Whether all facts of the line that were not published are younger than the snapshot."""
    return all(o.seq <= line.published for o in snapshot.lines.values() if o.producer == line.producer)


def _all_published(following: Path, lines: Mapping[str, Line]) -> bool:
    first = next(iter(_records(following)), None)
    if not isinstance(first, Snapshot):
        return False
    return all(o.seq <= lines[o.producer].published for o in first.lines.values() if o.producer in lines)


def _records(path: Path) -> list[Record]:
    found = []
    for content in segments.records(path):
        if isinstance(content, Damaged):
            log.warning("%s: left out %d bytes at %d that are no whole record", path.name, content.size, content.where)
            continue
        try:
            found.append(records.decode(content))
        except (DecodeError, ValueError) as error:
            log.error("%s: a record cannot be read by this version: %s", path.name, error)
    return found
