"""Cross-driving: the trained head says foreign voices, which the config names."""

VOICES = CONFIG.stage("cross_drive").voices
SAID = "results/{actor}/cross/{voice}"

ASKED_VOICES = {
    found[1] for word in sys.argv if (found := re.match(r"results/[^/]+/(?:cross|say)/([^/]+?)(?:\.mp4)?(?:/|$)", word))
}
if workflow.is_main_process and (unheard := sorted(ASKED_VOICES - set(VOICES))):
    sys.exit(
        f"ua3dtalk: config: cross.voices.{unheard[0]}: no such voice; "
        f"add it to config.yaml: cross: {{voices: {{{unheard[0]}: speech.wav}}}}"
    )


wildcard_constraints:
    voice="|".join(VOICES) or "(?!)",


rule cross_drive:
    """Let the head say a foreign voice: everything that drives it is heard anew, poses come from training frames."""
    input:
        **BUNDLE,
        seen=seen,
        seen_models=models_of_seen,
        model="results/{actor}/model/fused.safetensors",
        whisper=asset("whisper_base"),
        voice=lambda wildcards: own_file(VOICES[wildcards.voice].path, f"cross.voices.{wildcards.voice}"),
        guests=lambda wildcards: guest_files(wildcards.voice),
    output:
        drive=f"{SAID}/drive.json",
        video=f"{SAID}/driven.mp4",
        frames=f"{SAID}/driven.npy",
        heard=f"{SAID}/heard.npz",
        sound=f"{SAID}/sound.wav",
    log:
        "results/{actor}/logs/cross_drive_{voice}.log",
    benchmark:
        "results/{actor}/benchmarks/cross_drive_{voice}.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 8
    resources:
        mem_mb=memory("cross_drive"),
        runtime=minutes("cross_drive"),
    params:
        state=cross_state,
    script:
        "../workflow_scripts/cross_drive.py"


rule say:
    """The film alone, under the voice's name."""
    input:
        f"{SAID}/driven.mp4",
    output:
        "results/{actor}/say/{voice}.mp4",
    log:
        "results/{actor}/logs/say_{voice}.log",
    benchmark:
        "results/{actor}/benchmarks/say_{voice}.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    shell:
        "cp {input:q} {output:q} 2> {log:q}"


rule cross_metrics:
    """Figures of a head that says a foreign voice: no truth exists, its training frames say what is usual."""
    input:
        seen=seen,
        clips="results/{actor}/clips.json",
        sound="results/{actor}/audio.wav",
        landmarks="results/{actor}/landmarks.npz",
        drive=f"{SAID}/drive.json",
        video=f"{SAID}/driven.mp4",
        frames=f"{SAID}/driven.npy",
        heard=f"{SAID}/heard.npz",
        voice=f"{SAID}/sound.wav",
        film="results/{actor}/video.npy",
        renders="results/{actor}/renders/test",
        metrics="results/{actor}/metrics.json",
        landmarker=asset("face_landmarker"),
        identity=asset("dlib_identity"),
        sync=SYNC.get("sync", []),
        whisper=asset("whisper_base"),
    output:
        figures=f"{SAID}/cross.json",
        picture=report(
            f"{SAID}/cross.png",
            caption="captions/cross_metrics.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/cross_metrics_{voice}.log",
    benchmark:
        "results/{actor}/benchmarks/cross_metrics_{voice}.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("cross_metrics"),
        runtime=minutes("cross_metrics"),
    params:
        state=cross_metrics_state,
    script:
        "../workflow_scripts/cross_metrics.py"
