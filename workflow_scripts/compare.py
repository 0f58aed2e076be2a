"""Rule compare."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.report.compare import Outputs, write_compare

    write_compare(
        runs=[Path(path) for path in snakemake.input.metrics],
        results=run.results,
        out=Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
        settings=run.settings,
        sizes=run.section("report"),
        state=run.state,
    )
