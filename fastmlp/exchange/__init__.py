"""Networks in the formats of other programs: ONNX, PyTorch, safetensors."""
