"""The Pulumi program: validate the stack, say what it costs, declare its experiment, export its inventory.

Nothing is created before the whole stack file has been found good; every fault is one line, without a
traceback.
"""

from pathlib import Path

import pulumi

from components.config import EXPERIMENT
from components.experiments import EXPERIMENTS
from components.settings import ValidationError, stack_settings

settings = stack_settings()
try:
    experiment = settings.choice(EXPERIMENT, EXPERIMENTS, "md-raid")
    settings.finish()
    plan = EXPERIMENTS[experiment](settings, pulumi.get_project(), Path(__file__).parent)
except ValidationError as error:
    raise pulumi.RunError(str(error)) from None

for line in plan.lines:
    pulumi.log.info(line)
for name, value in plan.declare().items():
    pulumi.export(name, value)
