"""What the audio says, on the frame index."""


rule speech:
    """Speech features at 50 Hz and a log-mel spectrogram at 100 Hz."""
    input:
        clips="results/{actor}/clips.json",
        audio="results/{actor}/audio.wav",
        model=lambda wildcards: (
            asset("whisper_base") if CONFIG.stage("speech", wildcards.actor).encoder == "whisper" else []
        ),
        features=file_of("speech", "features_file", "speech.features_file"),
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
        mem_mb=memory("speech"),
        runtime=minutes("speech"),
    params:
        state=state_of("speech"),
    script:
        "../workflow_scripts/speech.py"


rule priors:
    """Learn what speech tells of the expression: lip expert, style net and their mixer, with how sure they are."""
    input:
        clips="results/{actor}/clips.json",
        landmarks="results/{actor}/landmarks.npz",
        tracking="results/{actor}/tracking.npz",
        expression="results/{actor}/expression.npz",
        speech="results/{actor}/speech.npz",
        pooled=of_pooled("priors", "clips.json", "landmarks.npz", "tracking.npz", "expression.npz", "speech.npz"),
        reference=reference_route,
    output:
        priors="results/{actor}/priors.npz",
        model="results/{actor}/model/priors.safetensors",
        picture=report(
            "results/{actor}/pictures/priors.png",
            caption="captions/priors.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/priors.log",
    benchmark:
        "results/{actor}/benchmarks/priors.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("priors"),
        runtime=minutes("priors"),
    params:
        state=state_of("priors"),
    script:
        "../workflow_scripts/priors.py"


rule emotion:
    """Learn what the voice says of the emotion from labels and faces, and hear it in every frame."""
    input:
        clips="results/{actor}/clips.json",
        audio="results/{actor}/audio.wav",
        video="results/{actor}/video.npy",
        landmarks="results/{actor}/landmarks.npz",
        speech="results/{actor}/speech.npz",
        pooled=of_pooled("emotion", "clips.json", "audio.wav", "video.npy", "landmarks.npz", "speech.npz"),
        faces=asset("fer"),
        checkpoint=file_of("emotion", "checkpoint", "emotion.checkpoint"),
    output:
        emotion="results/{actor}/emotion.npz",
        model="results/{actor}/model/emotion.safetensors",
        picture=report(
            "results/{actor}/pictures/emotion.png",
            caption="captions/emotion.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/emotion.log",
    benchmark:
        "results/{actor}/benchmarks/emotion.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("emotion"),
        runtime=minutes("emotion"),
    params:
        state=state_of("emotion"),
    script:
        "../workflow_scripts/emotion.py"
