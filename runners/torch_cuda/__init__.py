"""Networks on torch and CUDA lanes, for GPU machines without TensorRT. Importing this imports nothing heavy."""

from cotenant.runners.cuda.runner import CudaRunner
from cotenant.runners.protocol import Runner
from cotenant.runners.torch_cuda.backend import TorchCuda

RUNNER: Runner = CudaRunner(TorchCuda())
