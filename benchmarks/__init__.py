"""Speed of courtyard beside its peers and the floor, as ratios measured in one run."""
