"""Tests of declared families against simulations. It knows no jobs or stores."""

from adagrid.refutation.bet import REFUTED, Wager, in_words, log_affinity
from adagrid.refutation.evidence import Ask, Evidence, Inquiry
from adagrid.refutation.lines import Lines

__all__ = ["REFUTED", "Ask", "Evidence", "Inquiry", "Lines", "Wager", "in_words", "log_affinity"]
