"""A simulated GPU in virtual time: planning tool, source of data, oracle. Importing this imports nothing heavy."""

from cotenant.runners.protocol import Runner
from cotenant.runners.simulated.runner import Simulated

RUNNER: Runner = Simulated()
