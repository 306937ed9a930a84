"""Mixed precision on the packages' own kernels: schemes, packers, a linear layer, a loader of checkpoints.

Only `compat.quant.schemes` and what reads configurations work without torch; everything else needs
`compat[quant]`.
"""
