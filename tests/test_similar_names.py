import pytest

from shapezoo._names import did_you_mean, unknown_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digit", "did you mean 'digits'?"),
        ("ADAM", "did you mean 'adam'?"),
        ("hlaf", "did you mean 'Half' or 'half'?"),
        ("resnet5", "did you mean 'ResNet50' or 'ResNet500'?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_similar_names_are_suggested_whatever_their_case(name: str, expected: str) -> None:
    assert (
        did_you_mean(name, ["digits", "adam", "Half", "half", "ResNet50", "ResNet500"]) == expected
    )


def test_an_unknown_name_lists_all_valid_names() -> None:
    assert unknown_name("optimizer", "adan", ["adam", "sgd"]) == (
        "no optimizer is called 'adan'; did you mean 'adam'? valid names: adam, sgd"
    )
    assert unknown_name("optimizer", "lion", ["adam", "sgd"]) == (
        "no optimizer is called 'lion'; valid names: adam, sgd"
    )
