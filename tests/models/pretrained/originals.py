"""Small image-text models of other implementations, with random weights, as they are published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

VISION = dict(image_size=16, patch_size=8, hidden_size=32, num_attention_heads=4)
VISION |= dict(num_hidden_layers=2, intermediate_size=80)
TEXT = dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=2, intermediate_size=96)
TEXT |= dict(max_position_embeddings=12)
CLIP_VOCAB = 49408
WORDS = ("a", "an", "the", "photo", "of", "red", "blue", "boat", "cat", "dog", "night", "lake")
Model = Any


def moved(model: Model) -> Model:
    """Prepare a module for evaluation, without parameters at special values."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = 0.05 * torch.randn_like(tensor)
                tensor += noise.abs() if name.endswith("running_var") else noise
    return model.eval()


def clip(folder: Path, act: str = "quick_gelu", side: int = 16, **saving: Any) -> Model:
    """Save a `transformers.CLIPModel` without a tokenizer: its vocabulary is CLIP's."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    text = TEXT | dict(vocab_size=CLIP_VOCAB, hidden_act=act, eos_token_id=CLIP_VOCAB - 1)
    vision = VISION | dict(hidden_act=act, image_size=side)
    model = moved(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)))
    model.save_pretrained(folder, **saving)
    crop = {"height": side, "width": side}
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size=crop).save_pretrained(folder)
    return model


def siglip(folder: Path, side: int = 16, **saving: Any) -> Model:
    """Save a `transformers.SiglipModel` with a tokenizer of few words."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    text = TEXT | dict(vocab_size=64, bos_token_id=0, eos_token_id=1)
    vision = VISION | dict(image_size=side)
    model = moved(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))
    model.save_pretrained(folder, **saving)
    SiglipImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)
    words(folder)
    return model


def siglip2(folder: Path) -> Model:
    """Save a `transformers.Siglip2Model` (NaFlex) of 4 x 4 patches of 8 pixels."""
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model

    text = TEXT | dict(vocab_size=64, bos_token_id=0, eos_token_id=1)
    vision = {name: value for name, value in VISION.items() if name != "image_size"}
    vision |= dict(num_patches=16)
    model = moved(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)))
    model.save_pretrained(folder)
    Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(folder)
    words(folder)
    return model


def words(folder: Path) -> None:
    """tokenizer.json of single words, each text's end marked, and its settings."""
    import tokenizers

    numbers = {word: i for i, word in enumerate(["<unk>", "</s>", *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ending = dict(single="$A </s>", special_tokens=[("</s>", 1)])
    made.post_processor = tokenizers.processors.TemplateProcessing(**ending)
    made.save(str(folder / "tokenizer.json"))
    settings = dict(pad_token="</s>", do_lower_case=True, padding_side="right")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def openai(kind: str) -> Model:
    """CLIP by OpenAI's names: a 'vit' of one head of 64, or a 'resnet'."""
    from tests.models import original

    if kind == "vit":
        tower = original.ViT(image_size=16, patch=8, width=64, layers=2, heads=1, embed_dim=24)
    else:
        tower = original.ResNet((1, 2, 1, 1), 8, 64, 24)
    text = dict(width=64, layers=2, heads=1, context=12, vocab=CLIP_VOCAB)
    return moved(original.CLIP(tower, **text, embed_dim=24))


def save(
    model: Model, path: Path, change: Callable[[np.ndarray], np.ndarray] = lambda x: x
) -> None:
    """Save the model's tensors as a safetensors file."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: np.ascontiguousarray(v.numpy()) for k, v in model.state_dict().items()}
    save_file({k: change(v) for k, v in tensors.items()}, path)


def pixels(size: int = 16, n: int = 5, width: int | None = None) -> np.ndarray:
    """Draw normalized images float32 [n size width 3]; width None: squares."""
    shape = (n, size, width or size, 3)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def tokens(vocab: int = CLIP_VOCAB, n: int = 5, context: int = 12) -> np.ndarray:
    """Draw tokens int32 [n context] with the end token, the largest, at various positions."""
    rng = np.random.default_rng(1)
    found = rng.integers(2, vocab - 1, (n, context))
    found[np.arange(n), rng.integers(2, context, n)] = vocab - 1
    return found.astype(np.int32)
