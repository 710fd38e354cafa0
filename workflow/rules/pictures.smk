"""What a decoder sees of the input, and how activations are distributed, for one seed of each network.

Needs: activations/ and data/. Makes: reconstructions/ and histograms/.
"""
