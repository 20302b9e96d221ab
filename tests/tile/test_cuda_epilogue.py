"""The strip's epilogue on CUDA. tests/tile/test_cuda.py runs it in whole kernels, and compiles it."""

from fastkb.scalar.kernels import FUNCTIONS
from fastkb.tile import cuda_epilogue, epilogue


def test_the_switch_is_that_of_the_cpu():
    assert cuda_epilogue.FUNCTIONS is epilogue.FUNCTIONS is FUNCTIONS
