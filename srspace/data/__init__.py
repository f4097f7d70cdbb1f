"""Pictures as data: data sets by name or folder, pairs of HR and LR, training pools, augmentation and damage."""
