"""Rule report."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.report.actor import write_report

    write_report(
        subject=run.subject,
        metrics=Path(snakemake.input.metrics),
        out=Path(snakemake.output.page),
        settings=run.settings,
        config=run.everything,
        state=run.state,
    )
