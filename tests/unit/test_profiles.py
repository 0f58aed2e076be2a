"""The profiles are read by Snakemake's own parser; a wrong key or value would end it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

PLUGINS = {
    "default": (),
    "gpu": (),
    "slurm": ("snakemake_executor_plugin_slurm",),
    "kubernetes": ("snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_s3"),
}


def test_every_profile_is_tested(root: Path) -> None:
    assert {path.name for path in (root / "profiles").iterdir()} == set(PLUGINS)


@pytest.mark.parametrize("profile", PLUGINS)
def test_snakemake_reads_the_profile(root: Path, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    from snakemake.cli import parse_args

    if missing := [name for name in PLUGINS[profile] if importlib.util.find_spec(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install '.[{profile}]'")
    monkeypatch.chdir(root)
    _, arguments = parse_args(["--cores", "1", "--profile", f"profiles/{profile}"])
    wanted = yaml.safe_load((root / "profiles" / profile / "config.yaml").read_text())
    assert arguments.executor == wanted.get("executor")
    assert dict(arguments.groups or {}) == wanted.get("groups", {})
    if profile == "kubernetes":
        assert arguments.default_storage_provider == "s3"
        assert arguments.default_storage_prefix == wanted["default-storage-prefix"]
        assert arguments.container_image == wanted["container-image"]
        assert arguments.shared_fs_usage == frozenset()
