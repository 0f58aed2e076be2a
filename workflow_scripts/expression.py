"""Rule expression."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.expression import extract_expression

    extract_expression(
        subject=run.subject,
        out=Path(snakemake.output.expression),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
