"""Models of transformers in tiny configurations: hidden size 32, 2 layers, 40 positions."""

from operator import attrgetter

from public.table import Package, Table
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

hf = Package("transformers")

TABLE = Table("transformers", height=32, width=32)

RESULTS = {
    **dict.fromkeys((Tokens, MaskedTokens, Spectrograms), attrgetter("last_hidden_state")),
    **dict.fromkeys((Texts, Language, Translation, Images, Segments, Audio), attrgetter("logits")),
}
"""The attribute of the network's result that contains the tensor, by contract."""


def _add(
    name: str,
    wrapper: type[Wrapper],
    model: str,
    config: str,
    *parts: dict[str, object],
    **options: object,
) -> None:
    """Add a model, by the names of its class and of the class of its configuration."""

    def build() -> Wrapper:
        every = {key: value for part in (*parts, options) for key, value in part.items()}
        return wrapper(getattr(hf, model)(getattr(hf, config)(**every)), RESULTS[wrapper])

    TABLE.add(name, build)


# fmt: off
WIDTHS: dict[str, object] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
}
SMALL = {**WIDTHS, "vocab_size": 50, "max_position_embeddings": 40}
GPT: dict[str, object] = {
    "vocab_size": 50, "n_positions": 40, "n_embd": 32, "n_layer": 2, "n_head": 4,
    "use_cache": False,
}
T5: dict[str, object] = {
    "vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
}
PAD: dict[str, object] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODER = {**SMALL, **PAD, "use_cache": False}
GROUPED: dict[str, object] = {"num_key_value_heads": 2, "head_dim": 8}
BART: dict[str, object] = {
    "vocab_size": 50, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "max_position_embeddings": 40, "use_cache": False,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}
PATCHES = {**WIDTHS, "image_size": 32, "patch_size": 8, "num_labels": 10}
STAGES: dict[str, object] = {
    "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_labels": 10,
}
WAVES: dict[str, object] = {
    **WIDTHS, "vocab_size": 50, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 16, "num_labels": 10,
}
RELATIVE: dict[str, object] = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}

# encoders of text
for _name in ("Bert", "Electra", "MPNet", "RoFormer", "Roberta", "XLMRoberta", "FNet"):
    _add(_name, Tokens, f"{_name}Model", f"{_name}Config", SMALL)
for _name in ("Bert", "Roberta", "Electra"):
    _add(f"{_name}, masked", MaskedTokens, f"{_name}Model", f"{_name}Config", SMALL)
_add("Bert, classes", Texts, "BertForSequenceClassification", "BertConfig", SMALL, num_labels=10)
_add("Albert", Tokens, "AlbertModel", "AlbertConfig", SMALL, embedding_size=16)
_add("DistilBert", Tokens, "DistilBertModel", "DistilBertConfig", vocab_size=50, dim=32,
     n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40)
_add("Deberta", Tokens, "DebertaModel", "DebertaConfig", SMALL, RELATIVE)
_add("DebertaV2", Tokens, "DebertaV2Model", "DebertaV2Config", SMALL, RELATIVE)
_add("Longformer", Tokens, "LongformerModel", "LongformerConfig", SMALL, attention_window=4)
_add("BigBird", Tokens, "BigBirdModel", "BigBirdConfig", SMALL, PAD, sep_token_id=3,
     attention_type="original_full")
_add("Funnel", Tokens, "FunnelModel", "FunnelConfig", vocab_size=50, d_model=32,
     block_sizes=[1, 1], num_decoder_layers=1, n_head=4, d_head=8, d_inner=48)
_add("ModernBert", Tokens, "ModernBertModel", "ModernBertConfig", SMALL, PAD, cls_token_id=1,
     sep_token_id=2)
_add("T5 encoder", Tokens, "T5EncoderModel", "T5Config", T5)
_add("CLIP text", Tokens, "CLIPTextModel", "CLIPTextConfig", SMALL, PAD)

