"""When an error gets a note, and that nothing else changes by it."""

import gc
import pickle
import sys
import traceback
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from jaxtyping import Float
from tests.contracts.failing import Net, failure, hints, note, notes_of, z
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shapezoo import ContractError, Module, ShapeError, checked, unchecked
from shapezoo.contracts.checking import check
from shapezoo.contracts.checking.known_limits import set_limits
from shapezoo.contracts.matching.proof_mode import while_proving
from shapezoo.contracts.messages import notes


@pytest.mark.parametrize(
    "fail",
    [
        lambda x: exec("raise ValueError('7 is no size')"),
        lambda x: [][x.dim()],
        lambda x: {}[x],
        lambda x: x.width,
        lambda x: nn.Linear(3, 4)(x, x),  # a call with wrong arguments tells enough
        lambda x: nn.Linear(3, 4)(),
        lambda x: nn.ModuleList()[3],
        lambda x: int("seven"),
        lambda x: eval("x + torch.zeros(7)"),  # there is no source
    ],
)
def test_errors_about_other_things_get_no_note(fail: Callable[[Tensor], object]) -> None:
    @checked
    def call(x: Float[Tensor, "batch width"]) -> Any:
        return fail(x)

    assert note(call, z(2, 5)) == []


def test_what_user_code_raises_gets_no_note() -> None:
    @checked
    def refuse(x: Float[Tensor, "batch width"]) -> Any:
        raise ValueError(f"odd width {x.shape[1]}")

    @checked
    def translate(x: Float[Tensor, "batch width"]) -> Any:
        try:
            return x + z(7)
        except RuntimeError as error:
            raise ValueError("does not fit") from error

    @checked
    def pass_on(x: Float[Tensor, "batch width"]) -> Any:
        try:
            return x.add(z(7))
        except RuntimeError:
            raise

    assert note(refuse, z(2, 5)) == []
    error = failure(translate, z(2, 5))
    assert not hasattr(error, "__notes__")
    assert isinstance(error.__cause__, RuntimeError)
    assert note(pass_on, z(2, 5))[0].startswith("  code      x.add(z(7)) (")


@pytest.mark.parametrize(
    "kind", [torch.OutOfMemoryError, torch.AcceleratorError, RecursionError, KeyError]
)
def test_errors_that_say_nothing_of_shapes(kind: type[Exception]) -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise kind("no")

    assert note(Net(Failing(3, 4)), z(2, 5)) == []


def test_errors_of_contracts_get_no_note() -> None:
    class Inner(Module):
        def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
            return x

    class Unreadable(Module):
        def forward(self, x: Float[Tensor, "batch {self.nothing}"]) -> None: ...

    for layer, kind in ((Inner(), ShapeError), (Unreadable(), ContractError)):
        error = failure(Net(layer), z(2, 5))
        assert type(error) is kind
        assert not hasattr(error, "__notes__")


def test_a_limit_that_is_known_is_told_in_place_of_a_note() -> None:
    class Limited(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 8)

        def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Any:
            return self.layer(images)

    from shapezoo.contracts import Condition

    model = Limited().eval()
    set_limits(model, {"eval": (Condition("height >= 8"),)})
    error = failure(model, z(2, 3, 7, 9))
    assert isinstance(error, ShapeError)
    assert not hasattr(error.__cause__, "__notes__")


def test_no_note_while_a_model_is_proved_or_traced() -> None:
    model = Net(nn.Linear(3, 4))
    with while_proving():
        assert note(model, z(2, 5)) == []
    torch.compiler.reset()
    error = failure(torch.compile(model, backend="eager"), z(2, 5))
    assert not hasattr(error, "__notes__")
    inner: Any = torch.compile(nn.Linear(3, 4), backend="eager")
    assert note(Net(inner), z(2, 5)) == []


def test_checks_that_are_off_add_nothing() -> None:
    with unchecked():
        assert note(Net(nn.Linear(3, 4)), z(2, 5)) == []


def test_the_error_keeps_its_identity_and_can_be_pickled() -> None:
    raised: list[Exception] = []

    class Keeping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return x + z(7)
            except RuntimeError as error:
                raised.append(error)
                raise

    error = failure(Net(Keeping()), z(2, 5))
    assert error is raised[0]
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is RuntimeError
    assert str(again) == str(error)
    assert again.__notes__ == error.__notes__
    assert vars(error).keys() == {"__notes__"}


def test_a_note_that_cannot_be_made_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the note")

    monkeypatch.setattr(notes, "_lines", fail)
    error = failure(Net(nn.Linear(3, 4)), z(2, 5))
    assert str(error).startswith("mat1 and mat2")
    assert error.__context__ is None
    assert not hasattr(error, "__notes__")


def test_a_layer_whose_text_cannot_be_made() -> None:
    class Silent(nn.Linear):
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    assert note(Net(Silent(3, 4)), z(2, 5)) == []


def test_no_tensor_is_kept() -> None:
    gc.disable()
    try:
        model, x = Net(nn.Sequential(nn.Identity(), nn.Linear(3, 4))), z(2, 5)
        seen = weakref.ref(x)
        error = failure(model, x)
        assert error.__notes__
        traceback.clear_frames(error.__traceback__)
        del x
        assert seen() is None
    finally:
        gc.enable()


def test_a_caller_that_goes_on_keeps_no_tensor_either() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net(nn.Linear(3, 4))

        def forward(self, x: Tensor) -> bool:
            big = z(9)
            seen = weakref.ref(big)
            with pytest.raises(RuntimeError):
                self.net(x)
            del big
            return seen() is None

    assert Loop()(z(2, 5))


def test_nothing_is_changed_by_a_note() -> None:
    model, x = Net(nn.Linear(3, 4)), z(2, 5)
    state, before = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    note(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.is_grad_enabled()


def test_a_debugger_keeps_the_variables() -> None:
    class Stopping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            return 2 * y

    def stop(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and "y" in frame.f_locals:
            failure(Net(nn.Linear(3, 4)), z(2, 5))  # as in `print model(x)` of a debugger
        return stop if frame.f_code is Stopping.forward.__code__ else None

    before = sys.gettrace()
    sys.settrace(stop)
    try:
        y = Stopping()(z(2, 5))
    finally:
        sys.settrace(before)
    assert y.shape == (2, 5)


def test_the_locals_that_code_reads_are_left_to_it() -> None:
    class Reading(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Any]:
            mine = locals()
            with pytest.raises(RuntimeError):
                Net(nn.Linear(3, 4))(x)
            return mine

    assert Reading()(z(2, 5)).keys() >= {"self", "x"}


def test_the_path_that_succeeds_runs_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @checked
    def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return 2 * x

    monkeypatch.setattr(check, "add_note", None)
    assert double(z(3)).shape == (3,)
    assert double(z(3)).shape == (3,)


def test_hooks_and_modes_see_no_call_that_was_only_tried() -> None:
    model, calls = Net(nn.Linear(3, 4)), []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda m, _: calls.append(m))
    try:
        lines = note(model, z(2, 5))
    finally:
        handle.remove()
    assert hints(lines) == ["nn.Linear(5, 4) would accept this input"]
    assert calls == [model, model.layer]
    with FlopCounterMode(display=False) as counter:
        note(model, z(2, 5))
    assert counter.get_total_flops() in (0, 80)


@checked
def list_too_short(x: Float[Tensor, "batch"]) -> Tensor:
    return [x, x][len(x)]


def test_errors_of_python_itself_get_no_note() -> None:
    assert not notes_of(list_too_short, z(3))
