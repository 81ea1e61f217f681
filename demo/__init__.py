"""The product on a local cluster: `python -m demo` tells four releases; `python -m demo.playground` is for your own."""
