"""An actor that can hear."""

from __future__ import annotations

from hearing import babble, hearing_subject, make_head

__all__ = ["babble", "hearing_subject", "make_head"]