# language models
for _name in (
    "Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Olmo", "StableLm", "Cohere",
):
    _add(_name, Language, f"{_name}ForCausalLM", f"{_name}Config", DECODER, GROUPED)
for _name in ("Phi", "GPTNeoX"):
    _add(_name, Language, f"{_name}ForCausalLM", f"{_name}Config", DECODER)
_add("Phi3", Language, "Phi3ForCausalLM", "Phi3Config", DECODER, num_key_value_heads=2)
_add("Mixtral", Language, "MixtralForCausalLM", "MixtralConfig", DECODER, GROUPED,
     num_local_experts=4)
_add("GPT2", Language, "GPT2LMHeadModel", "GPT2Config", GPT, PAD)
_add("GPTJ", Language, "GPTJForCausalLM", "GPTJConfig", GPT, PAD, rotary_dim=4)
_add("GPTNeo", Language, "GPTNeoForCausalLM", "GPTNeoConfig", PAD, vocab_size=50, hidden_size=32,
     max_position_embeddings=40, num_layers=2, attention_types=[[["global", "local"], 1]],
     num_heads=4, window_size=8, use_cache=False)
_add("OPT", Language, "OPTForCausalLM", "OPTConfig", DECODER, ffn_dim=48, word_embed_proj_dim=32)
_add("Bloom", Language, "BloomForCausalLM", "BloomConfig", vocab_size=50, hidden_size=32,
     n_layer=2, n_head=4, use_cache=False)
_add("Falcon", Language, "FalconForCausalLM", "FalconConfig", DECODER)
_add("Mamba", Language, "MambaForCausalLM", "MambaConfig", vocab_size=50, hidden_size=32,
     state_size=4, num_hidden_layers=2, use_cache=False)

# translators
for _name in ("Bart", "Pegasus", "MBart"):
    _add(_name, Translation, f"{_name}ForConditionalGeneration", f"{_name}Config", BART)
_add("Marian", Translation, "MarianMTModel", "MarianConfig", BART)
_add("T5", Translation, "T5ForConditionalGeneration", "T5Config", T5, use_cache=False)

# vision
for _name in ("ViT", "DeiT", "Beit", "Dinov2"):
    _add(_name, Images, f"{_name}ForImageClassification", f"{_name}Config", PATCHES)
_add("CLIP vision", Images, "CLIPForImageClassification", "CLIPConfig", num_labels=10,
     vision_config=PATCHES, text_config=SMALL)
_add("Swin", Images, "SwinForImageClassification", "SwinConfig", image_size=32, patch_size=2,
     embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4, num_labels=10)
for _name in ("ConvNext", "PoolFormer"):
    _add(_name, Images, f"{_name}ForImageClassification", f"{_name}Config", STAGES)
_add("ResNet", Images, "ResNetForImageClassification", "ResNetConfig", STAGES, embedding_size=8)
_add("MobileViT", Images, "MobileViTForImageClassification", "MobileViTConfig", num_labels=10,
     hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 64],
     num_attention_heads=2)
_add("Pvt", Images, "PvtForImageClassification", "PvtConfig", STAGES, image_size=32,
     num_attention_heads=[1, 2, 2, 4])
_add("Segformer", Segments, "SegformerForSemanticSegmentation", "SegformerConfig", STAGES,
     num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=16)

# audio
_add("Wav2Vec2", Audio, "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", WAVES)
_add("Hubert", Audio, "HubertForSequenceClassification", "HubertConfig", WAVES)
WHISPER: dict[str, object] = {
    "vocab_size": 50, "num_mel_bins": 16, "d_model": 32, "encoder_layers": 2,
    "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "max_source_positions": 40,
    "decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48,
    "max_target_positions": 40, "decoder_start_token_id": 1,
}
TABLE.add(
    "Whisper encoder",
    lambda: Spectrograms(
        hf.WhisperModel(hf.WhisperConfig(**WHISPER, **PAD)).encoder, RESULTS[Spectrograms]
    ),
    frames=80,
)
# fmt: on
