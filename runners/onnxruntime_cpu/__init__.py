"""ONNX Runtime on the processor: the embedded default runner. Importing this imports nothing heavy."""

from cotenant.runners.onnxruntime_cpu.runner import OnnxRuntimeCpu
from cotenant.runners.protocol import Runner

RUNNER: Runner = OnnxRuntimeCpu()
