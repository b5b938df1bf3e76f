"""How durations, numbers and jobs are written for people."""

from collections.abc import Mapping


def duration(seconds: float) -> str:
    """Seconds as 8 s, 2 min 5 s, 3 h 10 min or 2 days 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def rounded(seconds: float) -> str:
    """Seconds in one unit, to a tenth below ten of it: 0.2 s, 2.1 min, 17 h, 4.3 days."""
    for unit, length, least in (("days", 86_400, 3), ("h", 3_600, 1), ("min", 60, 1.5)):
        if seconds >= least * length:
            return f"{_to_a_tenth(seconds / length)} {unit}"
    return f"{_to_a_tenth(seconds)} s"


def _to_a_tenth(value: float) -> str:
    return f"{round(value, 1):.2g}" if value < 9.95 else f"{value:.0f}"


def about(seconds: float) -> str:
    """Seconds of which no more is known than the first digit or two: about 40 s, about 3 min, about 5 h."""
    if seconds < 60:
        return f"about {max(10, 10 * round(seconds / 10))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"about {round(seconds / 3600)} h"
    return f"about {round(seconds / 86400)} days"


def job(rule: str, wildcards: Mapping[str, str]) -> str:
    """A job by its rule and wildcards: train_teacher hopper-medium-v2 medium, seed 0, dimension 2."""
    names = [value for value in wildcards.values() if not value.isdecimal()]
    numbers = [f"{name} {value}" for name, value in wildcards.items() if value.isdecimal()]
    return ", ".join([" ".join([rule, *names]), *numbers])
