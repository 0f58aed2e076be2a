"""Rule metrics."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.metrics.report import write_metrics

    write_metrics(
        subject=run.subject,
        renders=Path(snakemake.input.rows).parent,
        out=Path(snakemake.output.metrics),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
