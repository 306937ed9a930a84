"""Test the stand-in for a GPU: what it reports, and that it is removed afterwards."""

import torch

from compat.quant.backends.rehearsal import CAPABILITY, SCHEMES, stand_in
from compat.quant.schemes import Scheme


def test_what_is_wanted_on_the_gpu_is_made_on_the_cpu() -> None:
    with stand_in():
        made = [
            torch.empty(3, device="cuda"),
            torch.empty(3, device=torch.device("cuda", 0)),
            torch.empty(3).to("cuda:0"),
            torch.empty(3).to(device="cuda"),
            torch.empty(3).cuda(),
        ]
    assert {each.device.type for each in made} == {"cpu"}


def test_the_device_is_there_for_as_long_as_the_rehearsal_lasts() -> None:
    before = torch.cuda.is_available()
    with stand_in():
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 1
        assert torch.cuda.get_device_capability() == CAPABILITY
    assert torch.cuda.is_available() == before


def test_every_kind_of_scheme_is_rehearsed() -> None:
    assert {each.kind for each in SCHEMES} == {each.kind for each in Scheme.__subclasses__()}
