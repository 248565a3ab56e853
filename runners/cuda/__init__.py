"""Lanes on an NVIDIA GPU, shared by every runner whose engines can be queued on a CUDA stream."""
