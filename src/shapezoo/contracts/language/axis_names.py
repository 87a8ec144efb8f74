"""The axis names that shapezoo's own models use, and what code may conclude from a name."""

AXES = {
    "batch": "independent examples",
    "channels": "feature maps",
    "height": "image rows",
    "width": "image columns",
    "frames": "video or audio time",
    "patches": "image tokens",
    "windows": "parts of an image within which attention takes place",
    "layers": "stacked recurrent states (layers x directions)",
    "latent": "size of a compressed representation, as in an autoencoder",
    "hidden": "recurrent state or residual-stream width",
    "features": "values that describe an example or a position",
    "classes": "labels",
    "seq": "positions in a sequence",
    "vocab": "different tokens",
    "heads": "attention heads",
    "head_dim": "width of one attention head",
    "kv_seq": "positions attended to",
    "kv_heads": "heads attended to",
    "past": "positions in a cache",
    "boxes": "detected or ground-truth boxes",
    "samples": "audio samples",
}
"""The axis names that shapezoo's own models use, with the meaning of each."""

BATCH = "batch"
"""The axis of independent examples."""

PADDED_AXES = ("seq", "frames")
"""Axes of time, which may be padded; an argument ``lengths`` counts one of them."""

LONG_AXES = ("height", "width", "frames")
"""Axes that networks divide again and again, so that a few positions are too few for a trial."""

LABEL_AXES = ("classes", "vocab")
"""Axes that integer labels or tokens in another tensor index."""
