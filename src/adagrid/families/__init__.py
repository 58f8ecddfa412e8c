"""Exponential families: what the bounds need to know about the distribution of one trial's data."""

from adagrid.families._record import family_record, recorded_family
from adagrid.families.base import Family
from adagrid.families.binomial import Binomial
from adagrid.families.normal import Normal

__all__ = ["Binomial", "Family", "Normal", "family_record", "recorded_family"]
