"""Training of the tokenizer, the generator and the evaluator."""
