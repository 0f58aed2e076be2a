"""Lip sync: a net that knows which speech belongs to which lips, and what it says of each clip."""


rule train_sync:
    """Learn lip sync from the built-in actor and from those that the config allows."""
    input:
        clips=expand("results/{actor}/clips.json", actor=CONFIG.sync_actors),
        landmarks=expand("results/{actor}/landmarks.npz", actor=CONFIG.sync_actors),
        sources=[clip for name in CONFIG.sync_actors for clip in source_clips_of(name)],
        rehearsal=REHEARSAL if any(CONFIG.actors[name].builtin for name in CONFIG.sync_actors) else [],
        whisper=asset("whisper_base"),
    output:
        model=SYNC_NET,
        picture=report(
            "results/.shared/pictures/train_sync.png",
            caption="captions/train_sync.rst",
            category="shared",
        ),
    log:
        "results/.shared/logs/train_sync.log",
    benchmark:
        "results/.shared/benchmarks/train_sync.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("train_sync"),
        runtime=minutes("train_sync"),
    params:
        state=lambda wildcards: STATES.of("train_sync", CONFIG.sync_actors[0]),
    script:
        "../workflow_scripts/train_sync.py"


rule audio_offset:
    """Measure by how much the sound of each clip is off."""
    input:
        sources=source_clips,
        clips="results/{actor}/clips.json",
        landmarks="results/{actor}/landmarks.npz",
        net=SYNC_NET,
        whisper=asset("whisper_base"),
    output:
        offsets="results/{actor}/audio_offset.json",
        picture=report(
            "results/{actor}/pictures/audio_offset.png",
            caption="captions/audio_offset.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/audio_offset.log",
    benchmark:
        "results/{actor}/benchmarks/audio_offset.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("audio_offset"),
        runtime=minutes("audio_offset"),
    params:
        state=state_of("audio_offset"),
    script:
        "../workflow_scripts/audio_offset.py"
