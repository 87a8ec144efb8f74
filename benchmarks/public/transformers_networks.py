"""Models of transformers, in tiny configurations."""

from operator import attrgetter

import transformers as hf

from public.table import Table
from public.wrappers import (
    Audio,
    Images,
    Language,
    MaskedTokens,
    Segments,
    Spectrograms,
    Texts,
    Tokens,
    Translation,
    Wrapper,
)

TABLE = Table("transformers")

LOGITS = attrgetter("logits")
STATES = attrgetter("last_hidden_state")

SMALL = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 40,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "use_cache": False}
PAD = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
VISION = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "image_size": 32, "patch_size": 8, "num_labels": 10,
}


def _tokens(name: str, **options: object) -> Wrapper:
    return Tokens(_made(f"{name}Model", name, options), STATES)


def _masked(name: str, **options: object) -> Wrapper:
    return MaskedTokens(_made(f"{name}Model", name, options), STATES)


def _language(name: str, **options: object) -> Wrapper:
    return Language(_made(f"{name}ForCausalLM", name, options), LOGITS)


def _images(name: str, **options: object) -> Wrapper:
    return Images(_made(f"{name}ForImageClassification", name, options), LOGITS)


def _made(model: str, config: str, options: dict[str, object]) -> hf.PreTrainedModel:
    configuration = getattr(hf, f"{config}Config")(**options)
    made: hf.PreTrainedModel = getattr(hf, model)(configuration)
    return made


# encoders of text
for _name in (
    "Bert",
    "Electra",
    "MPNet",
    "Ernie",
    "RoFormer",
    "Roberta",
    "XLMRoberta",
    "Camembert",
):
    TABLE.add(_name, lambda name=_name: _tokens(name, **SMALL))
for _name in ("Bert", "Roberta", "Electra"):
    TABLE.add(f"{_name}, masked", lambda name=_name: _masked(name, **SMALL))
TABLE.add("Albert", lambda: _tokens("Albert", **SMALL, embedding_size=16))
TABLE.add(
    "DistilBert",
    lambda: _tokens(
        "DistilBert", vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
        max_position_embeddings=40,
    ),
)  # fmt: skip
TABLE.add(
    "Deberta",
    lambda: _tokens("Deberta", **SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"]),
)
TABLE.add(
    "DebertaV2",
    lambda: _tokens("DebertaV2", **SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"]),
)
TABLE.add("Longformer", lambda: _tokens("Longformer", **SMALL, attention_window=4))
TABLE.add("BigBird", lambda: _tokens("BigBird", **SMALL, attention_type="original_full"))
TABLE.add("FNet", lambda: _tokens("FNet", **SMALL))
TABLE.add(
    "Funnel",
    lambda: Tokens(
        hf.FunnelModel(
            hf.FunnelConfig(
                vocab_size=50,
                d_model=32,
                block_sizes=[1, 1],
                num_decoder_layers=1,
                n_head=4,
                d_head=8,
                d_inner=48,
            )
        ),
        STATES,
    ),
)
TABLE.add(
    "ModernBert",
    lambda: _tokens(
        "ModernBert",
        **SMALL,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    ),
)
TABLE.add(
    "T5 encoder",
    lambda: Tokens(
        hf.T5EncoderModel(
            hf.T5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
        ),
        STATES,
    ),
)
TABLE.add(
    "Bert, classes",
    lambda: Texts(
        _made("BertForSequenceClassification", "Bert", {**SMALL, "num_labels": 10}), LOGITS
    ),
)

# language models
for _name in (
    "Llama",
    "Mistral",
    "Qwen2",
    "Qwen3",
    "Gemma",
    "Gemma2",
    "Olmo",
    "StableLm",
    "Cohere",
):
    TABLE.add(_name, lambda name=_name: _language(name, **GROUPED, **PAD))
for _name in ("Phi", "GPTNeoX"):
    TABLE.add(_name, lambda name=_name: _language(name, **SMALL, **PAD, use_cache=False))
TABLE.add(
    "Phi3",
    lambda: _language("Phi3", **{k: v for k, v in GROUPED.items() if k != "head_dim"}, **PAD),
)
TABLE.add("Mixtral", lambda: _language("Mixtral", **GROUPED, **PAD, num_local_experts=4))
TABLE.add(
    "GPT2",
    lambda: Language(
        hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=50, n_positions=40, n_embd=32, n_layer=2, n_head=4, use_cache=False
            )
        ),
        LOGITS,
    ),
)
TABLE.add(
    "GPTJ",
    lambda: _language(
        "GPTJ",
        vocab_size=50,
        n_positions=40,
        n_embd=32,
        n_layer=2,
        n_head=4,
        rotary_dim=4,
        use_cache=False,
    ),
)
TABLE.add(
    "GPTNeo",
    lambda: _language(
        "GPTNeo",
        vocab_size=50,
        max_position_embeddings=40,
        hidden_size=32,
        num_layers=2,
        attention_types=[[["global", "local"], 1]],
        num_heads=4,
        window_size=8,
        use_cache=False,
    ),
)
TABLE.add(
    "OPT",
    lambda: _language(
        "OPT",
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        ffn_dim=48,
        num_attention_heads=4,
        max_position_embeddings=40,
        word_embed_proj_dim=32,
        use_cache=False,
    ),
)
TABLE.add(
    "Bloom",
    lambda: _language("Bloom", vocab_size=50, hidden_size=32, n_layer=2, n_head=4, use_cache=False),
)
TABLE.add(
    "Falcon",
    lambda: _language(
        "Falcon",
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        use_cache=False,
    ),
)
TABLE.add(
    "Mamba",
    lambda: _language(
        "Mamba", vocab_size=50, hidden_size=32, state_size=4, num_hidden_layers=2, use_cache=False
    ),
)

