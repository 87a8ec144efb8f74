"""A hypothesis strategy for damaged files."""

from hypothesis import strategies as st


@st.composite
def mutated(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """Draw a content with some bytes changed, a piece removed or repeated, or its end removed."""
    content = bytearray(draw(contents))
    for _ in range(draw(st.integers(0, 4))):
        # most changes should be in headers, which are small and at the start or the end
        near = st.integers(0, min(200, len(content) - 1))
        index = draw(st.one_of(near, near.map(lambda i: -1 - i), st.integers(0, len(content) - 1)))
        content[index] = draw(st.integers(0, 255))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    match draw(st.sampled_from(["whole", "end", "piece", "repeated"])):
        case "end":
            del content[start:]
        case "piece":
            del content[start : min(end, start + 20)]
        case "repeated":
            content[start:start] = content[start : min(end, start + 20)]
    return bytes(content)
