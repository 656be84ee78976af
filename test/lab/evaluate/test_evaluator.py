"""The evaluator: its model, where it is loaded from, and evaluators of other people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nextscale_core.exceptions import ConfigError, InvalidMotionError, ModelLoadError
from nextscale_core.motion.features import CONTACTS
from nextscale_core.resources import resource
from nextscale_lab.data.samples import captioned_samples
from nextscale_lab.evaluate.evaluator import embed_motions, embed_texts, load_evaluator
from nextscale_lab.evaluate.evaluator_model import EvaluatorConfig, MotionTextEvaluator
from nextscale_lab.evaluate.hashed_text import HashedWords, hashed_word, words_of
from nextscale_lab.train.evaluator import evaluate_retrieval, pack_evaluator

SMALL = EvaluatorConfig("small", dim=8, width=16, heads=2, motion_depth=1, text_depth=1, word_dim=8)


@pytest.fixture
def model() -> MotionTextEvaluator:
    torch.manual_seed(0)
    return MotionTextEvaluator(SMALL).eval()


@pytest.fixture
def motions() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(t, 263)).astype(np.float32) for t in (8, 60, 23, 41, 196, 11)]


def test_a_motion_is_seen_alike_alone_and_beside_longer_ones(model, motions):
    together = model.embed_motions(motions)
    alone = np.concatenate([model.embed_motions([m]) for m in motions])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_more_motions_than_one_batch_keep_their_order(model, motions):
    many = model.embed_motions(motions * 30)
    np.testing.assert_allclose(many, np.tile(model.embed_motions(motions), (30, 1)), atol=1e-5)


def test_what_lies_beyond_the_end_is_not_looked_at(model, motions):
    padded = torch.zeros(1, 90, 263)
    padded[0, :60] = torch.from_numpy(motions[1])
    other = padded.clone()
    other[0, 60:] = 7.0
    lengths = torch.tensor([60])
    seen = [model.encode_motions(x, lengths).detach() for x in (padded, other)]
    torch.testing.assert_close(seen[0], seen[1])


def test_frames_and_their_order_matter_but_contact_labels_do_not(model, motions):
    own = model.embed_motions([motions[1]])
    relabelled = motions[1].copy()
    relabelled[:, CONTACTS] = 1.0
    np.testing.assert_array_equal(model.embed_motions([relabelled]), own)
    assert np.abs(model.embed_motions([motions[1][::-1].copy()]) - own).max() > 1e-3


def test_a_sentence_is_seen_alike_alone_in_capitals_and_beside_longer_ones(model):
    texts = ["a person waves", "someone walks forward and then turns around to the left", "jump"]
    together = model.embed_texts(texts)
    alone = np.concatenate([model.embed_texts([t]) for t in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(["A person WAVES."]), together[:1], atol=1e-5)
    assert np.abs(model.embed_texts(["waves person a"]) - together[0]).max() > 1e-3


def test_a_sentence_without_words_and_no_sentence_at_all_do_not_break_it(model):
    assert np.isfinite(model.embed_texts(["?!"])).all()
    assert model.embed_texts([]).shape == model.embed_motions([]).shape == (0, 8)


def test_a_word_that_was_never_seen_shares_rows_with_its_kin():
    assert words_of("He's doing 2 cart-wheels!") == ["hes", "doing", "2", "cart", "wheels"]
    kin = set(hashed_word("cartwheeling", 8192)) & set(hashed_word("cartwheel", 8192))
    strangers = set(hashed_word("cartwheeling", 8192)) & set(hashed_word("squat", 8192))
    assert len(kin) > 10 > 1 >= len(strangers)


def test_words_are_left_out_only_when_asked_and_never_all():
    torch.manual_seed(0)
    table = HashedWords(64, 4, max_words=5)
    _, whole = table(["one two three four five six seven"])
    assert whole.sum() == 5
    counts = [int(table(["one two three"], word_drop=0.9)[1].sum()) for _ in range(30)]
    assert 1 <= min(counts) < 3


@pytest.mark.parametrize("shape", [(7, 263), (20, 262), (20,)])
def test_a_motion_of_a_wrong_shape_is_refused(model, shape):
    with pytest.raises(InvalidMotionError):
        model.embed_motions([np.zeros(shape, np.float32)])


@pytest.mark.parametrize("wrong", [{"width": 18, "heads": 4}, {"dim": 0}, {"dropout": 1.0}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ConfigError):
        EvaluatorConfig(**wrong)


def test_an_evaluator_in_half_precision_is_read_from_its_folder(model, motions, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    pack_evaluator(tmp_path / "whole", tmp_path / "half")
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_evaluator(tmp_path / "half")
    assert loaded.name == "small"
    own = model.embed_motions(motions)
    np.testing.assert_allclose(embed_motions(loaded, motions), own, atol=2e-2)


def test_an_evaluator_that_is_not_there_names_those_that_are():
    with pytest.raises(ModelLoadError, match="evaluator-of-nobody"):
        load_evaluator("evaluator-of-nobody")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ModelLoadError, match="device 'cuda' is not there; there is cpu"):
        load_evaluator("evaluator-cmu", "cuda")


def test_damaged_weights_and_folders_without_any_are_refused(model, tmp_path):
    with pytest.raises(ModelLoadError, match=r"config\.json is missing"):
        load_evaluator(tmp_path)
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_evaluator(tmp_path)


PLUGIN = """
import numpy as np

