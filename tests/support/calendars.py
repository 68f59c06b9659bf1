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


def unaware_xnys(closed: dt.date) -> ExchangeCalendar:
    """Return XNYS of a version that does not know yet that the exchange was closed on a day."""

    class Unaware(XNYSExchangeCalendar):
        @property
        def adhoc_holidays(self) -> list[pd.Timestamp]:
            return [day for day in super().adhoc_holidays if day.date() != closed]

    return Unaware(start="1990-01-01", end="2027-12-01")


def forget_closure(patch: pytest.MonkeyPatch, closed: dt.date) -> None:
    """Let the pipeline use a calendar that does not know a closure."""
    made = unaware_xnys(closed)
    assert made.is_session(pd.Timestamp(closed))
    patch.setattr(calendar, "_built", lambda name, horizon: made)  # noqa: ARG005


def set_today(patch: pytest.MonkeyPatch, day: str) -> None:
    """Let the calendars end as they do for a process on another day."""
    patch.setattr(calendar, "_today", lambda: dt.date.fromisoformat(day))
