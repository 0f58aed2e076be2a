"""The face in every frame: landmarks, regions, head motion, expression, layers."""


rule landmarks:
    """Find 478 points and 52 blendshapes in every frame."""
    input:
        clips="results/{actor}/clips.json",
        video="results/{actor}/video.npy",
        model=asset("face_landmarker"),
    output:
        landmarks="results/{actor}/landmarks.npz",
        picture=report(
            "results/{actor}/pictures/landmarks.png",
            caption="captions/landmarks.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/landmarks.log",
    cache: True  # as decode
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("landmarks"),
        runtime=minutes("landmarks"),
    params:
        state=state_of("landmarks"),
    script:
        "../workflow_scripts/landmarks.py"


rule export_parser:
    """Turn the face parser's weights into a graph that ONNX Runtime reads."""
    input:
        weights=asset("bisenet"),
    output:
        model="results/.assets/bisenet.onnx",
    log:
        "results/.assets/logs/bisenet.onnx.log",
    benchmark:
        "results/.assets/benchmarks/bisenet.onnx.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("export_parser"),
        runtime=minutes("export_parser"),
    params:
        state=STATES.code("ua3dtalk.face.bisenet"),
    script:
        "../workflow_scripts/export_parser.py"


rule regions:
    """Label every pixel: background, skin, brows, eyes, lips, mouth, hair, cloth and so on."""
    input:
        clips="results/{actor}/clips.json",
        video="results/{actor}/video.npy",
        landmarks="results/{actor}/landmarks.npz",
        model="results/.assets/bisenet.onnx",
    output:
        regions=pixels("results/{actor}/regions.npy"),
        picture=report(
            "results/{actor}/pictures/regions.png",
            caption="captions/regions.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/regions.log",
    cache: True  # as decode
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("regions"),
        runtime=minutes("regions"),
    params:
        state=state_of("regions"),
    script:
        "../workflow_scripts/regions.py"


rule tracking:
    """Fit one focal length, one neutral face and one head pose per frame to all landmarks."""
    input:
        clips="results/{actor}/clips.json",
        video="results/{actor}/video.npy",
        landmarks="results/{actor}/landmarks.npz",
    output:
        tracking="results/{actor}/tracking.npz",
        picture=report(
            "results/{actor}/pictures/tracking.png",
            caption="captions/tracking.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/tracking.log",
    benchmark:
        "results/{actor}/benchmarks/tracking.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("tracking"),
        runtime=minutes("tracking"),
    params:
        state=state_of("tracking"),
    script:
        "../workflow_scripts/tracking.py"


rule expression:
    """Expression coefficients, action units, mouth opening and blink of every frame."""
    input:
        clips="results/{actor}/clips.json",
        video="results/{actor}/video.npy",
        landmarks="results/{actor}/landmarks.npz",
        tracking="results/{actor}/tracking.npz",
        openface=file_of("expression", "openface_csv", "face.openface_csv"),
    output:
        expression="results/{actor}/expression.npz",
        picture=report(
            "results/{actor}/pictures/expression.png",
            caption="captions/expression.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/expression.log",
    benchmark:
        "results/{actor}/benchmarks/expression.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("expression"),
        runtime=minutes("expression"),
    params:
        state=state_of("expression"),
    script:
        "../workflow_scripts/expression.py"


rule layers:
    """Separate what does not talk: the background without the person, and the torso."""
    input:
        clips="results/{actor}/clips.json",
        video="results/{actor}/video.npy",
        regions="results/{actor}/regions.npy",
    output:
        plate="results/{actor}/layers/plate.png",
        torso="results/{actor}/layers/torso.npy",
        picture=report(
            "results/{actor}/pictures/layers.png",
            caption="captions/layers.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/layers.log",
    benchmark:
        "results/{actor}/benchmarks/layers.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("layers"),
        runtime=minutes("layers"),
    params:
        state=state_of("layers"),
    script:
        "../workflow_scripts/layers.py"
