from .evaluator import MAX_SIMS as MAX_SIMS
from .evaluator import Shape as Shape
from .simulator import Simulator as Simulator
from .simulator import StatisticError as StatisticError
