"""The states of a process, the sets of them that have a name, and the moves that are allowed."""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """Where a process stands. Moved only by `move`."""

    STOPPED = "stopped"
    QUEUED = "queued"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FAILED = "failed"
    EXITED = "exited"
    EXTERNAL = "external"


#: A process of ours exists.
ALIVE = frozenset({State.STARTING, State.READY, State.STOPPING})
#: A request can be sent to it.
ANSWERING = frozenset({State.READY, State.EXTERNAL})
#: Nothing will happen by itself any more.
AT_REST = frozenset({State.STOPPED, State.FAILED, State.EXITED, State.EXTERNAL})
#: It went wrong, and nobody asked for that.
BROKEN = frozenset({State.BACKOFF, State.FAILED})

_MOVES: dict[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.QUEUED, State.EXTERNAL}),
    State.QUEUED: frozenset({State.STARTING, State.STOPPED, State.FAILED, State.EXTERNAL}),
    # stopping: asked to, or its main process is gone and what it left behind is being ended
    State.STARTING: frozenset({State.READY, State.STOPPING}),
    State.READY: frozenset({State.STOPPING}),
    State.STOPPING: frozenset({State.STOPPED, State.BACKOFF, State.FAILED, State.EXITED, State.QUEUED}),
    State.BACKOFF: frozenset({State.QUEUED, State.STOPPED}),
    State.FAILED: frozenset({State.QUEUED, State.STOPPED, State.EXTERNAL}),
    State.EXITED: frozenset({State.QUEUED, State.STOPPED, State.EXTERNAL}),
    State.EXTERNAL: frozenset({State.STOPPED, State.QUEUED}),
}


def move(old: State, new: State) -> State:
    """`new`, if a process may go there from `old`. Raises ``ValueError`` for a move that no event can cause."""
    if new is not old and new not in _MOVES[old]:
        raise ValueError(f"a process cannot go from {old} to {new}")
    return new


#: From the state that most needs attention to the one that least does.
_URGENCY = (
    State.FAILED,
    State.BACKOFF,
    State.STOPPING,
    State.STARTING,
    State.QUEUED,
    State.EXITED,
    State.STOPPED,
    State.EXTERNAL,
    State.READY,
)


def summary(states: list[State]) -> State:
    """A service's state from its processes': the one that most needs attention."""
    return min(states, key=_URGENCY.index, default=State.STOPPED)
