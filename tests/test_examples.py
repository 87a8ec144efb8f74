"""Every example runs, and says what it should."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "accelerator.py": r"on \w+(:\d)?: (9\d|100)\.\d% of 359 test digits right",
    "activations.py": r"relu +0\.00 +0\.00 +0\.00 +0\.50 +2\.00 +\[0, ∞\)",
    "backpropagation.py": r"before training, at x = 4, y = 4\.000(.|\n)*after .* y = 8\.000",
    "convolution.py": r"resnet_small, 41,514 parameters\n.*\n  epoch 2: (9\d|100)\.\d% of",
    "features.py": r"Fourier +420 +4,210 +8\d\.\d% +8\d\.\d%\nHaar +784 +7,850 +(9\d|100)\.\d% ",
    "four_steps.py": r"epoch 5: loss 0\.\d+ in .* 9\d\.\d%(.|\n)*the weights are the same: True",
    "forecast.py": r"epoch 5: .* 0\.1\d\d\n(.|\n)*pressure \(hPa\) +[23]\.\d +6\.\d",
    "labelling.py": r"epoch 60  ohlol(.|\n)*epoch 60  ohlol(.|\n)*epoch 20  ohlol",
    "lenet_digits.py": r"epoch 5: (9\d|100)\.\d% of 359 test digits right",
    "loading.py": r"15 iterations\nepoch 1: 1438 digits, .*\nepoch 2: 1438 digits, .* is 0\.\d\d",
    "names.py": r"[67]\d% of 3248 unseen names right\nPapadopoulos +Greece",
    "optimizers.py": r"lbfgs +1\.0 +1\n(.|\n)*sgd +0\.15 +1\d\d\n",
    "own_module.py": r"hint      its channels are last \(NHWC\); use x\.permute\(0, 3, 1, 2\)",
    "recurrence.py": r"are the same: True(.|\n)*rnn +1,344 +\de-0[34](.|\n)*lstm +5,376 +\de-0[23]",
    "regions.py": r"proved(.|\n)*height >= 9 and width >= 9(.|\n)*raises  from .*: Kernel size",
    "softmax.py": r"epoch 5: loss 0\.\d+, (9\d|100)\.\d% of the test digits right",
    "tables.py": r"LinearRegression explains [56]\d%.*\nMLP explains [3-5]\d%(.|\n)*MLP: [19]",
}


SLOW = {"convolution.py", "loading.py"}


def test_no_example_is_forgotten() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SAYS],
)
def test_an_example_runs(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [name])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert re.search(SAYS[name], capsys.readouterr().out)
