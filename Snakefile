"""ua3dtalk: from a video of one person to a talking 3D head and its figures.

snakemake --cores all results/May/metrics.json
"""

import sys
import time
from pathlib import Path

from snakemake.utils import min_version

from ua3dtalk import driver
from ua3dtalk.asset_table import ASSETS, FOLDERS
from ua3dtalk.config import load_config
from ua3dtalk.errors import ConfigError
from ua3dtalk.provenance import States
from ua3dtalk.workflow import failures

min_version("9.0")


configfile: Path(workflow.basedir) / "config.yaml"


try:
    CONFIG = load_config(config)
except ConfigError as error:
    sys.exit(f"ua3dtalk: config: {error}")

if workflow.is_main_process and driver.enter():
    print("ua3dtalk: the run before this one was killed; going on from what it finished", file=sys.stderr)

STATES = States(CONFIG, Path(workflow.basedir))
STARTED = time.time()


wildcard_constraints:
    actor="|".join(CONFIG.actors),


rule all:
    """Figures of every actor of the config."""
    input:
        expand("results/{actor}/metrics.json", actor=CONFIG.actors),


include: "rules/common.smk"
include: "rules/demo.smk"
include: "rules/media.smk"
include: "rules/face.smk"
include: "rules/speech.smk"
include: "rules/training.smk"
include: "rules/rendering.smk"
include: "rules/metrics.smk"


onerror:
    for line in failures(Path("results"), STARTED):
        print(line, file=sys.stderr)
