"""What a PromQL expression asks for: the series it names, with the labels that it matches or groups by."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

PREFIXES = ("tradecopier", "process_", "up")
ADDED = frozenset({"namespace", "service", "job", "instance"})
"""Labels that come from the targets."""


def parsed(expression: str) -> Any:
    """The expression's tree. Raises ValueError for one that Prometheus would not take."""
    filled = expression.replace("$__rate_interval", "1m").replace("$__interval", "15s")
    return promql_parser.parse(re.sub(r"\$(namespace|source|account)", ".*", filled))


def selectors(tree: Any) -> Iterator[tuple[str, frozenset[str]]]:
    """Each series with the labels that its own matchers name."""
    for node in nodes(tree):
        if isinstance(node, promql_parser.VectorSelector):
            yield node.name or "", frozenset(m.name for m in node.matchers.matchers)


def grouped(tree: Any) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Of each aggregation by labels: those labels, and the series inside it."""
    for node in nodes(tree):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            yield frozenset(node.modifier.labels), frozenset(name for name, _ in selectors(node.expr))


def nodes(tree: Any) -> Iterator[Any]:
    """Every node of a tree."""
    yield tree
    children = [getattr(tree, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for child in [*children, *(getattr(tree, "args", None) or [])]:
        if child is not None:
            yield from nodes(child)
