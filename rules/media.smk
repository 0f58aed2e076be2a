"""From source clips to frames and sound on one frame index."""


rule locate:
    """Find the face in each clip and choose one square crop per clip."""
    input:
        clips=source_clips,
        model=asset("face_landmarker"),
    output:
        crop="results/{actor}/crop.json",
        picture=report(
            "results/{actor}/pictures/locate.png",
            caption="captions/locate.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/locate.log",
    benchmark:
        "results/{actor}/benchmarks/locate.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("locate"),
        runtime=minutes("locate"),
    params:
        state=state_of("locate"),
    script:
        "../workflow_scripts/locate.py"


rule decode:
    """Decode to 25 fps by time, crop, resize."""
    input:
        clips=source_clips,
        crop="results/{actor}/crop.json",
    output:
        clips="results/{actor}/clips.json",
        video=pixels("results/{actor}/video.npy"),
        picture=report(
            "results/{actor}/pictures/decode.png",
            caption="captions/decode.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/decode.log",
    # Shared between working folders with --cache, which cannot go with a benchmark; the job's record has its time.
    cache: True
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("decode"),
        runtime=minutes("decode"),
    params:
        state=state_of("decode"),
    script:
        "../workflow_scripts/decode.py"


rule sound:
    """Sound of the clips, 16 kHz mono as long as the picture, moved where it does not fit the lips."""
    input:
        sources=source_clips,
        clips="results/{actor}/clips.json",
        measured=lambda wildcards: (
            f"results/{wildcards.actor}/audio_offset.json"
            if CONFIG.stage("sound", wildcards.actor).fix_audio_offset
            else []
        ),
    output:
        audio="results/{actor}/audio.wav",
        record="results/{actor}/sound.json",
        picture=report(
            "results/{actor}/pictures/sound.png",
            caption="captions/sound.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/sound.log",
    benchmark:
        "results/{actor}/benchmarks/sound.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("sound"),
        runtime=minutes("sound"),
    params:
        state=state_of("sound"),
    script:
        "../workflow_scripts/sound.py"
