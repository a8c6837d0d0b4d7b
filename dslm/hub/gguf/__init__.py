"""Models as llama.cpp loads them: one file of tensors, settings and tokenizer.

`shapes` has llama.cpp's words for the shape and the weights of a model, `blocks` its forms of
rounded weights, `vocabulary` its tokenizers; `file` writes all of it and reads it back.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
