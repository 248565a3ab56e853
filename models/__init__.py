"""What is measured: the zoo, the user's ONNX, and what their operators cost."""
