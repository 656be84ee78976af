"""Malicious texts and files: typed errors only, no unpickling, no paths out of a folder."""

from __future__ import annotations

import ast
import hashlib
import json
import random
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nextscale_core.exceptions import (
    ConfigError,
    InvalidTextError,
    ModelLoadError,
    MotionFileError,
    NextscaleError,
    RobotError,
)
from nextscale_core.model.checkpoint import CHECKSUMS, check_checksums, write_checksums
from nextscale_core.motion.formats.files import read_motion
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.resources import resource
from nextscale_core.robots import load_robot, read_profile
from nextscale_core.text import validate_sentence
from nextscale_core.yaml_files import MAX_TEXT, MAX_VALUES, parse_yaml, read_yaml
from nextscale_lab.evaluate.evaluator import load_evaluator

ROOT = Path(__file__).resolve().parents[2]

some = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def files() -> Iterator[ModuleType]:
    """The module of the benchmark that makes hostile files."""
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        import fuzz_files

        yield fuzz_files
    finally:
        sys.path.remove(str(ROOT / "bench"))


@pytest.fixture(scope="module")
def models(files: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> object:
    return files.Weights(tmp_path_factory.mktemp("weights"))


def only_typed_errors(attack: object, seed: int, folder: Path) -> None:
    try:
        attack(random.Random(seed), folder)  # type: ignore[operator]
    except NextscaleError as error:
        assert 0 < len(str(error)) < 20_000


@settings(some, max_examples=300)
@given(st.text(st.characters(), max_size=600) | st.text(max_size=600))
def test_any_text_is_a_sentence_or_a_typed_error(text: str) -> None:
    try:
        clean = validate_sentence(text)
    except InvalidTextError as error:
        assert 0 < len(str(error)) < 1000
        return
    assert validate_sentence(clean) == clean


@pytest.mark.parametrize("kind", ["texts", "profiles", "npz", "bvh", "gltf", "smpl", "soma"])
@some
@given(seed=seeds)
def test_what_is_altered_at_random_raises_typed_errors_only(
    files: ModuleType, tmp_path: Path, kind: str, seed: int
) -> None:
    only_typed_errors(getattr(files, kind), seed, tmp_path)


@some
@given(seed=seeds)
def test_altered_weights_raise_typed_errors_only(
    models: object, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("attack")
    only_typed_errors(models, seed, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def robot_motions(files: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> object:
    return files.RobotMotions(tmp_path_factory.mktemp("robot_motions"))


@some
@given(seed=seeds)
def test_altered_files_of_robot_motion_raise_typed_errors_only(
    robot_motions: object, tmp_path: Path, seed: int
) -> None:
    only_typed_errors(robot_motions, seed, tmp_path)


@settings(some, max_examples=30)
@given(seed=seeds)
def test_altered_bags_raise_typed_errors_only(
    bags: object, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("attack")
    only_typed_errors(bags, seed, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def bags(files: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> object:
    pytest.importorskip("rosbags", reason="needs the extra 'bag'")
    return files.Bags(tmp_path_factory.mktemp("bags"))


# -- YAML


def test_aliases_that_stand_for_billions_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join([*lines, "name: *a29"]))
    with pytest.raises(ConfigError, match=f"more than {MAX_VALUES} values"):
        read_profile(path)


def test_a_value_that_holds_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="part of itself"):
        parse_yaml("a: &a [*a]", "x")


def test_an_alias_used_twice_is_fine() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: *a", "x") == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!int ''",
        "a: !!float ''",
        "a: !!bool maybe",
        "a: !!timestamp never",
        "a: 2020-13-45",
        "a: !!python/object/apply:os.getcwd []",
        "a: !!python/name:os.system",
        "? [a]\n: b\n? {c: d}\n: e",
        "[" * 5000,
        "\x00",
        "\ud800",
        "a: b: c",
        "--- a\n--- b",
        "1:" * (MAX_TEXT // 2) + "1",
        "x" * (MAX_TEXT + 1),
        "x" * (2 << 20),
    ],
)
def test_yaml_that_makes_the_parser_stumble_is_a_typed_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here\.yaml"):
        parse_yaml(text, "here.yaml")


def test_a_yaml_file_may_be_missing_a_folder_endless_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xe9\xff")
    for path in (tmp_path / "none", tmp_path, Path("/dev/zero"), tmp_path / "latin"):
        with pytest.raises(ConfigError, match=path.name):
            read_yaml(path)


# -- weights


@pytest.fixture
def pipeline_folder(trained_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_model, tmp_path / "model"))


def test_the_committed_models_have_the_sums_that_are_noted() -> None:
    for name in ("moscale-cmu", "evaluator-cmu"):
        folder = resource(f"weights/{name}")
        sums = json.loads((folder / CHECKSUMS).read_text())
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")} <= (
            set(sums)
        )
        for file, noted in sums.items():
            assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == noted


@pytest.mark.parametrize("part", ["tokenizer", "generator"])
def test_one_flipped_bit_of_a_weight_is_refused_by_its_sum(
    pipeline_folder: Path, part: str
) -> None:
    file = pipeline_folder / part / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelLoadError, match=rf"{part}/model\.safetensors was altered"):
        MotionPipeline.from_pretrained(pipeline_folder)
    data[-1000] ^= 1
    file.write_bytes(data)
    MotionPipeline.from_pretrained(pipeline_folder)


def test_an_altered_evaluator_is_refused_by_its_sum(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(resource("weights/evaluator-cmu"), tmp_path / "evaluator"))
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 128
    file.write_bytes(data)
    with pytest.raises(ModelLoadError, match=r"model\.safetensors was altered"):
        load_evaluator(folder)


def test_weights_that_are_not_listed_or_missing_are_refused(models, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models.whole, tmp_path / "model"))
    check_checksums(folder)
    sums = json.loads((folder / CHECKSUMS).read_text())
    one = next(name for name in sums if name.endswith(".safetensors"))
    (folder / CHECKSUMS).write_text(json.dumps({k: v for k, v in sums.items() if k != one}))
    with pytest.raises(ModelLoadError, match="not listed"):
        check_checksums(folder)
    for name in ("../whole.txt", "/etc/passwd"):
        (folder / CHECKSUMS).write_text(json.dumps({**sums, name: "0" * 64}))
        with pytest.raises(ModelLoadError, match="does not hold SHA-256 sums"):
            check_checksums(folder)
    write_checksums(folder)
    (folder / one).unlink()
    with pytest.raises(ModelLoadError, match="is missing"):
        check_checksums(folder)


