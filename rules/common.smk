"""What the rules share."""

from types import SimpleNamespace

ASSET_OF_FILE = {asset.file: asset for asset in ASSETS}


def state_of(stage):
    """State of a stage as a function of wildcards, for `params`."""
    return lambda wildcards: STATES.of(stage, wildcards.actor)


def actor_of(wildcards):
    """The actor of a job, empty for what is made for all."""
    return getattr(wildcards, "actor", "")


def memory(rule):
    """Memory that a rule's job asks a cluster for, MB; a retry asks for more."""
    return lambda wildcards, attempt: needs.memory_mb(rule, CONFIG.of(actor_of(wildcards)), attempt)


def minutes(rule):
    """Time that a rule's job asks a cluster for."""
    film = lambda wildcards: needs.film_minutes(Path("results") / actor_of(wildcards))
    return lambda wildcards, attempt: needs.minutes(rule, CONFIG.of(actor_of(wildcards)), film(wildcards), attempt)


def asset(name):
    """Where the workflow keeps a pretrained weight, or the parts of a folder of weights."""
    files = {each.name: f"results/.assets/{each.file}" for each in ASSETS}
    return [files[part] for part in FOLDERS[name]] if name in FOLDERS else files[name]


def perceptual_weights(stage):
    """The weights that the stage's setting `perceptual` asks for, as a function of wildcards."""

    def weights(wildcards):
        name = PERCEPTUAL_WEIGHTS[CONFIG.stage(stage, wildcards.actor).perceptual]
        return asset(name) if name else []

    return weights


def figure_weights(wildcards):
    """The weights behind the figures that the metrics' settings ask for, in the order of `metric_weights`."""
    return [asset(name) for name in metric_weights(CONFIG.stage("metrics", wildcards.actor)).values()]


def file_of(stage, setting, key):
    """A file that a stage's setting names, as a function of wildcards."""
    return lambda wildcards: own_file(getattr(CONFIG.stage(stage, wildcards.actor), setting), key)


def syncnet_weights(wildcards):
    """SyncNet's official weights, where its figures are asked for."""
    return asset("syncnet") if CONFIG.stage("metrics", wildcards.actor).syncnet else []


def of_pooled(stage, *files):
    """Files of the other actors that the stage's setting `pool` names, as a function of wildcards."""
    return lambda wildcards: [
        f"results/{other}/{file}" for other in CONFIG.pooled(stage, wildcards.actor) for file in files
    ]


def pixels(path):
    """Pixels of all frames, most of what an actor takes on disk: gone after their last reader unless they are kept."""
    return path if CONFIG.stage("decode").keep_frames else temp(path)


def source_clips(wildcards):
    """The clips of an actor as the config names them; the built-in actor's are made first."""
    actor = CONFIG.actors[wildcards.actor]
    if actor.builtin:
        return [f"results/{actor.name}/source/{emotion}.mp4" for emotion in actor.emotions]
    return [own_file(clip.path, f"actors.{actor.name}.clips[{index}]") for index, clip in enumerate(actor.clips)]


def own_file(path, key):
    """A file that the config names, or nothing; Snakemake's own message would not say which setting to correct."""
    # On another machine, or from a storage, the file is brought by Snakemake.
    here = workflow.is_main_process and not workflow.storage_settings.default_storage_provider
    if path and here and not Path(path).is_file():
        sys.exit(f"ua3dtalk: config: {key}: no file {path} (looked from {Path.cwd()}); correct the path")
    return path or []


def guest_actor(path):
    """The actor of the config whose folder is named in place of a clip; None for a clip."""
    folder = Path(path)
    return folder.name if folder.parent == Path("results") and folder.name in CONFIG.actors else None


def guest_files(voice):
    """Files of other persons whose manner or head motion a voice is said with."""
    found = []
    for setting, path in CONFIG.stage("cross_drive").voices[voice].guests.items():
        if name := guest_actor(path):
            found += [
                f"results/{name}/{file}" for file in ("clips.json", "landmarks.npz", "tracking.npz", "expression.npz")
            ]
        else:
            found.append(own_file(path, f"cross.voices.{voice}.{setting}"))
    return found


# What lip sync is measured with, where there is an actor to learn it from.
SYNC = {"sync": SYNC_NET, "audio_offset": "results/{actor}/audio_offset.json"} if CONFIG.sync_actors else {}


def source_clips_of(actor):
    """`source_clips` of an actor by name."""
    return source_clips(SimpleNamespace(actor=actor))


def seen(wildcards):
    """What the views of training see."""
    stages = stages_of_views(CONFIG.of(wildcards.actor))
    return [f"results/{wildcards.actor}/{stage}.npz" for stage in sorted(stages)]


def models_of_seen(wildcards):
    """The nets that made it, with which a foreign voice is heard."""
    stages = stages_of_views(CONFIG.of(wildcards.actor))
    return [f"results/{wildcards.actor}/model/{stage}.safetensors" for stage in sorted(stages)]


# A run of the ablation.
RUN = "results/{actor}/ablation/{method}/{seed}"


def run_config(method, seed):
    """What a run of the ablation has instead of the config's."""
    return {"method": method, "seed": int(seed)}


