"""What a row of the table is, and how much is measured for one."""

import dataclasses


@dataclasses.dataclass
class Size:
    """How much is measured; --quick takes the small one."""
    rounds: int = 7
    seconds: int = 2
    warmup: float = 1    # seconds
    quiet: float = 1.5   # seconds without CPU time: then the writer has written
    hits: int = 1_000_000
    entries: int = 100_000
    starts: int = 11
    repeats: int = 3


QUICK = Size(rounds=1, seconds=1, warmup=0.2, quiet=1.1, hits=20_000, entries=2_000, starts=3,
             repeats=1)


@dataclasses.dataclass
class Row:
    what: str
    target: float       # the most that is allowed; for an exact row what it must be
    measured: float     # compared with the target
    shown: str          # what stands in the table beside it
    unit: str = "×"
    exact: bool = False
    at_least: bool = False  # the target is the least, not the most
    informational: bool = False
    raw: dict = dataclasses.field(default_factory=dict)

    def verdict(self):
        if self.informational:
            return "–"
        if self.exact:
            met = self.measured == self.target
        elif self.at_least:
            met = self.measured >= self.target
        else:
            met = self.measured <= self.target
        return "met" if met else "MISSED"