def test_a_header_that_claims_an_exabyte_and_a_config_that_asks_for_one_are_refused(
    models, tmp_path: Path
) -> None:
    from nextscale_core.model.checkpoint import load_part

    for name, kind in models.kinds.items():
        folder = Path(shutil.copytree(models.whole / name, tmp_path / name))
        file = folder / "model.safetensors"
        whole = file.read_bytes()
        file.write_bytes(struct.pack("<Q", 10**18) + whole[8:])
        with pytest.raises(ModelLoadError, match="safetensors"):
            load_part(kind, folder)
        file.write_bytes(whole)
        load_part(kind, folder)
        config = json.loads((folder / "config.json").read_text())
        for size in (10**18, 1 << 20, 60_000):
            (folder / "config.json").write_text(json.dumps({**config, "width": size}))
            with pytest.raises(ModelLoadError):
                load_part(kind, folder)


@pytest.mark.parametrize(
    "name",
    ["../../etc", "..", "../weights/moscale-cmu", "/etc", "moscale-cmu/tokenizer", "a\0b",
     "\ud800", "x" * 5000, "a\nb", "", "./moscale-cmu"],
)  # fmt: skip
def test_a_name_leads_to_no_other_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Relative names that are folders here would be folders that the user means.
    monkeypatch.chdir(tmp_path)
    for load in (MotionPipeline.from_pretrained, load_evaluator):
        with pytest.raises(ModelLoadError):
            load(name)
    with pytest.raises((ConfigError, RobotError)):
        load_robot(name)


