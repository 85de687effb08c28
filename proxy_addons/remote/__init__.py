"""The remote answers for what does not run here: who may ask it, with what, and how its words are translated."""