@functools.cache
def run_states(method, seed):
    """The states of all stages under the method and seed of a run."""
    return States(load_config({**config, **run_config(method, seed)}), PACKAGE, STATES.scripts)


def run_state(stage):
    return lambda wildcards: run_states(wildcards.method, wildcards.seed).of(stage, wildcards.actor)


def run_seen(wildcards):
    """What the views of the run's method see."""
    stages = stages_of_views(run_states(wildcards.method, wildcards.seed).config)
    return [f"results/{wildcards.actor}/{stage}.npz" for stage in sorted(stages)]


def run_params(stage):
    """Params of a run's job: the stage, its state, and what it has instead of the config's."""
    return {
        "state": run_state(stage),
        "stage": stage,
        "instead": lambda wildcards: run_config(wildcards.method, wildcards.seed),
    }


def all_runs(wildcards):
    settings = CONFIG.stage("ablation")
    return expand(
        f"{RUN}/metrics.json",
        actor=wildcards.actor,
        method=settings.methods,
        seed=[str(seed) for seed in settings.seeds],
    )


def voices_driven(wildcards):
    """What foreign voices made of an actor, as far as the config asks for any."""
    voices = getattr(CONFIG.sections.get("cross"), "voices", ())
    return expand("results/{actor}/cross/{voice}/cross.json", actor=wildcards.actor, voice=voices)


def report_state(wildcards):
    """Of all that the page shows; it is made for a person, and no stage reads it."""
    return digest(
        [
            STATES.code("ua3dtalk.report.actor"),
            STATES.adapter("report"),
            CONFIG.stage("report", wildcards.actor).model_dump(mode="json"),
            STATES.of("metrics", wildcards.actor),
        ]
    )


def compared_runs(path):
    """A file of every run that is compared: of each actor, method and seed."""
    settings = CONFIG.stage("compare")
    found = expand(
        path,
        actor=settings.actors or list(CONFIG.actors),
        method=settings.methods,
        seed=[str(seed) for seed in settings.seeds],
    )
    return list(dict.fromkeys(found))


def compare_state(wildcards):
    settings = CONFIG.stage("compare")
    return digest(
        [
            STATES.code("ua3dtalk.report.compare"),
            STATES.adapter("compare"),
            [CONFIG.stage(stage).model_dump(mode="json") for stage in ("compare", "report")],
            [
                run_states(method, str(seed)).of("metrics", actor)
                for actor in settings.actors or CONFIG.actors
                for method in settings.methods
                for seed in settings.seeds
            ],
        ]
    )


def release_state(wildcards):
    """Of all that the folder is made from; no other stage reads it, so it is no row of the table of stages."""
    before = (
        "decode",
        "sound",
        "landmarks",
        "regions",
        "tracking",
        "expression",
        "layers",
        "speech",
        "priors",
        "emotion",
    )
    return digest(
        [
            STATES.code("ua3dtalk.release.export"),
            STATES.adapter("release"),
            CONFIG.stage("release", wildcards.actor).model_dump(mode="json"),
            [STATES.of(stage, wildcards.actor) for stage in before],
        ]
    )


def cross_state(wildcards):
    """Of what the head says; the sound counts by its content. No stage of the table reads it, so it is no row there."""
    voice = CONFIG.stage("cross_drive").voices[wildcards.voice]
    files = [path for path in (voice.emotion, *voice.guests.values()) if path and Path(path).is_file()]
    actors = [name for name in map(guest_actor, voice.guests.values()) if name]
    return digest(
        [
            STATES.code("ua3dtalk.rendering.cross"),
            STATES.adapter("cross_drive"),
            STATES.content(voice.path),
            voice.model_dump(exclude={"path"}),
            [STATES.content(path) for path in files],
            [[STATES.of(stage, name) for stage in ("tracking", "expression")] for name in actors],
            STATES.of("train_fuse", wildcards.actor),
            CONFIG.seed,
        ]
    )


def cross_metrics_state(wildcards):
    return digest(
        [
            STATES.code("ua3dtalk.metrics.cross"),
            STATES.adapter("cross_metrics"),
            cross_state(wildcards),
            STATES.of("metrics", wildcards.actor),
            [CONFIG.method, CONFIG.of(wildcards.actor).budget],
        ]
    )


def reference_route(wildcards):
    """What the authors' nets read, and their files; one that is missing is told by the job, which knows its origin."""
    settings = CONFIG.stage("priors", wildcards.actor)
    if settings.source == "open":
        return []
    named = (settings.wav2lip, settings.audio2style, settings.fuse_net, settings.deep3d)
    own = [path for path in named if path and Path(path).is_file()]
    return [f"results/{wildcards.actor}/video.npy", f"results/{wildcards.actor}/audio.wav", *own]


def summary_state(wildcards):
    return digest(
        [
            STATES.code("ua3dtalk.report.summary"),
            STATES.adapter("summary"),
            [STATES.of("metrics", actor) for actor in CONFIG.actors],
        ]
    )


def unfinished():
    """After a run in which something failed: the page about all actors all the same, and where it lies."""
    from ua3dtalk.report.summary import write_summary

    try:
        counts = write_summary(STATES, Path("results"), summary_state(None))
    except OSError:  # a full disk has been told of already
        return []
    return [f"ua3dtalk: {counts}: results/summary.html"] if len(CONFIG.actors) > 1 else []
