"""TensorRT and TensorRT-RTX: engines built in processes of their own, executed on CUDA lanes. Imports nothing heavy."""

from cotenant.runners.cuda.runner import CudaRunner
from cotenant.runners.protocol import Runner
from cotenant.runners.tensorrt.backend import TensorRt

RUNNER: Runner = CudaRunner(TensorRt())
