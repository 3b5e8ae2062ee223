"""How asv is to time most of the benchmarks."""


class Timed:
    """A timing is one call, which takes milliseconds; warming up is left to ``setup``."""

    repeat = (5, 30, 1.0)  # timings: at least, at most, and the seconds after which no more begin
    number = 1
    warmup_time = 0.0
