"""Training of the encoder, the flow and the fusion networks."""
