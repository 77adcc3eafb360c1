"""Loops among the names that devices give each other. Pure graph work, one pass over nodes and edges; no device, no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Edges = Mapping[str, Sequence[str]]


def closed_loops(edges: Edges) -> list[list[str]]:
    """Return the loops that nothing leads out of: groups of two or more nodes that reach each other and only each other.

    A ring whose members also name a node outside it is not among them: that is how a backbone looks.
    """
    loops = []
    for group in components(edges):
        members = set(group)
        if len(group) > 1 and all(target in members for node in group for target in edges.get(node, ())):
            loops.append(sorted(group))
    return loops


def components(edges: Edges) -> list[list[str]]:
    """Return the strongly connected components (Tarjan 1972), without recursion: a chain may be 10,000 long."""
    return _Search(edges).run()


class _Search:
    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._index: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._stack: list[str] = []
        self._stacked: set[str] = set()
        self._found: list[list[str]] = []

    def run(self) -> list[list[str]]:
        for node in self._edges:
            if node not in self._index:
                self._from(node)
        return self._found

    def _enter(self, node: str) -> tuple[str, Iterator[str]]:
        self._index[node] = self._low[node] = len(self._index)
        self._stack.append(node)
        self._stacked.add(node)
        return node, iter(self._edges.get(node, ()))

    def _from(self, start: str) -> None:
        work = [self._enter(start)]
        while work:
            node, targets = work[-1]
            target = next(targets, None)
            if target is None:
                work.pop()
                if work:
                    self._low[work[-1][0]] = min(self._low[work[-1][0]], self._low[node])
                if self._low[node] == self._index[node]:
                    self._leave(node)
            elif target not in self._index:
                work.append(self._enter(target))
            elif target in self._stacked:
                self._low[node] = min(self._low[node], self._index[target])

    def _leave(self, root: str) -> None:
        group: list[str] = []
        while not group or group[-1] != root:
            group.append(self._stack.pop())
        self._stacked.difference_update(group)
        self._found.append(group)
