import logging

import pytest
import torch

from d4rl_automl.core import device
from d4rl_automl.core.errors import InputError

has_gpu = torch.cuda.is_available()


def test_cpu_asks_for_no_gpu():
    assert device.resolve("cpu") == ("cpu", 0)


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_auto_falls_back_to_the_cpu_and_says_so(caplog):
    with caplog.at_level(logging.INFO):
        assert device.resolve("auto") == ("cpu", 0)
    assert "no CUDA device" in caplog.text


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(InputError, match=r"(finds no CUDA device|is built without CUDA).*or set device to auto or cpu"):
        device.resolve("cuda")


@pytest.mark.skipif(not has_gpu, reason="this machine has no GPU")
@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_gpu_is_used_where_there_is_one(name):
    assert device.resolve(name) == ("cuda", 1)


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="'gpu'; allowed: cpu, auto, cuda"):
        device.resolve("gpu")
