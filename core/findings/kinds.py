"""What a finding is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that happened to one run.

    step to until: where its evidence is in the curve of `tag`; until None: at that step alone.
    value: the curve's at `step`. kind: a key of core.training_findings.KINDS. also: other tags of
    the same run of which the same holds.
    """

    run: str
    tag: str
    step: int
    sentence: str
    kind: str
    until: int | None = None
    value: float | None = None
    also: tuple[str, ...] = ()
