"""Rule release."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.release.export import export_release

    export_release(
        subject=run.subject,
        out=Path(snakemake.output.folder),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
