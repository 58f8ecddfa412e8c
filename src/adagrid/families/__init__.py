"""Exponential families: what the bounds need to know about the distribution of one trial's data."""

from adagrid.families._record import family_record, recorded_family
from adagrid.families.base import Family
from adagrid.families.binomial import Binomial
from adagrid.families.exponential import Exponential
from adagrid.families.gamma import Gamma
from adagrid.families.linear_map import LinearMap
from adagrid.families.multivariate_normal import MultivariateNormal
from adagrid.families.negative_binomial import NegativeBinomial
from adagrid.families.normal import Normal
from adagrid.families.normal_unknown_variance import NormalUnknownVariance
from adagrid.families.poisson import Poisson
from adagrid.families.product import Product
from adagrid.families.scaled_chi_squared import ScaledChiSquared

# For people and type checkers. Jobs find families by their modules: one in a new file works without being listed.
__all__ = [
    "Binomial",
    "Exponential",
    "Family",
    "Gamma",
    "LinearMap",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "NormalUnknownVariance",
    "Poisson",
    "Product",
    "ScaledChiSquared",
    "family_record",
    "recorded_family",
]
