"""What the audio says, on the frame index."""


rule speech:
    """Speech features at 50 Hz and a log-mel spectrogram at 100 Hz."""
    input:
        clips="results/{actor}/clips.json",
        audio="results/{actor}/audio.wav",
        model=lambda wildcards: asset("whisper_base") if CONFIG.stage("speech").encoder == "whisper" else [],
        features=lambda wildcards: own_file(
            CONFIG.stage("speech", wildcards.actor).features_file, "speech.features_file"
        ),
    output:
        speech="results/{actor}/speech.npz",
        picture=report(
            "results/{actor}/pictures/speech.png",
            caption="captions/speech.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/speech.log",
    benchmark:
        "results/{actor}/benchmarks/speech.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        state=state_of("speech"),
    script:
        "../workflow_scripts/speech.py"
