"""Rule ablation."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.metrics.ablation import write_ablation

    write_ablation(
        runs=[Path(path) for path in snakemake.input.metrics],
        table=Path(snakemake.output.table),
        page=Path(snakemake.output.page),
        state=run.state,
    )