# translators
for _name in ("Bart", "Marian", "Pegasus", "MBart"):
    TABLE.add(
        _name,
        lambda name=_name: Translation(
            _made(
                {"Marian": "MarianMTModel"}.get(name, f"{name}ForConditionalGeneration"),
                name,
                {
                    "vocab_size": 50,
                    "d_model": 32,
                    "encoder_layers": 2,
                    "decoder_layers": 2,
                    "encoder_attention_heads": 4,
                    "decoder_attention_heads": 4,
                    "encoder_ffn_dim": 48,
                    "decoder_ffn_dim": 48,
                    "max_position_embeddings": 40,
                    "use_cache": False,
                    "pad_token_id": 1,
                    "bos_token_id": 0,
                    "eos_token_id": 2,
                    "decoder_start_token_id": 2,
                    "forced_eos_token_id": 2,
                },
            ),
            LOGITS,
        ),
    )
TABLE.add(
    "T5",
    lambda: Translation(
        hf.T5ForConditionalGeneration(
            hf.T5Config(
                vocab_size=50,
                d_model=32,
                d_kv=8,
                d_ff=48,
                num_layers=2,
                num_heads=4,
                use_cache=False,
            )
        ),
        LOGITS,
    ),
)

# vision
TABLE.add("ViT", lambda: _images("ViT", **VISION), height=32, width=32)
TABLE.add("DeiT", lambda: _images("DeiT", **VISION), height=32, width=32)
TABLE.add("Beit", lambda: _images("Beit", **VISION), height=32, width=32)
TABLE.add("Dinov2", lambda: _images("Dinov2", **VISION), height=32, width=32)
TABLE.add(
    "Swin",
    lambda: _images(
        "Swin",
        image_size=32,
        patch_size=2,
        embed_dim=16,
        depths=[1, 2],
        num_heads=[2, 4],
        window_size=4,
        num_labels=10,
    ),
    height=32,
    width=32,
)
TABLE.add(
    "Segformer",
    lambda: Segments(
        _made(
            "SegformerForSemanticSegmentation",
            "Segformer",
            dict(
                hidden_sizes=[16, 16, 32, 32],
                depths=[1, 1, 1, 1],
                num_attention_heads=[1, 2, 2, 4],
                decoder_hidden_size=16,
                num_labels=10,
            ),
        ),
        LOGITS,
    ),
)
TABLE.add(
    "ConvNext",
    lambda: _images("ConvNext", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=10),
)
TABLE.add(
    "ResNet",
    lambda: _images(
        "ResNet", embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=10
    ),
)
TABLE.add(
    "MobileViT",
    lambda: _images(
        "MobileViT",
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 64],
        num_attention_heads=2,
        num_labels=10,
    ),
)
TABLE.add(
    "PoolFormer",
    lambda: _images("PoolFormer", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=10),
)
TABLE.add(
    "Pvt",
    lambda: _images(
        "Pvt",
        image_size=64,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 4],
        num_labels=10,
    ),
    height=64,
    width=64,
)
TABLE.add(
    "CLIP vision",
    lambda: Images(
        _made("CLIPVisionModelWithProjection", "CLIPVision", {**VISION, "projection_dim": 10}),
        attrgetter("image_embeds"),
    ),
    height=32,
    width=32,
)
TABLE.add("CLIP text", lambda: _tokens_clip(), seq=16)

# audio
TABLE.add(
    "Wav2Vec2",
    lambda: Audio(
        _made(
            "Wav2Vec2ForSequenceClassification",
            "Wav2Vec2",
            dict(
                vocab_size=50,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=48,
                conv_dim=[16] * 7,
                num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=2,
                classifier_proj_size=16,
                num_labels=10,
            ),
        ),
        LOGITS,
    ),
)
TABLE.add(
    "Hubert",
    lambda: Audio(
        _made(
            "HubertForSequenceClassification",
            "Hubert",
            dict(
                vocab_size=50,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=48,
                conv_dim=[16] * 7,
                num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=2,
                classifier_proj_size=16,
                num_labels=10,
            ),
        ),
        LOGITS,
    ),
)
TABLE.add("Whisper encoder", lambda: Spectrograms(_whisper(), STATES))


def _tokens_clip() -> Wrapper:
    config = hf.CLIPTextConfig(**SMALL)
    return Tokens(hf.CLIPTextModel(config), STATES)


def _whisper() -> hf.PreTrainedModel:
    config = hf.WhisperConfig(
        vocab_size=50, num_mel_bins=16, d_model=32, encoder_layers=2, encoder_attention_heads=4,
        decoder_layers=1, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48,
        max_source_positions=40, max_target_positions=40, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return hf.WhisperModel(config).encoder
