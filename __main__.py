"""The Pulumi program: validates the stack, says what it costs, declares its experiment, exports the inventory.

A stack with `tidemark:component: reaper` is no experiment but the scheduled reaper (components/reaper.py). Nothing is
created before the whole stack file is valid. Each error is one line, without a traceback.
"""

from pathlib import Path

import pulumi

from components import reaper
from components.config import EXPERIMENT, read_common
from components.experiments import experiment_names, load_experiment
from components.settings import ValidationError, stack_settings

settings = stack_settings()
try:
    if reaper.is_reaper(settings):
        outputs = reaper.ScheduledReaper(reaper.check(settings, pulumi.get_project())).stack_outputs
    else:
        name = settings.required_choice(EXPERIMENT, experiment_names())
        settings.raise_errors()
        experiment = load_experiment(name)
        common = read_common(settings, project=pulumi.get_project(), experiment=name, directory=Path(__file__).parent)
        stack = experiment.check(settings, common)
        for message in stack.messages:
            pulumi.log.info(message)
        outputs = dict(experiment.component(name, stack).stack_outputs)
except ValidationError as error:
    raise pulumi.RunError(str(error)) from None

for output, value in outputs.items():
    pulumi.export(output, value)