def test_resources_stay_inside() -> None:
    for path in ("../etc/passwd", "weights/../../etc", "/etc/passwd", "config/\0", "config/" * 99):
        with pytest.raises(ConfigError):
            resource(path)


# -- npz


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([Trap()], dtype=object)
    np.savez(tmp_path / "trap.npz", joints=trap, fps=20.0)
    np.save(tmp_path / "trap.npy", trap)
    for name in ("trap.npz", "trap.npy"):
        with pytest.raises(MotionFileError):
            read_motion(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


# -- the code itself

_PICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _keyword(call: ast.Call, name: str) -> object:
    for keyword in call.keywords:
        if keyword.arg == name:
            return ast.unparse(keyword.value)
    return None


def _safe_loaders(tree: ast.AST) -> set[str]:
    """Names of classes that are safe loaders of YAML."""
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base) == "yaml.SafeLoader" for base in node.bases)
    }


def unsafe(text: str) -> list[str]:
    """Calls that could unpickle a file or run code of it."""
    tree, found = ast.parse(text), []
    loaders = {"yaml.SafeLoader", "yaml.CSafeLoader"} | _safe_loaders(tree)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        found += [f"import {name}" for name in names if name in _PICKLING]
    for name, call in _calls(tree):
        if name in ("torch.load", "load_as_pickle") and _keyword(call, "weights_only") != "True":
            found.append(name)
        elif name in ("np.load", "numpy.load") and _keyword(call, "allow_pickle") != "False":
            found.append(f"{name} without allow_pickle=False")
        elif name.endswith(
            ("read_pickle", "pickle.load", "pickle.loads", "pickle.Unpickler")
        ) or name in ("eval", "exec", "os.system"):
            found.append(name)
        elif name in ("yaml.load", "yaml.load_all") and _keyword(call, "Loader") not in loaders:
            found.append(f"{name} without a safe loader")
        elif name.startswith("yaml.") and name.split(".")[1] in (
            "unsafe_load", "full_load", "Loader", "UnsafeLoader", "FullLoader",
        ):  # fmt: skip
            found.append(name)
        elif name.endswith(".from_pretrained") and name.split(".")[0] in ("TemporalTokenizer",
            "MoScale", "MotionTextEvaluator", "NextToken"):  # fmt: skip
            found.append(f"{name} instead of load_part, which downloads and unpickles nothing")
    return found


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "yaml.load(f)",
        "yaml.load(f, Loader=yaml.Loader)",
        "yaml.unsafe_load(f)",
        "eval(x)",
        "pickle.loads(f)",
        "MoScale.from_pretrained(x)",
    ],
)
def test_the_search_finds_what_it_looks_for(bad: str) -> None:
    assert unsafe(bad)


def test_nothing_in_the_code_unpickles_or_runs_what_a_file_says() -> None:
    files = [
        path
        for folder in ("nextscale_core", "nextscale_ros", "bench", "tools", "launch")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 150
    found = {
        str(path.relative_to(ROOT)): bad
        for path in files
        if (bad := unsafe(path.read_text(encoding="utf-8")))
    }
    # It knows the names of arrays only; test_robot_formats.py has its laws.
    admitted = "nextscale_core/trajectory/formats/restricted_pickle.py"
    assert found == {admitted: ["import pickle"]}


# -- the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "a person walks", "--model", "../../etc"),
        ("generate", "a person walks", "--model", "x" * 5000),
        ("generate", "\x07\x1b[2J", "--model", "nobody"),
        ("generate", "a person walks", "--robot", "../../../etc/passwd"),
        ("retarget", "/dev/null", "--robot", "g1"),
        ("retarget", "../no/such.npz", "--robot", "x" * 5000),
        ("robots", "check", "/dev/null"),
    ],
)
def test_the_command_line_says_what_is_wrong_and_shows_no_stack(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from nextscale_core.cli import app as cli

    result = CliRunner().invoke(cli.app, [*arguments])
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit | NextscaleError), (
        repr(result.exception)
    )
    assert "Traceback" not in result.output
