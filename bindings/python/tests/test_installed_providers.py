"""Providers that came as packages are found without running their code."""

import sys
from pathlib import Path

import pytest
from remuda._providers import installed_folders


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    installed_folders.cache_clear()
    yield tmp_path
    installed_folders.cache_clear()


def install(folder: Path, name: str, module: str) -> None:
    info = folder / f"remuda_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: remuda-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[remuda.providers]\n{name} = {module}\n")


def test_the_folder_of_a_package_is_found_and_the_package_not_imported(packages: Path) -> None:
    own = packages / "remuda_npu"
    own.mkdir()
    (own / "__init__.py").write_text("raise RuntimeError('imported')")
    install(packages, "npu", "remuda_npu")
    assert str(own) in installed_folders()
    assert "remuda_npu" not in sys.modules


def test_an_entry_without_its_package_or_inside_one_is_left_out(packages: Path) -> None:
    before = installed_folders()
    installed_folders.cache_clear()
    install(packages, "gone", "remuda_gone_away")
    install(packages, "deep", "xml.sax")
    assert installed_folders() == before
