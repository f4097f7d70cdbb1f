"""Training: tasks (encoder, flow, fusion, dial) that one loop runs, and the recipes of the weights in the box."""
