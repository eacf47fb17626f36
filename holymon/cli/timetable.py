"""When a report is due: every so often, from a time of day on, as cron and systemd say it."""

from dataclasses import dataclass
from typing import Final, Self

from holymon.errors import PlanError
from holymon.safety import plain
from holymon.structs import seconds_of

DAY: Final = 24 * 60
FITTING: Final = [n for n in range(1, DAY + 1) if 60 % n == 0 or (n % 60 == 0 and DAY % n == 0)]
"""Minutes that divide an hour, or are hours that divide a day: what a crontab can say."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """Every `every` minutes, of which one is `at` minutes after midnight."""

    every: int
    at: int

    @classmethod
    def parse(cls, every: str, at: str) -> Self:
        """From texts such as `1h` and `06:30`. Raises PlanError for what a crontab can't say."""
        minutes = seconds_of(every) / 60
        if minutes not in FITTING:
            raise PlanError(
                f"--every {plain(every)} is none that a crontab can say: take minutes that divide "
                "an hour (1m, 5m, 15m, ...) or hours that divide a day (1h, 6h, 24h, ...)."
            )
        hour, colon, minute = at.partition(":")
        known = colon and hour.isdecimal() and minute.isdecimal()
        if not known or int(hour) > 23 or int(minute) > 59:
            raise PlanError(f"--at {plain(at)!r} is no time of day: write it like 06:30.")
        return cls(int(minutes), int(hour) * 60 + int(minute))

    @property
    def _parts(self) -> tuple[str, str]:
        """Minutes and hours, as a crontab lists them."""
        first = self.at % self.every
        if self.every <= 60:
            listed = "*" if self.every == 1 else ",".join(map(str, range(first, 60, self.every)))
            return listed, "*"
        hours = range(first // 60, 24, self.every // 60)
        return str(first % 60), ",".join(map(str, hours))

    @property
    def cron(self) -> str:
        """As the five fields of a crontab."""
        return "{} {} * * *".format(*self._parts)

    @property
    def calendar(self) -> str:
        """As OnCalendar= of systemd.time(7)."""
        minutes, hours = (
            part if part == "*" else ",".join(f"{int(n):02d}" for n in part.split(","))
            for part in self._parts
        )
        return f"*-*-* {hours}:{minutes}:00"

    @property
    def words(self) -> str:
        """As people say it."""
        if self.every == 1:
            return "every minute"
        if self.every <= 60:
            span = "hour" if self.every == 60 else f"{self.every} minutes"
            return f"every {span}, at minute {self.at % self.every}"
        hours = self.every // 60
        span = "day" if hours == 24 else f"{hours} hours"
        first = self.at % self.every
        return f"every {span}, at {first // 60:02d}:{first % 60:02d}"
