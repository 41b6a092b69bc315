"""The learned quality filter and the difficulty of a sample: what a small local model says of it beyond any rule."""
