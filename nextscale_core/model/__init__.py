"""The motion model: tokenizer, quantizer, transformer, sampling and checkpoints."""
