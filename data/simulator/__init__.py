"""A seeded megacity in miniature, for want of public data on victims and their warnings.

Unlike `data.sources`, which reads what others recorded, everything here is made up; what it is
calibrated to and what it cannot show is in this folder's README.
"""

from data.simulator.city import AGE_BANDS, DISTRICTS, City
from data.simulator.plot import STAGES
from data.simulator.simulation import Simulation, simulate
from data.simulator.stream import live, schedule

__all__ = ["AGE_BANDS", "DISTRICTS", "STAGES", "City", "Simulation", "live", "schedule", "simulate"]
