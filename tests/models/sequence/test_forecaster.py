import functools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo.data import weather
from shapezoo.models import rnn_forecaster
from shapezoo.train import fit, init, install, mean_squared_error

SIZES = st.integers(1, 4)


@given(seq=SIZES, batch=SIZES, features=SIZES)
def test_it_is_a_linear_layer_on_the_last_state(seq: int, batch: int, features: int) -> None:
    model = rnn_forecaster(num_features=features, hidden_size=5).double()
    reference = nn.RNN(features, 5).double()
    reference.load_state_dict(model.rnn.rnn.state_dict())
    windows = torch.randn(seq, batch, features, dtype=torch.float64)
    _, last = reference(windows)
    expected = last[0] @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(windows), expected, rtol=0, atol=1e-12)


def test_it_learns_more_than_tomorrow_is_like_today() -> None:
    train, test = weather()
    model = rnn_forecaster()
    make_optimizer = functools.partial(torch.optim.Adam, lr=0.01)
    state = fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        train,
        test,
        epochs=5,
        batch_size=32,
        loss=mean_squared_error,
        correct=None,
    )
    install(model, state)
    with torch.no_grad():
        error = mean_squared_error(model(test.windows), test.targets)
    assert error < 0.4 * mean_squared_error(test.windows[-1], test.targets)
    assert error < 1.25 * linear_regression_error()


def linear_regression_error() -> Tensor:
    """What the best linear function of the three days leaves: the weather is made by one."""
    (known, answers), (windows, targets) = (
        (nn.functional.pad(part.windows.movedim(0, 1).flatten(1), (0, 1), value=1), part.targets)
        for part in weather()
    )
    return mean_squared_error(windows @ torch.linalg.lstsq(known, answers).solution, targets)
