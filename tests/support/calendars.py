"""Calendars as an exchange_calendars has them that was published before an event."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pandas as pd
from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar

from pipeline import calendar

if TYPE_CHECKING:
    import pytest
    from exchange_calendars import ExchangeCalendar


def unaware_xnys(closed: dt.date, *, years: int = 2) -> ExchangeCalendar:
    """Return XNYS, some years before and after, of a version that does not know yet that it was closed on a day."""

    class Unaware(XNYSExchangeCalendar):
        @property
        def adhoc_holidays(self) -> list[pd.Timestamp]:
            return [day for day in super().adhoc_holidays if day.date() != closed]

    return Unaware(start=f"{closed.year - years}-01-01", end=f"{closed.year + 2}-12-01")


def forget_closure(patch: pytest.MonkeyPatch, closed: dt.date) -> None:
    """Let the pipeline use a calendar that does not know a closure."""
    made = unaware_xnys(closed, years=30)
    assert made.is_session(pd.Timestamp(closed))
    patch.setattr(calendar, "_built", lambda name, horizon: made)  # noqa: ARG005


def set_today(patch: pytest.MonkeyPatch, day: str) -> None:
    """Let the calendars end as they do for a process on another day."""
    patch.setattr(calendar, "_today", lambda: dt.date.fromisoformat(day))
