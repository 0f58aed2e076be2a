"""Rule compare."""

from pathlib import Path

from ua3dtalk.workflow import RESULTS, job

with job(snakemake) as run:
    from ua3dtalk.report.compare import Outputs, write_compare

    write_compare(
        runs=[Path(path) for path in snakemake.input.metrics],
        results=RESULTS,
        out=Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
        settings=run.settings,
        sizes=run.section("report"),
        state=run.state,
    )