class Mine:
    name = "mine"

    def embed_texts(self, texts):
        return np.array([[len(text), 1.0] for text in texts])

    def embed_motions(self, motions):
        return np.array([[len(m), float(m.mean())] for m in motions])

def factory():
    return Mine()

def broken():
    raise RuntimeError("no checkpoint")

def half():
    return object()

number = 3
"""


@pytest.fixture
def plugin(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def test_anybody_may_bring_an_evaluator_in_a_file(plugin, motions):
    mine = load_evaluator(f"{plugin}:factory")
    assert mine.name == "mine"
    np.testing.assert_array_equal(embed_texts(mine, ["abc", "a"]), [[3, 1], [1, 1]])
    assert embed_motions(mine, motions)[:, 0].tolist() == [len(m) for m in motions]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (":nothing", "no function 'nothing'"),
        (":number", "no function 'number'"),
        (":broken", "no checkpoint"),
        (":half", "has no name"),
        ("", "name the function"),
    ],
)
def test_a_file_that_makes_no_evaluator_is_refused(plugin, ending, reason):
    with pytest.raises(ModelLoadError, match=reason):
        load_evaluator(f"{plugin}{ending}")


def test_a_file_that_is_missing_or_no_python_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match="no evaluator file"):
        load_evaluator(f"{tmp_path / 'none.py'}:factory")
    (tmp_path / "bad.py").write_text("def factory(:")
    with pytest.raises(ModelLoadError, match="SyntaxError"):
        load_evaluator(f"{tmp_path / 'bad.py'}:factory")


@pytest.mark.parametrize(
    "answer", [np.zeros((3, 4)), np.zeros(2), np.full((2, 4), np.nan), [["a"], ["b"]]]
)
def test_embeddings_of_a_wrong_shape_or_value_are_refused(answer):
    class Wrong:
        name = "wrong"

        def embed_texts(self, texts):
            return answer

        def embed_motions(self, motions):
            return answer

    for call in (embed_texts, embed_motions):
        with pytest.raises(ConfigError, match="evaluator wrong"):
            call(Wrong(), ["a", "b"])


@pytest.fixture(scope="module")
def committed() -> MotionTextEvaluator:
    loaded = load_evaluator()
    assert isinstance(loaded, MotionTextEvaluator)
    return loaded


def test_the_committed_evaluator_is_small_and_knows_words_from_words(committed):
    folder = resource("weights/evaluator-cmu")
    assert (folder / "model.safetensors").stat().st_size < 8_000_000
    a, b, c = committed.embed_texts(
        ["a person walks forward", "someone is walking straight ahead", "a person dances salsa"]
    )
    assert a @ b > a @ c + 0.2


def test_the_committed_evaluator_finds_held_out_motions(committed, shared):
    samples = captioned_samples(shared / "data" / "cmu", "val")
    assert evaluate_retrieval(committed, samples, rounds=20)["top3"] > 0.45
