"""Rule summary."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.report.summary import write_summary

    write_summary(
        states=run.states(Path(snakemake.scriptdir)),
        results=Path(snakemake.output.page).parent,
        state=run.state,
    )
