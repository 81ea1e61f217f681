"""Commands for people at a terminal. They read Prometheus and files; none of them changes a cluster."""
