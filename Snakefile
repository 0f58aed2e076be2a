"""ua3dtalk: from a video of one person to a talking 3D head and its figures.

snakemake --cores all results/May/metrics.json
"""

import atexit
import functools
import re
import sys
import time
from pathlib import Path

from snakemake.utils import min_version

import ua3dtalk
from ua3dtalk import driver, large_graphs, needs
from ua3dtalk.actors import BUILTIN_EMOTIONS
from ua3dtalk.asset_table import ASSETS, FOLDERS
from ua3dtalk.code_digest import digest
from ua3dtalk.config import load_config, preset_names
from ua3dtalk.errors import ConfigError
from ua3dtalk.provenance import PERCEPTUAL_WEIGHTS, States, metric_weights, stages_of_views
from ua3dtalk.settings import ACTOR_NAME
from ua3dtalk.sheet import read_sheet
from ua3dtalk.workflow import SYNC_NET

min_version("9.0")


configfile: Path(workflow.basedir) / "config.yaml"


try:
    mistakes = []
    if isinstance(config.get("actors"), str):
        config["actors"], mistakes = read_sheet(config["actors"])
    # A clip that goes away while others are worked on is that actor's trouble alone.
    CONFIG = load_config(config, mistakes if workflow.is_main_process else ())
except ConfigError as error:
    sys.exit(f"ua3dtalk: config: {error}")

if workflow.is_main_process and (outside := [word for word in sys.argv if re.match(r"results/(.*/)?\.\.(/|$)", word)]):
    sys.exit(f"ua3dtalk: {outside[0]}: leads out of results/; name what you want without ..")

# Snakemake would say that no rule makes the file; what is missing is the actor.
ASKED = {found[1] for word in sys.argv if (found := re.match(r"results/([^/.][^/]*)/", word))}
if workflow.is_main_process and (unknown := sorted(ASKED - set(CONFIG.actors))):
    sys.exit(
        f"ua3dtalk: config: actors.{unknown[0]}: no such actor; add it to config.yaml: {unknown[0]}: {{clips: [my.mp4]}}"
    )

if workflow.is_main_process:
    large_graphs.prepare()
    if driver.enter(unlock="--unlock" in sys.argv):
        print("ua3dtalk: the run before this one was killed; going on from what it finished", file=sys.stderr)
else:
    driver.end_with_run()

# Jobs run the code that is hashed: an environment may hold the package of another folder, or none.
PACKAGE = Path(ua3dtalk.__file__).parents[1]
driver.let_jobs_import(PACKAGE)
STATES = States(CONFIG, PACKAGE, Path(workflow.basedir) / "workflow_scripts")
STARTED = time.time()


wildcard_constraints:
    # All names are of this form, and a thousand of them in one pattern would be tried one by one for every file.
    actor=ACTOR_NAME.pattern,


# What needs the network runs where snakemake runs, for a cluster's nodes often have none; so does what takes no time.
localrules:
    all,
    fetch_asset,
    say,
    summary,


rule all:
    """Figures of every actor of the config, of every voice that they are to say, and one page about all of them."""
    input:
        expand("results/{actor}/metrics.json", actor=CONFIG.actors),
        expand(
            "results/{actor}/cross/{voice}/cross.json", actor=CONFIG.actors, voice=CONFIG.stage("cross_drive").voices
        ),
        # Without the frames no page can be made later.
        [] if CONFIG.stage("decode").keep_frames else expand("results/{actor}/report.html", actor=CONFIG.actors),
        "results/summary.html",


include: "rules/common.smk"
include: "rules/assets.smk"
include: "rules/demo.smk"
include: "rules/media.smk"
include: "rules/face.smk"
include: "rules/sync.smk"
include: "rules/speech.smk"
include: "rules/training.smk"
include: "rules/rendering.smk"
include: "rules/metrics.smk"
include: "rules/cross.smk"
include: "rules/release.smk"
include: "rules/ablation.smk"
include: "rules/report.smk"


onerror:
    # Last, below what Snakemake says about its jobs.
    atexit.register(
        lambda: print(*unfinished(), *driver.last_words(Path("results"), STARTED), sep="\n", file=sys.stderr)
    )
