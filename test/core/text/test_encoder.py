from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.text import encoder as module
from nextscale_core.text.encoder import TextEncoder


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder()


def test_every_word_piece_has_features(encoder):
    features = encoder(["a person walks", "jump"])
    assert features.tokens.shape[-1] == encoder.dim == 384
    assert features.mask.sum(1).tolist() == [5, 3]
    assert (features.tokens[~features.mask] == 0).all()


def test_features_do_not_depend_on_the_batch(encoder):
    alone = TextEncoder()(["jump"])
    together = encoder(["jump", "a person walks slowly in a wide circle to the left"])
    assert torch.allclose(alone.tokens[0], together.tokens[0, :3], atol=1e-4)


def test_sentences_of_like_meaning_are_near(encoder):
    walk, stroll, punch = encoder(
        ["a person walks forward", "someone is walking ahead", "a person throws a punch"]
    ).pooled
    assert walk @ stroll > walk @ punch + 0.2


def test_left_and_right_differ(encoder):
    left, right = encoder(["wave the left hand", "wave the right hand"]).pooled
    assert left @ right < 0.999


def test_a_repeated_sentence_is_not_encoded_again(encoder, monkeypatch):
    encoder(["a person hops"])
    monkeypatch.setattr(encoder, "_encode", lambda sentences: pytest.fail("encoded again"))
    encoder(["a person hops"])


def test_a_missing_encoder_names_itself(tmp_path):
    with pytest.raises(ModelLoadError, match="nowhere"):
        TextEncoder(str(tmp_path / "nowhere"))


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "altered"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model" / "model.safetensors").write_bytes(b"not the official weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "_MINILM_PACKAGE", "altered")
    module._minilm_folder.cache_clear()
    with pytest.raises(ModelLoadError, match="SHA-256"):
        TextEncoder()
    module._minilm_folder.cache_clear()


def save_t5(folder, **changes):
    """A tiny encoder with random weights, and its tokenizer."""
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "person": 4, "jumps": 5}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    model = T5EncoderModel(config).to(**changes)
    model.save_pretrained(folder)
    return model


def test_a_t5_encoder_in_a_local_folder_serves_too(tmp_path):
    save_t5(tmp_path)
    features = TextEncoder(str(tmp_path))(["a person jumps", "a person"])
    assert features.tokens.shape == (2, 3, 16)
    assert features.mask.sum(1).tolist() == [3, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_encoder_saved_in_half_precision_runs_in_single_precision(tmp_path, dtype):
    model = save_t5(tmp_path, dtype=dtype).eval().float()
    features = TextEncoder(str(tmp_path))(["a person jumps"])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([[3, 4, 5]])).last_hidden_state
    assert features.tokens.dtype == torch.float32
    assert torch.allclose(features.tokens, expected, atol=1e-6)


def test_a_folder_that_names_half_precision_keeps_its_single_precision_weights(tmp_path):
    model = save_t5(tmp_path).eval()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    features = TextEncoder(str(tmp_path))(["a person jumps"])
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([[3, 4, 5]])).last_hidden_state
    assert torch.allclose(features.tokens, expected, atol=1e-6)
